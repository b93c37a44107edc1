#include "json/json.h"

#include <gtest/gtest.h>

namespace trilane::json {
namespace {

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

TEST(Json, DumpRepairsBadUtf8) {
    EXPECT_EQ(dump(Value("a\xFF")), "\"a\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace trilane::json
