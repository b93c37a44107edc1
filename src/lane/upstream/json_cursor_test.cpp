#include "lane/upstream/json_cursor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace trilane::lane::upstream {
namespace {

bool valid(std::string_view text) {
    JsonCursor in(text);
    return in.skip() && in.at_end();
}

std::string decoded(std::string_view text) {
    JsonCursor in(text);
    std::string out;
    return in.string(out) && in.at_end() ? out : "broken";
}

TEST(JsonCursorTest, SkipsEveryKindOfValue) {
    for (const std::string_view text :
         {"null", "true", "false", "0", "-1.5e3", "\"\"", R"("a\"b\\")", "[]", "{}",
          " [ 1 , \"x\" ] ", R"({"a":{"b":[null,{"c":-0.1}]},"d":"}"})", "NaN", "Infinity",
          "-Infinity", "nan"}) {
        EXPECT_TRUE(valid(text)) << text;
    }
}

TEST(JsonCursorTest, RefusesWhatIsBroken) {
    for (const std::string_view text :
         {"",         " ",       "nul",      "tru",        "{",     "[",  "[1",   "[1,]",
          "[1 2]",    "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "\"", "\"\\", "\"\\\"",
          "\"a\nb\"", "1 2",     "]",        "--1",        "+1",    "'a'"}) {
        EXPECT_FALSE(valid(text)) << text;
    }
}

TEST(JsonCursorTest, ReadsNestingUpToItsLimitOnly) {
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    EXPECT_TRUE(valid(nested(JsonCursor::kDepthMax)));
    EXPECT_FALSE(valid(nested(JsonCursor::kDepthMax + 1)));
    EXPECT_FALSE(valid(std::string(1'000'000, '[')));
}

TEST(JsonCursorTest, DecodesEscapes) {
    EXPECT_EQ(decoded(R"("a\n\t\r\b\f\/\\\"z")"), "a\n\t\r\b\f/\\\"z");
    EXPECT_EQ(decoded(R"("\u0041\u00e4\u20AC\ud83d\ude00")"), "Aä€😀");
    EXPECT_EQ(decoded(R"("\u0000")"), std::string(1, '\0'));
    // Halves of surrogate pairs.
    EXPECT_EQ(decoded(R"("\ud83d")"), "\uFFFD");
    EXPECT_EQ(decoded(R"("\ud83dx")"), "\uFFFDx");
    EXPECT_EQ(decoded(R"("\ude00x")"), "\uFFFDx");
    EXPECT_EQ(decoded(R"("\ud83d\ud83d\ude00")"), "\uFFFD😀");
    EXPECT_EQ(decoded(R"("\ud83d\u0041")"), "\uFFFDA");
    for (const std::string_view text : {R"("\x")", R"("\u12")", R"("\u12g4")", R"("\u-123")"}) {
        EXPECT_EQ(decoded(text), "broken") << text;
    }
}

TEST(JsonCursorTest, ReadsNumbers) {
    const auto number = [](std::string_view text) {
        JsonCursor in(text);
        double value = -1;
        EXPECT_TRUE(in.number(value)) << text;
        return value;
    };
    EXPECT_EQ(number("12"), 12);
    EXPECT_EQ(number(" -0.5e1"), -5);
    EXPECT_TRUE(std::isnan(number("NaN")));
    EXPECT_TRUE(std::isnan(number("-Infinity")));
    EXPECT_TRUE(std::isnan(number("1e999")));
}

TEST(JsonCursorTest, WalksObjectsAndArrays) {
    JsonCursor in(R"( {"a":[1,2], "b\n":"x" , "c":{"d":null}} )");
    std::vector<std::string> seen;
    const bool good = in.object([&](std::string_view key) {
        seen.emplace_back(key);
        std::string_view raw;
        const bool read = in.raw(raw);
        seen.emplace_back(raw);
        return read;
    });
    EXPECT_TRUE(good && in.at_end());
    EXPECT_EQ(seen, (std::vector<std::string>{"a", "[1,2]", "b\\n", "\"x\"", "c", "{\"d\":null}"}));
}

}  // namespace
}  // namespace trilane::lane::upstream
