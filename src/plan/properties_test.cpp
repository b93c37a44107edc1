// What holds of every verdict, on thousands of random machines, holdings and needs. Seeded; a
// failure prints its round.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "plan/calibration.h"
#include "plan/plan.h"

namespace trilane::plan {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;
constexpr int kRounds = 6000;

class Dice {
public:
    explicit Dice(std::uint32_t seed) : random_(seed) {}
    std::uint64_t up_to(std::uint64_t most) {
        return std::uniform_int_distribution<std::uint64_t>(0, most)(random_);
    }
    bool chance(int percent) { return up_to(99) < static_cast<std::uint64_t>(percent); }

private:
    std::mt19937 random_;
};

struct World {
    Memory memory;
    std::vector<Holding> holdings;
    std::string device;
    Need need;
};

Memory random_memory(Dice& dice) {
    Memory memory;
    const std::size_t pools = 1 + dice.up_to(2);
    for (std::size_t p = 0; p < pools; ++p) {
        const std::uint64_t total = (1 + dice.up_to(99)) * 1000 * kMegabyte;
        // Sometimes more is taken than there is.
        memory.pools.push_back({"pool" + std::to_string(p), total, dice.up_to(total / 4),
                                dice.chance(5) ? total : dice.up_to(total / 3)});
    }
    const std::size_t devices = 1 + dice.up_to(2);
    for (std::size_t d = 0; d < devices; ++d) {
        Device device{"device" + std::to_string(d), {}};
        for (std::size_t p = pools; p-- > 0;) {
            if (device.shares.empty() || dice.chance(60)) {
                device.shares.push_back({p, dice.up_to(110'000) * kMegabyte});
            }
        }
        memory.devices.push_back(std::move(device));
    }
    return memory;
}

Need random_need(Dice& dice) {
    Need need;
    need.parts = {{"weights", dice.up_to(60'000) * kMegabyte},
                  {"engine", dice.up_to(500) * kMegabyte}};
    need.context_tokens = static_cast<std::uint32_t>(256 + dice.up_to(131'072));
    need.parallel = static_cast<std::uint32_t>(1 + dice.up_to(7));
    if (dice.chance(80)) {
        need.bytes_per_context_token = static_cast<double>(dice.up_to(400'000)) + 0.25;
        need.parts.push_back({"KV cache", static_cast<std::uint64_t>(need.bytes_per_context_token *
                                                                     need.context_tokens) +
                                              dice.up_to(100) * kMegabyte});
        need.context_tokens_max = static_cast<std::uint32_t>(dice.chance(50) ? 0 : 262'144);
    }
    if (dice.chance(40)) {
        Observation seen;
        seen.load.context_tokens = static_cast<std::uint32_t>(256 + dice.up_to(131'072));
        seen.load.parallel = need.parallel;
        seen.predicted_bytes = need.predicted_bytes();
        seen.observed_bytes = need.predicted_bytes() / 100 * dice.up_to(250);
        seen.answers = kSettledAnswers;
        correct(need, seen.load, std::span(&seen, 1));
    }
    return need;
}

World random_world(Dice& dice, bool equal_priorities) {
    World world;
    world.memory = random_memory(dice);
    const std::size_t count = dice.up_to(9);
    for (std::size_t h = 0; h < count; ++h) {
        Holding holding;
        holding.model = "model" + std::to_string(h);
        holding.device = world.memory.devices[dice.up_to(world.memory.devices.size() - 1)].name;
        for (std::size_t p = 0; p < world.memory.pools.size(); ++p) {
            holding.pool_bytes.push_back(dice.chance(50) ? dice.up_to(20'000) * kMegabyte : 0);
        }
        holding.evictable = dice.chance(75);
        holding.last_used = dice.up_to(50);
        holding.priority = equal_priorities ? 0 : static_cast<std::int32_t>(dice.up_to(4)) - 2;
        world.holdings.push_back(std::move(holding));
    }
    world.device = world.memory.devices[dice.up_to(world.memory.devices.size() - 1)].name;
    world.need = random_need(dice);
    return world;
}

Verdict verdict_of(const World& world) {
    return judge(world.memory, world.holdings, world.device, world.need);
}

bool fits(const World& world) {
    return verdict_of(world).fit != Fit::does_not_fit;
}

/// The world with these models gone.
World without(World world, const std::vector<std::string>& models) {
    std::erase_if(world.holdings, [&](const Holding& holding) {
        return std::find(models.begin(), models.end(), holding.model) != models.end();
    });
    return world;
}

/// The world in which nobody may be evicted any more.
World settled(World world) {
    for (Holding& holding : world.holdings) {
        holding.evictable = false;
    }
    return world;
}

std::uint64_t sum_in(const World& world, std::size_t pool, const std::string& device) {
    std::uint64_t sum = 0;
    for (const Holding& holding : world.holdings) {
        sum += device.empty() || holding.device == device ? holding.pool_bytes[pool] : 0;
    }
    return sum;
}

void expect_within_limits(const World& world, const Verdict& verdict) {
    const World left = without(world, verdict.evict);
    const Device& device = *world.memory.device(world.device);
    std::uint64_t placed = 0;
    for (std::size_t p = 0; p < world.memory.pools.size(); ++p) {
        const std::uint64_t mine = verdict.pool_bytes[p];
        placed += mine;
        if (mine == 0) {
            continue;
        }
        const Pool& pool = world.memory.pools[p];
        EXPECT_LE(sum_in(left, p, "") + mine + pool.reserve_bytes + pool.foreign_bytes,
                  pool.total_bytes);
        std::uint64_t limit = 0;
        for (const Share& share : device.shares) {
            limit += share.pool == p ? share.limit_bytes : 0;
        }
        EXPECT_LE(sum_in(left, p, world.device) + mine, limit);
    }
    EXPECT_EQ(placed, verdict.need_bytes);
}

TEST(Properties, APlacementNeverExceedsAPoolOrALimit) {
    Dice dice(1);
    int placed = 0;
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        SCOPED_TRACE(round);
        const World world = random_world(dice, false);
        const Verdict verdict = verdict_of(world);
        EXPECT_EQ(verdict.need_bytes, world.need.bytes());
        EXPECT_GE(verdict.room_after_eviction_bytes, verdict.room_bytes);
        if (verdict.fit == Fit::does_not_fit) {
            EXPECT_TRUE(verdict.evict.empty());
            EXPECT_LT(verdict.room_after_eviction_bytes, verdict.need_bytes);
            continue;
        }
        ++placed;
        expect_within_limits(world, verdict);
    }
    EXPECT_GT(placed, kRounds / 4);
    EXPECT_LT(placed, kRounds * 9 / 10);
}

TEST(Properties, EvictionsAreNeededPermittedAndInOrder) {
    Dice dice(2);
    int evicting = 0;
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        SCOPED_TRACE(round);
        const World world = random_world(dice, false);
        const Verdict verdict = verdict_of(world);
        if (verdict.evict.empty()) {
            continue;
        }
        ++evicting;
        std::map<std::string, Holding> by_name;
        for (const Holding& holding : world.holdings) {
            by_name[holding.model] = holding;
        }
        for (std::size_t i = 0; i < verdict.evict.size(); ++i) {
            const Holding& going = by_name.at(verdict.evict[i]);
            EXPECT_TRUE(going.evictable) << going.model;
            if (i > 0) {
                const Holding& before = by_name.at(verdict.evict[i - 1]);
                EXPECT_LE(std::pair(before.priority, before.last_used),
                          std::pair(going.priority, going.last_used));
            }
            std::vector<std::string> others = verdict.evict;
            others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
            EXPECT_FALSE(fits(settled(without(world, others)))) << going.model << " need not go";
        }
        EXPECT_TRUE(fits(settled(without(world, verdict.evict))));
    }
    EXPECT_GT(evicting, kRounds / 20);
}

TEST(Properties, MoreMemoryNeverTurnsAFitIntoARefusal) {
    Dice dice(3);
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        SCOPED_TRACE(round);
        const World world = random_world(dice, true);
        const Verdict before = verdict_of(world);
        World richer = world;
        const std::size_t which = dice.up_to(richer.memory.pools.size() - 1);
        Pool& pool = richer.memory.pools[which];
        // Where more is taken than there is, some of it only pays that back.
        const bool overtaken =
            pool.foreign_bytes + pool.reserve_bytes + sum_in(world, which, "") > pool.total_bytes;
        pool.total_bytes += dice.up_to(20'000) * kMegabyte;
        const Verdict after = verdict_of(richer);
        EXPECT_GE(after.room_bytes, before.room_bytes);
        EXPECT_GE(after.context_tokens_max, before.evict.empty() ? before.context_tokens_max : 0);
        if (before.fit != Fit::does_not_fit) {
            EXPECT_NE(after.fit, Fit::does_not_fit);
            EXPECT_LE(after.evict.size(), before.evict.size());
        }
        if (before.fit == Fit::fits && before.evict.empty() && !overtaken) {
            EXPECT_EQ(after.fit, Fit::fits);
        }
    }
}

/// How many of the highest priority go, of the next, …: what a smaller need never makes worse.
std::vector<std::size_t> losses(const World& world, const Verdict& verdict) {
    std::map<std::int32_t, std::size_t, std::greater<>> by_priority;
    for (const Holding& holding : world.holdings) {
        by_priority[holding.priority] += static_cast<std::size_t>(
            std::count(verdict.evict.begin(), verdict.evict.end(), holding.model));
    }
    std::vector<std::size_t> counts;
    for (const auto& [priority, count] : by_priority) {
        counts.push_back(count);
    }
    return counts;
}

TEST(Properties, ASmallerNeedNeverNeedsMoreEvictions) {
    for (const bool equal_priorities : {true, false}) {
        Dice dice(equal_priorities ? 4 : 5);
        for (int round = 0; round < kRounds && !HasFailure(); ++round) {
            SCOPED_TRACE(round);
            const World world = random_world(dice, equal_priorities);
            World smaller = world;
            for (Part& part : smaller.need.parts) {
                part.bytes -= dice.up_to(part.bytes);
            }
            const Verdict large = verdict_of(world);
            const Verdict small = verdict_of(smaller);
            if (large.fit == Fit::does_not_fit) {
                continue;
            }
            EXPECT_NE(small.fit, Fit::does_not_fit);
            EXPECT_LE(losses(smaller, small), losses(world, large));
            if (equal_priorities) {
                EXPECT_LE(small.evict.size(), large.evict.size());
            }
        }
    }
}

TEST(Properties, TheLargestContextFitsAndOneStepMoreDoesNot) {
    Dice dice(6);
    int found = 0;
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        SCOPED_TRACE(round);
        const World world = random_world(dice, false);
        const Verdict verdict = verdict_of(world);
        if (world.need.bytes_per_context_token <= 0) {
            continue;
        }
        // Beside what stays: without those that go, or all that may.
        std::vector<std::string> gone = verdict.evict;
        if (verdict.fit == Fit::does_not_fit) {
            for (const Holding& holding : world.holdings) {
                if (holding.evictable) {
                    gone.push_back(holding.model);
                }
            }
        }
        World beside = settled(without(world, gone));
        const std::uint32_t most = verdict.context_tokens_max;
        if (most > 0) {
            ++found;
            beside.need = at_context(world.need, most);
            EXPECT_TRUE(fits(beside)) << most;
        }
        const std::uint32_t own = world.need.context_tokens_max;
        if (own > 0) {
            EXPECT_LE(most, own);
        }
        if (most < (own == 0 ? 1U << 22U : own)) {
            const std::uint32_t more =
                own == 0 ? most + kContextStep : std::min(most + kContextStep, own);
            beside.need = at_context(world.need, more);
            EXPECT_FALSE(fits(beside)) << more;
        }
    }
    EXPECT_GT(found, kRounds / 5);
}

TEST(Properties, ManyHoldingsAreChosenFromAsWell) {
    Dice dice(7);
    for (int round = 0; round < 200 && !HasFailure(); ++round) {
        SCOPED_TRACE(round);
        World world = random_world(dice, false);
        for (int more = 0; more < 30; ++more) {
            Holding holding;
            holding.model = "more" + std::to_string(more);
            holding.device = world.device;
            holding.pool_bytes.assign(world.memory.pools.size(), dice.up_to(900) * kMegabyte);
            holding.last_used = dice.up_to(50);
            world.holdings.push_back(std::move(holding));
        }
        const Verdict verdict = verdict_of(world);
        for (std::size_t i = 0; i < verdict.evict.size(); ++i) {
            std::vector<std::string> others = verdict.evict;
            others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
            EXPECT_FALSE(fits(settled(without(world, others))));
        }
        if (verdict.fit != Fit::does_not_fit) {
            expect_within_limits(world, verdict);
        }
    }
}

}  // namespace
}  // namespace trilane::plan
