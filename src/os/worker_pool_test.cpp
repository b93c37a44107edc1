#include "os/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace trilane::os {
namespace {

TEST(WorkerPool, RunsEverythingBeforeItEnds) {
    std::atomic<int> ran = 0;
    {
        WorkerPool pool(2, 100);
        for (int i = 0; i < 100; ++i) {
            EXPECT_TRUE(pool.post([&ran] { ++ran; }));
        }
    }
    EXPECT_EQ(ran, 100);
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
