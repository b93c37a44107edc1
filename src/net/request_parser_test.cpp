// What the request parser takes, what it refuses and with which status, and that the pieces in
// which the bytes arrive make no difference.
#include "net/request_parser.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

namespace trilane::net {
namespace {

using Step = RequestParser::Step;

constexpr std::string_view kChat =
    "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
    "application/json\r\n"
    "Content-Length: 7\r\n\r\n{\"a\":1}";

/// The status of the refusal of `bytes`; 0 when they are not refused.
unsigned refused(std::string_view bytes, const Limits& limits = {}) {
    RequestParser parser(limits);
    std::size_t consumed = 0;
    return parser.feed(bytes, consumed) == Step::refused ? parser.refusal().status : 0;
}

TEST(RequestParser, ReadsARequest) {
    const auto request = parse_request(kChat);
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->method, "POST");
    EXPECT_EQ(request->target, "/v1/chat/completions?x=1");
    EXPECT_EQ(request->path(), "/v1/chat/completions");
    EXPECT_EQ(request->body, "{\"a\":1}");
    EXPECT_TRUE(request->keep_alive);
    ASSERT_NE(request->header("content-TYPE"), nullptr);
    EXPECT_EQ(*request->header("content-TYPE"), "application/json");
    EXPECT_EQ(request->header("Accept"), nullptr);
}

TEST(RequestParser, PiecesMakeNoDifference) {
    const std::string chunked =
        "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
    for (std::size_t piece = 1; piece <= chunked.size(); ++piece) {
        RequestParser parser{Limits{}};
        std::size_t begin = 0;
        Step step = Step::need_more;
        for (std::size_t end = 0; end < chunked.size() && step == Step::need_more;) {
            end = std::min(chunked.size(), end + piece);
            std::size_t consumed = 0;
            step = parser.feed(std::string_view(chunked).substr(begin, end - begin), consumed);
            begin += consumed;
        }
        ASSERT_EQ(step, Step::complete) << "pieces of " << piece;
        const Request request = parser.take();
        EXPECT_EQ(request.body, "abc0123456789");
        EXPECT_EQ(request.header("Trailer"), nullptr);
        EXPECT_EQ(begin, chunked.size());
    }
}

TEST(RequestParser, AnEmptyChunkedBodyMayComeInPieces) {
    const std::string head = "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const std::string body :
         {"0\r\n\r\n", "00\r\n\r\n", "0\r\nT: x\r\n\r\n", "0;a\r\n\r\n", "1\r\nx\r\n0\r\n\r\n"}) {
        for (std::size_t first = 1; first < body.size(); ++first) {
            RequestParser parser{Limits{}};
            std::size_t begin = 0;
            Step step = Step::need_more;
            const std::string bytes = head + body;
            for (std::size_t end = head.size() + first; end <= bytes.size(); ++end) {
                std::size_t consumed = 0;
                step = parser.feed(std::string_view(bytes).substr(begin, end - begin), consumed);
                begin += consumed;
            }
            ASSERT_EQ(step, Step::complete) << body << " after " << first;
        }
    }
}

TEST(RequestParser, LeavesTheNextRequestAlone) {
    std::string two(kChat);
    two += "GET /second HTTP/1.1\r\nHost: h\r\n\r\n";
    RequestParser parser{Limits{}};
    std::size_t consumed = 0;
    ASSERT_EQ(parser.feed(two, consumed), Step::complete);
    EXPECT_EQ(consumed, kChat.size());
    EXPECT_EQ(parser.take().method, "POST");
    ASSERT_EQ(parser.feed(std::string_view(two).substr(kChat.size()), consumed), Step::complete);
    EXPECT_EQ(parser.take().target, "/second");
}

TEST(RequestParser, KeepAliveFollowsVersionAndHeader) {
    EXPECT_FALSE(
        parse_request("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")->keep_alive);
    EXPECT_FALSE(parse_request("GET / HTTP/1.0\r\n\r\n")->keep_alive);
    EXPECT_TRUE(parse_request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")->keep_alive);
}

TEST(RequestParser, AcceptsTheAbsoluteForm) {
    EXPECT_EQ(parse_request("GET http://h:1/p?q HTTP/1.1\r\nHost: h\r\n\r\n")->target, "/p?q");
    EXPECT_EQ(parse_request("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n")->target, "/");
    EXPECT_EQ(parse_request("GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n")->target, "/?q");
    // Where the target says whom it asks, the header does not count.
    EXPECT_EQ(*parse_request("GET http://e.example:1/p HTTP/1.1\r\nHost: localhost\r\n\r\n")
                   ->header("Host"),
              "e.example:1");
    EXPECT_EQ(*parse_request("GET http://e.example/p HTTP/1.0\r\n\r\n")->header("Host"),
              "e.example");
    EXPECT_EQ(refused("GET http:///p HTTP/1.1\r\nHost: h\r\n\r\n"), 400U);
    EXPECT_EQ(refused("GET http://localhost@e.example/ HTTP/1.1\r\nHost: h\r\n\r\n"), 400U);
    EXPECT_EQ(parse_request("GET /a?u=http://h HTTP/1.1\r\nHost: h\r\n\r\n")->target,
              "/a?u=http://h");
}

TEST(RequestParser, RefusesWhatIsMalformed) {
    EXPECT_EQ(refused("\x16\x03\x01\x02\x01\x01\r\n\r\n"), 400U);
    EXPECT_EQ(refused("GET /\r\nHost: h\r\n\r\n"), 400U);
    EXPECT_EQ(refused("GET / HTTP/1.1\r\nHost h\r\n\r\n"), 400U);
    EXPECT_EQ(refused("GET / HTTP/1.1\r\n\r\n"), 400U) << "no Host";
    EXPECT_EQ(refused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400U);
    EXPECT_EQ(refused("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505U);
    EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"), 400U);
    EXPECT_EQ(
        refused("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        400U);
    EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n"), 417U);
}

// A proxy and we must never disagree on where a request ends.
TEST(RequestParser, RefusesWhatCouldSmuggle) {
    EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              400U);
    EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                      "Content-Length: 3\r\n\r\n0\r\n\r\n"),
              400U);
    EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
              501U);
    EXPECT_EQ(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 501U);
    EXPECT_EQ(refused("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
              400U);
}

TEST(RequestParser, HoldsItsLimits) {
    Limits limits;
    limits.header_bytes_max = 256;
    limits.headers_max = 3;
    limits.body_bytes_max = 10;
    const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";
    EXPECT_EQ(refused(start + "A: " + std::string(300, 'a') + "\r\n\r\n", limits), 431U);
    EXPECT_EQ(refused(start + std::string(300, 'a'), limits), 431U) << "no line end in sight";
    EXPECT_EQ(refused(start + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits), 431U);
    EXPECT_EQ(refused(start + "Content-Length: 11\r\n\r\n", limits), 413U);
    EXPECT_EQ(refused(start + "Content-Length: 10\r\n\r\n", limits), 0U);
    EXPECT_EQ(refused(start + "Transfer-Encoding: chunked\r\n\r\n6\r\naaaaaa\r\n6\r\n", limits),
              413U);
}

// Each piece is below the limit, all of them together are not.
TEST(RequestParser, HoldsTheHeaderLimitAcrossPieces) {
    Limits limits;
    limits.header_bytes_max = 256;
    RequestParser parser(limits);
    std::string bytes = "GET / HTTP/1.1\r\nHost: h\r\n";
    std::size_t consumed = 0;
    Step step = parser.feed(bytes, consumed);
    unsigned pieces = 0;
    while (step == Step::need_more && pieces < 100) {
        bytes = bytes.substr(consumed) + "Name: 0123456789012345678\r\n";
        step = parser.feed(bytes, consumed);
        ++pieces;
    }
    EXPECT_EQ(step, Step::refused);
    EXPECT_EQ(parser.refusal().status, 431U);
    EXPECT_LE(pieces, 10U);
}

// Two parsers share one bound: what one gives back, the other may use.
TEST(RequestParser, SharesABoundOnBodiesBeingRead) {
    Limits limits;
    limits.body_bytes_max = 80;
    limits.reading_bytes_max = 100;
    std::atomic<std::size_t> reading = 0;
    std::size_t consumed = 0;
    const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n\r\n";
    const std::string chunked =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3c\r\n" +
        std::string(60, 'c') + "\r\n0\r\n\r\n";
    RequestParser slow(limits, &reading);
    ASSERT_EQ(slow.feed(head + std::string(59, 'a'), consumed), Step::need_more);
    EXPECT_EQ(reading, 59U);
    for (const std::string& bytes : {head + std::string(60, 'b'), chunked}) {
        RequestParser refused(limits, &reading);
        ASSERT_EQ(refused.feed(bytes, consumed), Step::refused);
        EXPECT_EQ(refused.refusal().status, 503U);
        EXPECT_NE(refused.refusal().message.find("longer than 100 bytes; try again"),
                  std::string::npos);
        EXPECT_EQ(reading, 59U) << "a refused body is not kept";
    }
    ASSERT_EQ(slow.feed("a", consumed), Step::complete);
    EXPECT_EQ(reading, 60U);
    EXPECT_EQ(slow.take().body, std::string(60, 'a'));
    EXPECT_EQ(reading, 0U);
    {
        RequestParser left_alone(limits, &reading);
        ASSERT_EQ(left_alone.feed(chunked.substr(0, chunked.size() - 1), consumed),
                  Step::need_more);
        EXPECT_EQ(reading, 60U);
    }
    EXPECT_EQ(reading, 0U) << "the connection went";
    EXPECT_EQ(slow.feed(head + std::string(60, 'd'), consumed), Step::complete);
}

TEST(RequestParser, SaysWhenTheClientWaitsToBeAsked) {
    RequestParser parser{Limits{}};
    std::size_t consumed = 0;
    EXPECT_EQ(parser.feed("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                          "Content-Length: 2\r\n\r\n",
                          consumed),
              Step::need_more);
    EXPECT_TRUE(parser.header_done());
    EXPECT_TRUE(parser.wants_continue());
}

TEST(RequestParser, NamesACutOffRequest) {
    const auto cut = parse_request(kChat.substr(0, kChat.size() - 1));
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().fault, Fault::invalid);
    EXPECT_NE(cut.error().message.find("cut off"), std::string::npos);
}

}  // namespace
}  // namespace trilane::net
