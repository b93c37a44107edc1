// Tests of the worker team: who runs, who sees what, spinning and parked, and more workers than
// cores.
#include "os/thread_team.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

namespace trilane::os {
namespace {

class ThreadTeamTest : public ::testing::TestWithParam<std::size_t> {};

TEST_P(ThreadTeamTest, EveryWorkerRunsOnce) {
    ThreadTeam team(GetParam());
    ASSERT_EQ(team.size(), GetParam());
    std::vector<int> calls(team.size(), 0);  // plain: run() must order what the workers wrote
    for (int round = 0; round < 200; ++round) {
        team.run([&](std::size_t worker) { ++calls.at(worker); });
        ASSERT_EQ(calls, std::vector<int>(team.size(), round + 1));
    }
}

TEST_P(ThreadTeamTest, EachRunSeesWhatTheRunBeforeWrote) {
    ThreadTeam team(GetParam());
    const std::size_t size = team.size();
    std::vector<std::uint64_t> now(size, 1);
    std::vector<std::uint64_t> next(size);
    // Each worker reads a neighbour's value of the round before.
    for (int round = 0; round < 300; ++round) {
        team.run([&](std::size_t worker) { next[worker] = now[(worker + 1) % size] + 1; });
        now.swap(next);
    }
    EXPECT_EQ(now, std::vector<std::uint64_t>(size, 301));
}

TEST_P(ThreadTeamTest, EveryItemIsDoneOnce) {
    ThreadTeam team(GetParam());
    for (const std::size_t items :
         {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{500}}) {
        std::vector<int> done(items, 0);  // plain: share() must order what the workers wrote
        for (int round = 0; round < 50; ++round) {
            team.share(items, [&](std::size_t worker, std::size_t item) {
                ASSERT_LT(worker, team.size());
                ++done.at(item);
            });
        }
        EXPECT_EQ(done, std::vector<int>(items, 50));
    }
}

TEST_P(ThreadTeamTest, SharesAndRunsFollowEachOther) {
    ThreadTeam team(GetParam());
    std::vector<std::uint64_t> sums(team.size());
    for (std::uint64_t round = 0; round < 200; ++round) {
        std::vector<std::uint64_t> parts(5);
        team.share(parts.size(),
                   [&](std::size_t, std::size_t item) { parts[item] = item + round; });
        // Every worker reads what all items wrote.
        team.run([&](std::size_t worker) {
            sums[worker] += std::accumulate(parts.begin(), parts.end(), std::uint64_t{0});
        });
    }
    EXPECT_EQ(sums, std::vector<std::uint64_t>(team.size(), 200 * 10 + 5 * (199 * 200 / 2)));
}

TEST_P(ThreadTeamTest, WorkersAreDistinctThreadsAndZeroIsTheCaller) {
    ThreadTeam team(GetParam());
    std::vector<std::thread::id> ids(team.size());
    team.run([&](std::size_t worker) { ids[worker] = std::this_thread::get_id(); });
    EXPECT_EQ(ids[0], std::this_thread::get_id());
    EXPECT_EQ(std::set<std::thread::id>(ids.begin(), ids.end()).size(), team.size());
    auto again = ids;
    team.run([&](std::size_t worker) { again[worker] = std::this_thread::get_id(); });
    EXPECT_EQ(again, ids);
}

TEST_P(ThreadTeamTest, ManyTeamsComeAndGo) {
    for (int i = 0; i < 30; ++i) {
        ThreadTeam team(GetParam());
        if (i % 3 == 0) {
            continue;  // never used
        }
        std::atomic<std::size_t> sum{0};
        team.run([&](std::size_t worker) { sum += worker + 1; });
        EXPECT_EQ(sum, team.size() * (team.size() + 1) / 2);
    }
}

/// Long enough for the others to have parked: the clock decides, so no test sleeps.
void outlast_the_spin() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(3);
    while (std::chrono::steady_clock::now() < until) {
        sched_yield();
    }
}

TEST_P(ThreadTeamTest, ParkedWorkersWakeAndAParkedCallerToo) {
    ThreadTeam team(GetParam());
    for (int round = 0; round < 5; ++round) {
        outlast_the_spin();
        std::atomic<std::size_t> ran{0};
        team.run([&](std::size_t worker) {
            if (worker == team.size() - 1) {
                outlast_the_spin();  // the caller is done first and has to wait
            }
            ++ran;
        });
        ASSERT_EQ(ran, team.size());
    }
}

// 1 is a direct call; 9 is more than this process's cores on small machines, so workers must yield.
INSTANTIATE_TEST_SUITE_P(Sizes, ThreadTeamTest, ::testing::Values(1, 2, 3, 9),
                         ::testing::PrintToStringParamName());

TEST(ThreadTeam, TwoTeamsWorkAtTheSameTime) {
    std::atomic<int> total{0};
    std::thread other([&] {
        ThreadTeam team(3);
        for (int i = 0; i < 100; ++i) {
            team.run([&](std::size_t) { ++total; });
        }
    });
    ThreadTeam team(2);
    for (int i = 0; i < 100; ++i) {
        team.run([&](std::size_t) { ++total; });
    }
    other.join();
    EXPECT_EQ(total, 500);
}

}  // namespace
}  // namespace trilane::os
