#include "lane/upstream/sse_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trilane::lane::upstream {
namespace {

using Events = std::vector<std::string>;

/// The events of a text that arrives in two pieces, and as its bytes one by one when `cut` is npos.
Events events_of(std::string_view text, std::size_t cut, bool finish = true) {
    SseParser parser;
    Events events;
    const auto note = [&](std::string_view data) {
        events.emplace_back(data);
        return true;
    };
    const auto feed = [&](std::string_view bytes) {
        const std::string copy(bytes);
        EXPECT_EQ(parser.feed(copy, note), SseParser::Fed::all);
    };
    if (cut == std::string_view::npos) {
        for (const char c : text) {
            feed({&c, 1});
        }
    } else {
        feed(text.substr(0, cut));
        feed(text.substr(cut));
    }
    if (finish) {
        parser.finish(note);
    }
    return events;
}

void expect_everywhere(std::string_view text, const Events& expected) {
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        EXPECT_EQ(events_of(text, cut), expected) << "cut at " << cut;
    }
    EXPECT_EQ(events_of(text, std::string_view::npos), expected);
}

TEST(SseParserTest, ReadsEventsCutAnywhere) {
    expect_everywhere("data: one\n\ndata:two\n\ndata:  three\n\n", {"one", "two", " three"});
    expect_everywhere("data: one\r\n\r\ndata: two\r\n\r\n", {"one", "two"});
    expect_everywhere("data: a\ndata:\ndata: b\n\n\n\n", {"a\n\nb"});
    expect_everywhere("event: x\nid: 7\nretry: 100\ndata: y\nunknown\nunknown: z\n\n", {"y"});
    expect_everywhere("data\n\n", {""});
    expect_everywhere("dataset: 1\n\ndata: 2\n\n", {"2"});
}

TEST(SseParserTest, CountsComments) {
    expect_everywhere(": ping\n\n:\n\ndata: x\n: ping\ndata: y\n\n", {"x\ny"});
    SseParser parser;
    parser.feed(": ping\n\n: p", [](std::string_view) { return true; });
    EXPECT_EQ(parser.comments(), 1U);
    parser.feed("\n", [](std::string_view) { return true; });
    EXPECT_EQ(parser.comments(), 2U);
}

TEST(SseParserTest, ReadsOldErrorLinesAndUnframedJson) {
    expect_everywhere("error: {\"a\":1}\n\n", {"{\"a\":1}"});
    expect_everywhere("data: x\n\n{\"error\":\"y\"}\n", {"x", "{\"error\":\"y\"}"});
}

TEST(SseParserTest, EndsWithoutABlankLine) {
    expect_everywhere("data: x\n\ndata: y", {"x", "y"});
    expect_everywhere("data: x\n\ndata: y\n", {"x", "y"});
    EXPECT_EQ(events_of("data: x\n\ndata: y", 0, false), (Events{"x"}));
}

TEST(SseParserTest, StopsWhenItIsTold) {
    SseParser parser;
    int events = 0;
    const auto fed = parser.feed("data: 1\n\ndata: 2\n\n", [&](std::string_view) {
        ++events;
        return false;
    });
    EXPECT_EQ(fed, SseParser::Fed::stopped);
    EXPECT_EQ(events, 1);
}

TEST(SseParserTest, BoundsLinesAndEvents) {
    const auto ignore = [](std::string_view) { return true; };
    const std::string piece(kEventBytesMax / 4, 'x');
    {
        SseParser parser;
        auto fed = parser.feed("data: ", ignore);
        for (int i = 0; i < 5 && fed == SseParser::Fed::all; ++i) {
            fed = parser.feed(piece, ignore);
        }
        EXPECT_EQ(fed, SseParser::Fed::too_long);
    }
    {
        SseParser parser;
        auto fed = SseParser::Fed::all;
        for (int i = 0; i < 5 && fed == SseParser::Fed::all; ++i) {
            fed = parser.feed("data: " + piece + "\n", ignore);
        }
        EXPECT_EQ(fed, SseParser::Fed::too_long);
    }
    {
        SseParser parser;
        EXPECT_EQ(parser.feed("data: " + std::string(kEventBytesMax, 'x') + "\n", ignore),
                  SseParser::Fed::too_long);
    }
}

}  // namespace
}  // namespace trilane::lane::upstream
