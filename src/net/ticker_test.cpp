#include "net/ticker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace trilane::net {
namespace {

using namespace std::chrono_literals;

/// Counts, and lets a test wait for a count.
class Count {
public:
    int add() {
        const std::scoped_lock lock(mutex_);
        changed_.notify_all();
        return ++value_;
    }
    bool reaches(int wanted) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 10s, [&] { return value_ >= wanted; });
    }
    int value() {
        const std::scoped_lock lock(mutex_);
        return value_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int value_ = 0;
};

TEST(TickerTest, SleepsUntilItIsWokenAndWhenItIsToldTo) {
    Loops loops(1);
    Count ticks;
    Ticker ticker(loops, 1ms, [&] { return ticks.add() % 3 != 0; });
    Count beats;
    Ticker clock(loops, 1ms, [&] { return beats.add() < 10; });
    clock.wake();
    ASSERT_TRUE(beats.reaches(10));
    EXPECT_EQ(ticks.value(), 0);
    ticker.wake();
    ASSERT_TRUE(ticks.reaches(3));
    clock.wake();
    ASSERT_TRUE(beats.reaches(11));
    EXPECT_EQ(ticks.value(), 3);
    ticker.wake();
    ASSERT_TRUE(ticks.reaches(6));
}

TEST(TickerTest, ForgetsNoCallThatComesDuringATick) {
    Loops loops(2);
    Count ticks;
    std::unique_ptr<Ticker> ticker;
    ticker = std::make_unique<Ticker>(loops, 1ms, [&] {
        if (ticks.value() < 50) {
            ticker->wake();
        }
        ticks.add();
        return false;
    });
    ticker->wake();
    EXPECT_TRUE(ticks.reaches(51));
    ticker.reset();
}

TEST(TickerTest, EndsFromWithinATick) {
    Loops loops(1);
    Count ticks;
    std::unique_ptr<Ticker> ticker;
    ticker = std::make_unique<Ticker>(loops, 1ms, [&] {
        ticker.reset();
        ticks.add();
        return true;
    });
    ticker->wake();
    ASSERT_TRUE(ticks.reaches(1));
    Count beats;
    Ticker clock(loops, 1ms, [&] { return beats.add() < 5; });
    clock.wake();
    ASSERT_TRUE(beats.reaches(5));
    EXPECT_EQ(ticks.value(), 1);
}

TEST(TickerTest, WakesFromManyThreads) {
    Loops loops(2);
    Count ticks;
    Ticker ticker(loops, 1ms, [&] {
        ticks.add();
        return false;
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int k = 0; k < 1000; ++k) {
                ticker.wake();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_TRUE(ticks.reaches(1));
}

}  // namespace
}  // namespace trilane::net
