// URLs and request heads: what is read, what is written, what is refused.
#include "net/request_head.h"

#include <gtest/gtest.h>

namespace trilane::net {
namespace {

TEST(ParseUrl, ReadsWhatPeopleWrite) {
    const auto plain = parse_url("http://127.0.0.1:8080");
    ASSERT_TRUE(plain);
    EXPECT_FALSE(plain->tls);
    EXPECT_EQ(plain->host, "127.0.0.1");
    EXPECT_EQ(plain->port, 8080);
    EXPECT_EQ(plain->base_path, "");

    const auto secure = parse_url("HTTPS://api.example.org/v1/");
    ASSERT_TRUE(secure);
    EXPECT_TRUE(secure->tls);
    EXPECT_EQ(secure->port, 443);
    EXPECT_EQ(secure->base_path, "/v1");

    const auto v6 = parse_url("http://[::1]:81/a/b//");
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->host, "::1");
    EXPECT_EQ(v6->port, 81);
    EXPECT_EQ(v6->base_path, "/a/b");

    const auto local = parse_url("unix:/run/x.sock");
    ASSERT_TRUE(local);
    EXPECT_EQ(local->unix_path, "/run/x.sock");
}

TEST(ParseUrl, RefusesWithAReason) {
    for (const std::string_view url : {"",
                                       "localhost:80",
                                       "ftp://h",
                                       "http://",
                                       "http:///v1",
                                       "http://:80",
                                       "http://h:0",
                                       "http://h:65536",
                                       "http://h:",
                                       "http://h:8o",
                                       "http://[::1",
                                       "http://[::g]",
                                       "http://::1",
                                       "http://h x",
                                       "http://h/a b",
                                       "http://h/a?b=c",
                                       "http://h/#x",
                                       "http://h\r\nX: y",
                                       "unix:relative",
                                       "unix:",
                                       "http://\xc3\xa9.example",
                                       "http://[::1]x"}) {
        const auto target = parse_url(url);
        ASSERT_FALSE(target) << url;
        EXPECT_EQ(target.error().fault, Fault::invalid);
        EXPECT_FALSE(target.error().message.empty());
    }
    const auto with_key = parse_url("http://user:secret@h/");
    ASSERT_FALSE(with_key);
    EXPECT_EQ(with_key.error().message.find("secret"), std::string::npos);
    EXPECT_FALSE(parse_url("unix:/" + std::string(108, 'x')));
}

TEST(Target, WritesItselfAsItWasRead) {
    for (const std::string url : {"http://h", "http://h:81/v1", "https://h", "https://h:80",
                                  "http://[::1]:81", "unix:/a/b.sock"}) {
        const auto target = parse_url(url);
        ASSERT_TRUE(target) << url;
        EXPECT_EQ(target->text(), url);
    }
    EXPECT_EQ(parse_url("http://h:80")->text(), "http://h");
}

TEST(RequestHead, WritesFramingItself) {
    const auto target = parse_url("http://h:81/v1");
    Outgoing request;
    request.method = "POST";
    request.target = "/chat";
    request.headers = {{"X-A", "b"}, {"host", "evil"}, {"Content-length", "7"}};
    request.body = "{}";
    ASSERT_TRUE(check_outgoing(request));
    std::string out;
    append_request_head(out, *target, host_line(*target), request);
    EXPECT_EQ(out, "POST /v1/chat HTTP/1.1\r\nHost: h:81\r\nX-A: b\r\nContent-Length: 2\r\n\r\n");
}

TEST(RequestHead, GivesALengthWhereOneIsExpected) {
    const auto head = [](const char* method) {
        Outgoing request;
        request.method = method;
        std::string out;
        append_request_head(out, Target{}, "", request);
        return out;
    };
    EXPECT_EQ(head("GET"), "GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(head("HEAD"), "HEAD / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(head("POST"), "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
}

TEST(RequestHead, HostsAreNamedAsInUrls) {
    EXPECT_EQ(host_line(*parse_url("http://[::1]:81")), "Host: [::1]:81\r\n");
    EXPECT_EQ(host_line(*parse_url("https://h/v1")), "Host: h\r\n");
    EXPECT_EQ(host_line(*parse_url("unix:/x")), "Host: localhost\r\n");
}

TEST(RequestHead, RefusesWhatBreaksOut) {
    const auto refused = [](Outgoing request) {
        const auto status = check_outgoing(request);
        return !status && status.error().fault == Fault::invalid;
    };
    Outgoing request;
    EXPECT_FALSE(refused(request));
    request.method = "GET /";
    EXPECT_TRUE(refused(request));
    request = {};
    request.target = "/a b";
    EXPECT_TRUE(refused(request));
    request.target = "nowhere";
    EXPECT_TRUE(refused(request));
    request = {};
    request.headers = {{"A", "b\r\nC: d"}};
    EXPECT_TRUE(refused(request));
    request.headers = {{"A\n", "b"}};
    EXPECT_TRUE(refused(request));
    request.headers = {{"", "b"}};
    EXPECT_TRUE(refused(request));
}

}  // namespace
}  // namespace trilane::net
