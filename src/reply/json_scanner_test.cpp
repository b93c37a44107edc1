// The scanner beside the JSON library: the same texts pass and fail, and each prefix of a good text
// is good so far.
#include "reply/json_scanner.h"

#include <gtest/gtest.h>

#include <array>

#include "json/json.h"

namespace trilane::reply {
namespace {

using Step = JsonScanner::Step;

Step scan(std::string_view text) {
    JsonScanner scanner;
    Step step = Step::more;
    for (const char c : text) {
        if (step == Step::done) {
            return Step::bad;  // something behind the end
        }
        step = scanner.push(c);
        if (step == Step::bad) {
            break;
        }
    }
    return step;
}

TEST(JsonScanner, AgreesWithTheLibrary) {
    constexpr std::array kTexts{R"({})",
                                R"([])",
                                R"({"a": 1})",
                                R"({"a":[1,2,{"b":null}],"c":"d"})",
                                R"("text")",
                                R"([1.5, -0, 1e9, 1E+2, 0.1e-7, true, false, null])",
                                R"({"a": "\u00e9\n\\\""})",
                                R"({"a" : { } , "b" : [ ] })",
                                R"([01])",
                                R"([1.])",
                                R"([.5])",
                                R"([+1])",
                                R"([1e])",
                                R"([--1])",
                                R"([-])",
                                R"({"a"})",
                                R"({"a":})",
                                R"({"a":1,})",
                                R"([1,])",
                                R"([,1])",
                                R"({a:1})",
                                R"({'a':1})",
                                R"([tru])",
                                R"([truee])",
                                R"(["\x"])",
                                R"(["\u12g4"])",
                                R"([1 2])",
                                R"({"a":1 "b":2})",
                                R"([})",
                                R"({])",
                                R"([[[[]]]])",
                                R"({"":""})",
                                R"(x)",
                                R"([1-2])",
                                R"([nulll])",
                                R"({"a":1]})"};
    for (const std::string_view text : kTexts) {
        EXPECT_EQ(scan(text) == Step::done, json::parse(text).has_value()) << text;
    }
}

TEST(JsonScanner, EveryBeginningOfAGoodTextIsGood) {
    const std::string_view text = R"({"a": [1.5e3, true, "x\u0041\""], "b": {"c": null}})";
    for (std::size_t i = 0; i < text.size(); ++i) {
        EXPECT_EQ(scan(text.substr(0, i)), Step::more) << i;
    }
    EXPECT_EQ(scan(text), Step::done);
}

TEST(JsonScanner, DepthHasALimit) {
    EXPECT_EQ(scan(std::string(json::kDepthMax, '[')), Step::more);
    EXPECT_EQ(scan(std::string(json::kDepthMax + 1, '[')), Step::bad);
}

TEST(JsonScanner, ControlCharactersInsideStringsAreRepaired) {
    const std::string_view text = "{\"a\":\n\"x\ty\n\"}";
    JsonScanner scanner;
    std::string out;
    for (const char c : text) {
        const bool in_string = scanner.in_string();
        ASSERT_NE(scanner.push(c), Step::bad);
        append_repaired(out, c, in_string);
    }
    EXPECT_EQ(out, "{\"a\":\n\"x\\ty\\n\"}");
    EXPECT_TRUE(json::parse(out));
}

}  // namespace
}  // namespace trilane::reply
