#include "catalog/byte_ranges.h"

#include <gtest/gtest.h>

#include <random>

namespace trilane::catalog {
namespace {

std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs(const std::vector<ByteRange>& ranges) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
    for (const ByteRange& range : ranges) {
        out.emplace_back(range.begin, range.end);
    }
    return out;
}

using Pairs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

TEST(ByteRanges, NeighboursAndOverlapsBecomeOne) {
    ByteRanges ranges;
    ranges.add({10, 20});
    ranges.add({30, 40});
    ranges.add({5, 5});
    EXPECT_EQ(pairs(ranges.ranges()), (Pairs{{10, 20}, {30, 40}}));
    ranges.add({20, 25});
    ranges.add({0, 3});
    EXPECT_EQ(pairs(ranges.ranges()), (Pairs{{0, 3}, {10, 25}, {30, 40}}));
    ranges.add({2, 35});
    EXPECT_EQ(pairs(ranges.ranges()), (Pairs{{0, 40}}));
    EXPECT_EQ(ranges.bytes(), 40U);
}

TEST(ByteRanges, WhatIsMissingComesInPieces) {
    ByteRanges ranges;
    EXPECT_EQ(pairs(ranges.missing(25, 10)), (Pairs{{0, 10}, {10, 20}, {20, 25}}));
    ranges.add({4, 12});
    EXPECT_EQ(pairs(ranges.missing(25, 10)), (Pairs{{0, 4}, {12, 22}, {22, 25}}));
    ranges.add({0, 25});
    EXPECT_TRUE(ranges.missing(25, 10).empty());
    EXPECT_TRUE(ByteRanges().missing(0, 10).empty());
}

TEST(ByteRanges, AgreeWithAPlainMapOfBytes) {
    std::mt19937 random(42);
    for (int round = 0; round < 200; ++round) {
        constexpr std::uint64_t kWhole = 64;
        ByteRanges ranges;
        std::vector<bool> there(kWhole, false);
        for (int i = 0; i < 12; ++i) {
            const std::uint64_t begin = random() % kWhole;
            const std::uint64_t end = begin + random() % (kWhole - begin + 1);
            ranges.add({begin, end});
            std::fill(there.begin() + static_cast<std::ptrdiff_t>(begin),
                      there.begin() + static_cast<std::ptrdiff_t>(end), true);
        }
        std::vector<bool> lacking(kWhole, false);
        for (const ByteRange& range : ranges.missing(kWhole, 1 + random() % 20)) {
            for (std::uint64_t i = range.begin; i < range.end; ++i) {
                EXPECT_FALSE(lacking[i]);
                lacking[i] = true;
            }
        }
        for (std::uint64_t i = 0; i < kWhole; ++i) {
            EXPECT_NE(there[i], lacking[i]);
        }
    }
}

}  // namespace
}  // namespace trilane::catalog
