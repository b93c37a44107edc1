// Looking at what models hold: on another thread, again and again, and never waited for.
#include "lane/memory_watch.h"

#include <gtest/gtest.h>

#include <atomic>

namespace trilane::lane {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{20};

bool comes_true(const std::function<bool()>& condition) {
    const auto end = Clock::now() + kPatience;
    while (!condition() && Clock::now() < end) {
        std::this_thread::sleep_for(1ms);
    }
    return condition();
}

plan::Observed holding(std::uint64_t bytes) {
    plan::Observed held;
    held.own_bytes = bytes;
    return held;
}

/// A read that takes as long as the test likes.
class StuckRead {
public:
    plan::Observed operator()() {
        std::unique_lock lock(mutex_);
        begun = true;
        freed_.wait(lock, [this] { return is_free_; });
        return holding(5);
    }
    void free() {
        const std::scoped_lock lock(mutex_);
        is_free_ = true;
        freed_.notify_all();
    }
    std::atomic<bool> begun{false};

private:
    std::mutex mutex_;
    std::condition_variable freed_;
    bool is_free_ = false;
};

TEST(MemoryWatch, LooksAtOnceAndAgainOnAThreadOfItsOwn) {
    MemoryWatch watch;
    std::atomic<std::uint64_t> looks{0};
    std::atomic<std::thread::id> looker{};
    const auto subject = watch.watch([&] {
        looker = std::this_thread::get_id();
        return holding(++looks);
    });
    ASSERT_TRUE(comes_true([&] { return subject->last().held.own_bytes == 1; }));
    const auto first = subject->last().at;
    ASSERT_TRUE(comes_true([&] { return subject->last().held.own_bytes == 2; }));
    EXPECT_GE(subject->last().at - first, MemoryWatch::kInterval);
    EXPECT_NE(looker.load(), std::this_thread::get_id());
}

TEST(MemoryWatch, AReadThatIsStuckKeepsNobodyWaiting) {
    MemoryWatch watch;
    StuckRead read;
    const auto subject = watch.watch([&read] { return read(); });
    ASSERT_TRUE(comes_true([&] { return read.begun.load(); }));
    const auto seen = subject->last();  // would never return
    EXPECT_EQ(seen.held, plan::Observed());
    EXPECT_EQ(seen.at, Clock::time_point()) << "nothing has been seen";
    read.free();
    EXPECT_TRUE(comes_true([&] { return subject->last().held.own_bytes == 5; }));
}

TEST(MemoryWatch, LooksAtOnceWhereItIsAskedTo) {
    MemoryWatch watch;
    std::atomic<std::uint64_t> bytes{1};
    const auto subject = watch.watch([&] { return holding(bytes); });
    ASSERT_TRUE(comes_true([&] { return subject->last().held.own_bytes == 1; }));
    bytes = 2;
    const auto asked = Clock::now();
    while (subject->last().held.own_bytes != 2 && Clock::now() - asked < kPatience) {
        subject->refresh();  // more than once only where the machine is very busy
    }
    EXPECT_EQ(subject->last().held.own_bytes, 2U);
    EXPECT_GE(subject->last().at, asked);
}

TEST(MemoryWatch, AStuckReadIsNotWaitedForLong) {
    MemoryWatch watch;
    StuckRead read;
    const auto subject = watch.watch([&read] { return read(); });
    ASSERT_TRUE(comes_true([&] { return read.begun.load(); }));
    subject->refresh();  // would never return
    EXPECT_EQ(subject->last().at, Clock::time_point());
    read.free();
}

TEST(MemoryWatch, LooksNoMoreAtWhatHasEnded) {
    MemoryWatch watch;
    std::atomic<int> looks{0};
    const auto subject = watch.watch([&] { return holding(static_cast<std::uint64_t>(++looks)); });
    ASSERT_TRUE(comes_true([&] { return looks == 1; }));
    subject->end();
    std::atomic<int> others{0};
    const auto other = watch.watch([&] { return holding(static_cast<std::uint64_t>(++others)); });
    ASSERT_TRUE(comes_true([&] { return others == 2; })) << "an interval has passed";
    EXPECT_EQ(looks, 1);
    EXPECT_EQ(subject->last().held.own_bytes, 1U) << "what was seen stays known";
}

TEST(MemoryWatch, WhatIsLookedAtMayOutliveIt) {
    std::shared_ptr<MemoryWatch::Subject> subject;
    {
        MemoryWatch watch;
        subject = watch.watch([] { return holding(7); });
        ASSERT_TRUE(comes_true([&] { return subject->last().held.own_bytes == 7; }));
    }
    EXPECT_EQ(subject->last().held.own_bytes, 7U);
    subject->refresh();  // nobody is there to look
    subject->end();
}

}  // namespace
}  // namespace trilane::lane
