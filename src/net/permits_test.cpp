// Whose turn it is when a client's connections are all taken.
#include "net/permits.h"

#include <gtest/gtest.h>

namespace trilane::net {
namespace {

using Turn = Permits::Turn;

TEST(Permits, BoundsConnectionsAndWaiting) {
    Permits permits(2, 2, 1);
    EXPECT_EQ(permits.ask(0), Turn::open);
    EXPECT_EQ(permits.ask(1), Turn::open);
    EXPECT_EQ(permits.ask(0), Turn::wait);
    EXPECT_EQ(permits.ask(1), Turn::full);
    EXPECT_EQ(permits.open(), 2U);
    EXPECT_EQ(permits.give_back(1), 0U);
    EXPECT_EQ(permits.open(), 2U);
    permits.leave(0);
    EXPECT_EQ(permits.give_back(0), std::nullopt);
    EXPECT_EQ(permits.open(), 1U);
}

TEST(Permits, ALoopWithoutConnectionsComesFirst) {
    Permits permits(3, 3, 9);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(permits.ask(0), Turn::open);
    }
    EXPECT_EQ(permits.ask(0), Turn::wait);
    EXPECT_FALSE(permits.should_yield(0));
    EXPECT_EQ(permits.ask(1), Turn::wait);
    EXPECT_TRUE(permits.should_yield(0));
    EXPECT_EQ(permits.give_back(0), 1U);
    permits.leave(1);
    EXPECT_EQ(permits.ask(1), Turn::wait);
    EXPECT_FALSE(permits.should_yield(0)) << "two here and one there is balance enough";
    EXPECT_FALSE(permits.should_yield(1));
}

TEST(Permits, ALoopWhereNobodyWaitsYields) {
    Permits permits(2, 4, 9);
    for (const std::size_t loop : {0U, 1U, 1U, 1U}) {
        EXPECT_EQ(permits.ask(loop), Turn::open);
    }
    EXPECT_EQ(permits.ask(1), Turn::wait);
    EXPECT_TRUE(permits.should_yield(0));
    EXPECT_EQ(permits.idle_elsewhere(1), std::nullopt);
    permits.set_idle(0, 1);
    EXPECT_EQ(permits.idle_elsewhere(1), 0U);
    EXPECT_EQ(permits.idle_elsewhere(0), std::nullopt);
}

TEST(Permits, OneConnectionGoesToAndFro) {
    Permits permits(2, 1, 9);
    EXPECT_EQ(permits.ask(0), Turn::open);
    EXPECT_EQ(permits.ask(0), Turn::wait);
    EXPECT_EQ(permits.ask(1), Turn::wait);
    EXPECT_TRUE(permits.should_yield(0));
    EXPECT_EQ(permits.give_back(0), 1U);
    permits.leave(1);
    EXPECT_TRUE(permits.should_yield(1));
    EXPECT_EQ(permits.give_back(1), 0U);
}

}  // namespace
}  // namespace trilane::net
