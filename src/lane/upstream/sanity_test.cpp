#include "lane/upstream/sanity.h"

#include <gtest/gtest.h>

namespace trilane::lane::upstream {
namespace {

TEST(SanityTest, AcceptsWhatLooksLikeText) {
    for (const std::string_view text :
         {"ready", "Ready.", " ready\n", "No", "...", "OK!", "<think>\nOkay, the user", "准备好了",
          "ready ready ready", "aab", "Ready!!!!", "no no no no", "hm hmmmm", "a\xF0\x9F"}) {
        EXPECT_TRUE(judge_sanity(text)) << text;
    }
}

TEST(SanityTest, RefusesWhatBrokenDriversSay) {
    using namespace std::string_view_literals;
    for (const std::string_view text :
         {""sv, "   \n\t"sv, "GGGGGGGG"sv, "@@@@GGGGGG"sv, "@@@@"sv, "@ @ @ @ @"sv, "\0\0\0\0"sv,
          "????????"sv, "\xFF\xFE\xFD"sv, "啊啊啊啊"sv, "\uFFFD\uFFFD\uFFFD a"sv}) {
        const Status status = judge_sanity(text);
        ASSERT_FALSE(status) << text;
        EXPECT_EQ(status.error().fault, Fault::corrupt);
    }
    EXPECT_NE(judge_sanity("GGGGGGGG").error().message.find("'GGGGGGGG'"), std::string::npos);
    EXPECT_NE(judge_sanity("\x01\x02").error().message.find("\\x01\\x02"), std::string::npos);
}

}  // namespace
}  // namespace trilane::lane::upstream
