#include "base/near_name.h"

#include <gtest/gtest.h>

#include <array>

namespace trilane {
namespace {

constexpr std::array<std::string_view, 6> kKnown{"port", "host", "context", "rm", "ps", "serve"};

TEST(NearName, SlipsAndBeginningsAreUnderstood) {
    EXPECT_EQ(near_name("prot", kKnown), "port");
    EXPECT_EQ(near_name("hots", kKnown), "host");
    EXPECT_EQ(near_name("sreve", kKnown), "serve");
    EXPECT_EQ(near_name("context_tokens", kKnown), "context");
    EXPECT_EQ(near_name("rn", kKnown), "rm");
    EXPECT_EQ(near_name("ps", kKnown), "ps");
}

TEST(NearName, WhatIsFarIsNoSlip) {
    EXPECT_EQ(near_name("sing", kKnown), "");
    EXPECT_EQ(near_name("xy", kKnown), "") << "every letter is another one";
    EXPECT_EQ(near_name("", kKnown), "");
    EXPECT_EQ(near_name("port", {}), "");
}

}  // namespace
}  // namespace trilane
