#include "base/utf8.h"

#include <gtest/gtest.h>

namespace trilane {
namespace {

TEST(Utf8, AcceptsWellFormedAndRefusesTheRest) {
    EXPECT_TRUE(is_valid_utf8(""));
    EXPECT_TRUE(is_valid_utf8("na\xC3\xAFve \xE6\xBC\xA2 \xF0\x9F\x99\x82"));
    EXPECT_FALSE(is_valid_utf8("\xC0\xAF"));          // overlong
    EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));      // surrogate
    EXPECT_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));  // above U+10FFFF
    EXPECT_FALSE(is_valid_utf8("\xE6\xBC"));          // truncated
    EXPECT_FALSE(is_valid_utf8("\x80"));              // lone continuation
}

TEST(Utf8, CutsAStreamOnlyBetweenCharacters) {
    const std::string face = "\xF0\x9F\x99\x82";
    for (std::size_t n = 0; n < face.size(); ++n) {
        EXPECT_EQ(utf8_complete_prefix("a" + face.substr(0, n)), 1u);
    }
    EXPECT_EQ(utf8_complete_prefix("a" + face), 5u);
    EXPECT_EQ(utf8_complete_prefix("a\xFF"), 2u);  // can never complete: do not wait for it
    EXPECT_EQ(utf8_complete_prefix(""), 0u);
}

TEST(Utf8, ClipsBetweenCharacters) {
    EXPECT_EQ(utf8_clipped("short", 5), "short");
    EXPECT_EQ(utf8_clipped("longer", 4), "long…");
    EXPECT_EQ(utf8_clipped("a\xE6\xBC\xA2", 3), "a…");
}

TEST(Utf8, RepairsByMaximalSubparts) {
    EXPECT_EQ(utf8_repaired("a\xFFz"), "a\xEF\xBF\xBDz");
    EXPECT_EQ(utf8_repaired("\xF0\x9F\x99"), "\xEF\xBF\xBD");
    EXPECT_EQ(utf8_repaired("ok"), "ok");
}

}  // namespace
}  // namespace trilane
