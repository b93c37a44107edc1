#include "json/json.h"

#include <gtest/gtest.h>

#include "json/text.h"

namespace trilane::json {
namespace {

TEST(JsonText, EscapesWhatJsonForbidsAndNothingElse) {
    std::string out = "<";
    append_escaped(out, std::string_view("a\"b\\c\n\r\t\x01 \0é", 13));
    EXPECT_EQ(out, "<a\\\"b\\\\c\\n\\r\\t\\u0001 \\u0000é");
}

TEST(Json, KeepsKeyOrder) {
    EXPECT_EQ(dump(parse(R"({"z":1,"a":[true,null,"x"]})").value()),
              R"({"z":1,"a":[true,null,"x"]})");
}

TEST(Json, ErrorsSayWhere) {
    const auto broken = parse(R"({"a": tru})");
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().fault, Fault::invalid);
    EXPECT_NE(broken.error().message.find("line 1"), std::string::npos);
    EXPECT_FALSE(parse(""));
    EXPECT_FALSE(parse("\"\xFF\""));
}

TEST(Json, RefusesDeepNesting) {
    EXPECT_TRUE(parse(std::string(kDepthMax, '[') + std::string(kDepthMax, ']')));
    EXPECT_FALSE(parse(std::string(100000, '[')));
    EXPECT_TRUE(parse("\"" + std::string(1000, '[') + "\""));
}

TEST(Json, RefusesTooManyValues) {
    constexpr std::size_t kValuesMax = 1'000'000;
    const auto of = [](std::size_t values) {
        std::string text = "[";
        for (std::size_t i = 2; i < values; ++i) {
            text += "1,";
        }
        return text + "1]";
    };
    EXPECT_TRUE(parse(of(kValuesMax)));
    const auto refused = parse(of(kValuesMax + 1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fault, Fault::invalid);
    EXPECT_TRUE(parse("\"" + std::string(2 * kValuesMax, ',') + "\"")) << "a text is one value";
}

TEST(Json, DumpRepairsBadUtf8) {
    EXPECT_EQ(dump(Value("a\xFF")), "\"a\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace trilane::json
