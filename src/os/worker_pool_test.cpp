#include "os/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>

namespace trilane::os {
namespace {

TEST(WorkerPool, RunsEverythingOnce) {
    constexpr int kPieces = 100;
    std::atomic<int> ran = 0;
    std::promise<void> all;
    WorkerPool pool(2, kPieces);
    for (int i = 0; i < kPieces; ++i) {
        EXPECT_TRUE(pool.post([&] {
            if (++ran == kPieces) {
                all.set_value();
            }
        }));
    }
    all.get_future().wait();
    EXPECT_EQ(ran, kPieces);
}

TEST(WorkerPool, DropsWhatWaitsWhenItEnds) {
    std::atomic<bool> ran = false;
    std::promise<void> begun;
    std::promise<void> go;
    auto gate = go.get_future().share();
    {
        WorkerPool pool(1, 2);
        ASSERT_TRUE(pool.post([&begun, gate] {
            begun.set_value();
            gate.wait();
        }));
        begun.get_future().wait();
        // The piece in the queue holds a token whose end lets the running one go.
        auto token = std::shared_ptr<void>(nullptr, [&go](void*) { go.set_value(); });
        ASSERT_TRUE(pool.post([&ran, token = std::move(token)] { ran = true; }));
    }
    EXPECT_FALSE(ran);
}

TEST(WorkerPool, RefusesMoreThanItsQueueHolds) {
    std::promise<void> begun;
    std::promise<void> go;
    auto gate = go.get_future().share();
    WorkerPool pool(1, 2);
    ASSERT_TRUE(pool.post([&begun, gate] {
        begun.set_value();
        gate.wait();
    }));
    begun.get_future().wait();  // the thread is busy, the queue empty
    EXPECT_TRUE(pool.post([] {}));
    EXPECT_TRUE(pool.post([] {}));
    EXPECT_FALSE(pool.post([] {}));
    go.set_value();
}

}  // namespace
}  // namespace trilane::os
