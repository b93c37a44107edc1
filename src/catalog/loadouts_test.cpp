// The loadouts are data: these tests hold them to what they promise.
#include "catalog/loadouts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "catalog/pull.h"

namespace trilane::catalog {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;
/// Beside the models: the system and its desktop, and each engine's compute buffers.
constexpr std::uint64_t kSystemBytes = 3 * kGiB / 2;
constexpr std::uint64_t kBuffersBytes = 2 * kGiB / 5;

/// As the planner keeps back by default: 6 %, at least 1 GiB, at most 8.
std::uint64_t reserve(std::uint64_t memory_bytes) {
    return std::clamp(memory_bytes * 6 / 100, kGiB, 8 * kGiB);
}

TEST(Loadouts, EachFitsItsTierWithRoomToSpare) {
    for (const Loadout& loadout : loadouts()) {
        std::uint64_t need = 0;
        for (const LoadoutModel& model : loadout.models) {
            need += model.bytes + model.context_tokens * model.kv_bytes_per_token + kBuffersBytes;
        }
        const std::uint64_t room =
            loadout.memory_bytes - reserve(loadout.memory_bytes) - kSystemBytes;
        EXPECT_LE(need, room) << loadout.name << " for " << loadout.memory_bytes / kGiB << " GiB";
        // One that leaves most of its tier empty belongs into the tier below.
        if (loadout.memory_bytes > 32 * kGiB) {
            EXPECT_GE(need, room / 2) << loadout.name;
        }
    }
}

TEST(Loadouts, EachReferenceCanBePulled) {
    for (const Loadout& loadout : loadouts()) {
        ASSERT_FALSE(loadout.models.empty());
        for (const LoadoutModel& model : loadout.models) {
            const std::string_view reference = model.reference;
            if (reference.starts_with("flm:")) {
                EXPECT_EQ(model.lane, "npu");
                EXPECT_EQ(std::count(reference.begin(), reference.end(), ':'), 2) << reference;
            } else if (!reference.starts_with("engine:")) {
                const auto parsed = parse_reference(reference);
                ASSERT_TRUE(parsed.has_value()) << reference;
                // Two pulls a year apart must mean the same weights, as far as a name can say.
                EXPECT_FALSE(parsed->variant.empty()) << reference;
                EXPECT_NE(model.lane, "npu") << reference;
            }
            EXPECT_GT(model.bytes, 0U) << reference;
        }
    }
}

TEST(Loadouts, EveryTierHasTheSetsItShould) {
    std::set<std::pair<std::string_view, std::uint64_t>> sets;
    for (const Loadout& loadout : loadouts()) {
        EXPECT_TRUE(sets.emplace(loadout.name, loadout.memory_bytes).second) << loadout.name;
        const bool primary =
            std::any_of(loadout.models.begin(), loadout.models.end(), [](const LoadoutModel& m) {
                return m.role == "primary" && m.purpose == Purpose::chat;
            });
        EXPECT_TRUE(primary) << loadout.name;
    }
    for (const std::uint64_t gib : {15U, 30U, 61U, 92U}) {
        for (const char* name : {"coder", "chat", "voice", "retrieval"}) {
            EXPECT_TRUE(sets.contains({name, gib * kGiB})) << name << ' ' << gib;
        }
    }
    EXPECT_TRUE(sets.contains({"minimal", 7 * kGiB}));
}

TEST(Loadouts, TheSmallestTierNeedsNoGpu) {
    for (const Loadout& loadout : loadouts()) {
        for (const LoadoutModel& model : loadout.models) {
            EXPECT_TRUE(loadout.memory_bytes > 8 * kGiB || model.lane == "cpu") << model.reference;
        }
    }
}

}  // namespace
}  // namespace trilane::catalog
