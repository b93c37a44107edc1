// The parser of answers: every kind of framing, split at every byte, and what is refused.
#include "net/answer_parser.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace trilane::net {
namespace {

struct Heard final : AnswerSink {
    std::vector<AnswerHead> heads;
    std::string body;
    void on_head(AnswerHead head) override { heads.push_back(std::move(head)); }
    void on_body(std::string_view bytes) override {
        EXPECT_FALSE(bytes.empty());
        body.append(bytes);
    }
};

struct Outcome {
    AnswerParser::Step step = AnswerParser::Step::need_more;
    unsigned status = 0;
    std::size_t heads = 0;
    std::string body;
    std::string rest;  ///< what the parser left
    std::string reason;
    bool keep_alive = false;
    bool operator==(const Outcome&) const = default;
};

constexpr std::size_t kHeadBytesMax = 512;

/// What comes of `bytes` when they arrive `piece` at a time, and then, perhaps, the end.
Outcome parsed(std::string_view bytes, std::size_t piece, bool end = false, bool to_head = false) {
    AnswerParser parser(kHeadBytesMax);
    parser.expect(to_head);
    Heard heard;
    Outcome outcome;
    std::size_t begin = 0;
    std::size_t received = 0;
    while (outcome.step == AnswerParser::Step::need_more && received < bytes.size()) {
        received = std::min(bytes.size(), received + piece);
        std::size_t consumed = 0;
        outcome.step = parser.feed(bytes.substr(begin, received - begin), consumed, heard);
        begin += consumed;
    }
    if (end && outcome.step == AnswerParser::Step::need_more) {
        outcome.step = parser.end_of_stream();
    }
    outcome.heads = heard.heads.size();
    outcome.status = heard.heads.empty() ? 0 : heard.heads.front().status;
    outcome.body = heard.body;
    outcome.rest = bytes.substr(begin);
    outcome.reason = parser.reason();
    outcome.keep_alive = parser.keep_alive();
    return outcome;
}

/// The same, however the bytes are cut.
Outcome parsed(std::string_view bytes, bool end = false, bool to_head = false) {
    const Outcome whole = parsed(bytes, bytes.size(), end, to_head);
    if (whole.step != AnswerParser::Step::corrupt) {
        for (std::size_t piece = 1; piece < bytes.size(); ++piece) {
            const Outcome cut = parsed(bytes, piece, end, to_head);
            EXPECT_EQ(cut.step, whole.step) << piece;
            EXPECT_EQ(cut.body, whole.body) << piece;
            EXPECT_EQ(cut.status, whole.status) << piece;
            EXPECT_EQ(cut.keep_alive, whole.keep_alive) << piece;
        }
    } else {
        EXPECT_EQ(parsed(bytes, 1, end, to_head).step, AnswerParser::Step::corrupt) << bytes;
        EXPECT_FALSE(whole.reason.empty());
    }
    return whole;
}

constexpr auto kComplete = AnswerParser::Step::complete;
constexpr auto kNeedMore = AnswerParser::Step::need_more;
constexpr auto kCorrupt = AnswerParser::Step::corrupt;

TEST(AnswerParser, ReadsACountedBody) {
    const auto outcome = parsed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_EQ(outcome.step, kComplete);
    EXPECT_EQ(outcome.status, 200U);
    EXPECT_EQ(outcome.body, "hello");
    EXPECT_TRUE(outcome.keep_alive);
}

TEST(AnswerParser, LeavesWhatFollowsTheAnswer) {
    const std::string answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    EXPECT_EQ(parsed(answer + "HTTP/1.1 404", answer.size() + 12).rest, "HTTP/1.1 404");
    const std::string chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    EXPECT_EQ(parsed(chunked + "more", chunked.size() + 4).rest, "more");
}

TEST(AnswerParser, ReadsChunks) {
    const auto outcome = parsed(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\nA;name=value\r\n0123456789\r\n0\r\nX-Late: yes\r\n\r\n");
    EXPECT_EQ(outcome.step, kComplete);
    EXPECT_EQ(outcome.body, "abc0123456789");
    EXPECT_EQ(outcome.heads, 1U);
    EXPECT_TRUE(outcome.keep_alive);
    EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").step,
              kComplete);
}

TEST(AnswerParser, ReadsToTheEndOfTheStream) {
    const std::string text = "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nuntil the end";
    EXPECT_EQ(parsed(text).step, kNeedMore);
    const auto outcome = parsed(text, true);
    EXPECT_EQ(outcome.step, kComplete);
    EXPECT_EQ(outcome.body, "until the end");
    EXPECT_FALSE(outcome.keep_alive);
}

TEST(AnswerParser, KnowsACutOffAnswer) {
    EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", true).step, kNeedMore);
    EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\nContent-Le", true).step, kNeedMore);
    EXPECT_EQ(
        parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", true).step,
        kNeedMore);
}

TEST(AnswerParser, KnowsWhatHasNoBody) {
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    EXPECT_EQ(parsed(head, false, true).step, kComplete);
    EXPECT_EQ(parsed("HTTP/1.1 204 No Content\r\n\r\n").step, kComplete);
    EXPECT_EQ(parsed("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").step, kComplete);
    EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").step, kComplete);
}

TEST(AnswerParser, SkipsInterimAnswers) {
    const auto outcome = parsed(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        "HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n.");
    EXPECT_EQ(outcome.step, kComplete);
    EXPECT_EQ(outcome.status, 201U);
    EXPECT_EQ(outcome.heads, 1U);
    EXPECT_EQ(parsed("HTTP/1.1 101 Switching Protocols\r\n\r\n").step, kCorrupt);
}

TEST(AnswerParser, KeepsHeaders) {
    AnswerParser parser(kHeadBytesMax);
    parser.expect(false);
    Heard heard;
    std::size_t consumed = 0;
    parser.feed("HTTP/1.1 200\r\nA: 1\r\nEmpty:\r\nFolded: a\r\n\t b \r\na:  2 \r\n\r\n", consumed,
                heard);
    ASSERT_EQ(heard.heads.size(), 1U);
    const AnswerHead& head = heard.heads.front();
    ASSERT_EQ(head.headers.size(), 4U);
    EXPECT_EQ(*head.header("a"), "1");
    EXPECT_EQ(*head.header("empty"), "");
    EXPECT_EQ(*head.header("folded"), "a b");
    EXPECT_EQ(head.headers[3].value, "2");
    EXPECT_EQ(head.header("none"), nullptr);
}

TEST(AnswerParser, KnowsWhetherTheConnectionStays) {
    const auto stays = [](std::string_view start, std::string_view headers) {
        return parsed(std::string(start) + " 204 x\r\n" + std::string(headers) + "\r\n").keep_alive;
    };
    EXPECT_TRUE(stays("HTTP/1.1", ""));
    EXPECT_TRUE(stays("HTTP/1.1", "Connection: keep-alive\r\n"));
    EXPECT_FALSE(stays("HTTP/1.1", "Connection: Close\r\n"));
    EXPECT_FALSE(stays("HTTP/1.1", "Connection: x, close\r\n"));
    EXPECT_FALSE(stays("HTTP/1.0", ""));
    EXPECT_TRUE(stays("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    // Chunks beside a length: read, but nobody knows what comes next.
    EXPECT_FALSE(parsed("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: "
                        "chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
                     .keep_alive);
}

TEST(AnswerParser, RefusesWhatIsNotHttp) {
    for (const std::string_view bytes : {
             "SSH-2.0-OpenSSH_9.2\r\n",
             "HTTP/2.0 200 OK\r\n\r\n",
             "<html>",
             "\r\nHTTP/1.1 200 OK\r\n\r\n",
             "HTTP/1.1 20 OK\r\n\r\n",
             "HTTP/1.1 2000 OK\r\n\r\n",
             "HTTP/1.1 099 OK\r\n\r\n",
             "HTTP/1.1200 OK\r\n\r\n",
             "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
             "HTTP/1.1 200 OK\r\nname : value\r\n\r\n",
             "HTTP/1.1 200 OK\r\n: value\r\n\r\n",
             "HTTP/1.1 200 OK\r\n folded: first\r\n\r\n",
             "HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n",
             "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
             "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
             "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
             "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11112222333344445\r\n",
         }) {
        EXPECT_EQ(parsed(bytes).step, kCorrupt) << bytes;
    }
    using namespace std::string_view_literals;
    EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n"sv).step, kCorrupt);
}

TEST(AnswerParser, BoundsTheHead) {
    const std::string fields(kHeadBytesMax, 'x');
    EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\na: " + fields + "\r\n\r\n").step, kCorrupt);
    EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\na: " + fields).step, kCorrupt);
    std::string interim;
    while (interim.size() < kHeadBytesMax) {
        interim += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    EXPECT_EQ(parsed(interim).step, kCorrupt);
    std::string trailers = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    while (trailers.size() < 2 * kHeadBytesMax) {
        trailers += "a: b\r\n";
    }
    EXPECT_EQ(parsed(trailers).step, kCorrupt);
    const std::string chunk_line(2000, '0');
    EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk_line).step,
              kCorrupt);
}

TEST(AnswerParser, ReadsOneAnswerAfterTheOther) {
    AnswerParser parser(kHeadBytesMax);
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
    for (int i = 0; i < 3; ++i) {
        parser.expect(false);
        EXPECT_FALSE(parser.head_done());
        Heard heard;
        std::size_t consumed = 0;
        EXPECT_EQ(parser.feed(answer, consumed, heard), kComplete);
        EXPECT_EQ(consumed, answer.size());
        EXPECT_EQ(heard.body, "a");
    }
}

}  // namespace
}  // namespace trilane::net
