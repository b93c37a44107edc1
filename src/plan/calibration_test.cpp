// What follows from observations: a few by hand, and what must hold of all.
#include "plan/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace trilane::plan {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMB = 1'000'000;

/// 4 GB of weights, 1 GB of KV at 8192 tokens, 300 MB besides.
Need eight_thousand() {
    Need need;
    need.parts = {{"weights", 4000 * kMB}, {"KV cache", 1024 * kMB}, {"engine", 300 * kMB}};
    need.context_tokens = 8192;
    need.bytes_per_context_token = 125'000;
    return need;
}

LoadKind kind_of(const Need& need) {
    return {.model = "qwen",
            .weight_bytes = weight_bytes_of(need),
            .lane = "llama-server",
            .device = "gpu0",
            .kv = KvType::f16,
            .context_tokens = need.context_tokens,
            .parallel = need.parallel};
}

Observation seen(const Need& need, std::uint64_t held, std::uint32_t answers = 10) {
    Observation one;
    one.load = kind_of(need);
    one.predicted_bytes = need.predicted_bytes();
    one.filling_bytes = filling_bytes_of(need);
    one.observed_bytes = held;
    one.answers = answers;
    one.unix_s = 1'700'000'000;
    return one;
}

Need corrected_by(Need need, const std::vector<Observation>& known) {
    const LoadKind kind = kind_of(need);
    correct(need, kind, known);
    return need;
}

TEST(Calibration, TheSameLoadIsPlannedWithWhatItHeld) {
    const Need need = eight_thousand();
    const Need more = corrected_by(need, {seen(need, 5900 * kMB)});
    EXPECT_EQ(more.bytes(), 5900 * kMB);
    EXPECT_EQ(more.predicted_bytes(), 5324 * kMB) << "the parts stay";
    EXPECT_EQ(more.correction->observed_bytes, 5900 * kMB);
    const Need less = corrected_by(need, {seen(need, 5000 * kMB)});
    EXPECT_EQ(less.bytes(), 5000 * kMB);
}

TEST(Calibration, NothingKnownChangesNothing) {
    const Need need = eight_thousand();
    EXPECT_EQ(corrected_by(need, {}).bytes(), need.predicted_bytes());
    Observation other = seen(need, 9000 * kMB);
    const std::vector<std::function<void(LoadKind&)>> changes{
        [](LoadKind& kind) { kind.model = "llama"; },
        [](LoadKind& kind) { kind.weight_bytes += 1; },
        [](LoadKind& kind) { kind.lane = "native"; }, [](LoadKind& kind) { kind.device = "cpu"; },
        [](LoadKind& kind) { kind.kv = KvType::q8_0; }};
    for (const auto& change : changes) {
        Observation one = other;
        change(one.load);
        EXPECT_FALSE(corrected_by(need, {one}).correction.has_value());
    }
}

TEST(Calibration, OtherContextsAreCorrectedByTheSame) {
    const Need need = eight_thousand();
    const Need twice = at_context(need, 16'384);
    const Need half = at_context(need, 4096);
    const std::vector<Observation> more{seen(need, 5900 * kMB)};
    EXPECT_EQ(corrected_by(twice, more).bytes(), twice.predicted_bytes() + 576 * kMB);
    EXPECT_EQ(corrected_by(half, more).bytes(), half.predicted_bytes() + 576 * kMB);
    const std::vector<Observation> less{seen(need, 5000 * kMB)};
    EXPECT_EQ(corrected_by(twice, less).bytes(), twice.predicted_bytes() - 324 * kMB);
    EXPECT_EQ(corrected_by(half, less).bytes(), half.predicted_bytes())
        << "it takes no more than 5000 MB; nobody saw that it takes less";
}

TEST(Calibration, MoreRequestsAtOnceNeverNeedLess) {
    const Need need = eight_thousand();
    Need four = need;
    four.parallel = 4;
    four.parts[1].bytes *= 4;
    EXPECT_EQ(corrected_by(four, {seen(need, 5900 * kMB)}).bytes(),
              four.predicted_bytes() + 576 * kMB);
    EXPECT_EQ(corrected_by(four, {seen(need, 5000 * kMB)}).bytes(), four.predicted_bytes());
    // One of its own shape is better, though older.
    Observation own = seen(four, four.predicted_bytes() + 100 * kMB);
    own.unix_s -= 1000;
    EXPECT_EQ(corrected_by(four, {own, seen(need, 5900 * kMB)}).bytes(),
              four.predicted_bytes() + 100 * kMB);
}

TEST(Calibration, StaysWithinItsBounds) {
    const Need need = eight_thousand();
    EXPECT_EQ(corrected_by(need, {seen(need, 50'000 * kMB)}).bytes(), 2 * 5324 * kMB);
    EXPECT_EQ(corrected_by(need, {seen(need, 4000 * kMB)}).bytes(), 4000 * kMB) << "the weights";
    Need small = need;
    small.parts[0].bytes = 100 * kMB;
    EXPECT_EQ(corrected_by(small, {seen(small, 110 * kMB)}).bytes(), 1424 * kMB * 3 / 4);
}

TEST(Calibration, LessIsNotBelievedBeforeItHasSettled) {
    const Need need = eight_thousand();
    EXPECT_EQ(corrected_by(need, {seen(need, 5000 * kMB, kSettledAnswers - 1)}).bytes(),
              need.predicted_bytes());
    EXPECT_EQ(corrected_by(need, {seen(need, 5900 * kMB, 0)}).bytes(), 5900 * kMB);
}

TEST(Calibration, WhatFillsWithUseIsMissedByNobody) {
    Need need = eight_thousand();
    need.parts.push_back({"prompt cache", 2000 * kMB});
    // The cache is empty yet; all else is as predicted.
    EXPECT_EQ(corrected_by(need, {seen(need, 5324 * kMB)}).bytes(), need.predicted_bytes());
    EXPECT_EQ(corrected_by(need, {seen(need, 5000 * kMB)}).bytes(), 7000 * kMB);
}

TEST(Calibration, ComparesWhatCanBeCompared) {
    const Need need = eight_thousand();
    const auto held = [&](const Observed& observed, std::string_view device) {
        return comparable_bytes(need, observed, device);
    };
    EXPECT_EQ(held({.own_bytes = 5000 * kMB}, "cpu"), 5000 * kMB);
    EXPECT_EQ(held({.own_bytes = 900 * kMB, .gpu_bytes = 0, .vram_bytes = 4500 * kMB}, "gpu0"),
              5400 * kMB);
    // Mapped weights are no memory that a process has for itself, yet it needs them there.
    EXPECT_EQ(held({.own_bytes = 1300 * kMB, .file_bytes = 4060 * kMB}, "cpu"), 5300 * kMB);
    EXPECT_EQ(held({.own_bytes = 1300 * kMB, .file_bytes = 500 * kMB}, "cpu"), std::nullopt)
        << "most of the weights are nowhere to be seen";
    EXPECT_EQ(held({.own_bytes = 6000 * kMB}, "gpu0"), std::nullopt) << "the GPU says nothing";
    EXPECT_EQ(held({}, "cpu"), std::nullopt);
}

TEST(Calibration, NotesTheMostOfALoadAndOfTheOneBefore) {
    const Need need = eight_thousand();
    std::vector<Observation> known;
    EXPECT_TRUE(note(known, seen(need, 5000 * kMB), false));
    EXPECT_TRUE(note(known, seen(need, 5900 * kMB), true));
    EXPECT_FALSE(note(known, seen(need, 5000 * kMB), true)) << "it has been more";
    EXPECT_FALSE(note(known, seen(need, 5910 * kMB), true)) << "hardly more";
    ASSERT_EQ(known.size(), 1U);
    EXPECT_EQ(known[0].most_bytes(), 5910 * kMB);
    EXPECT_TRUE(note(known, seen(need, 5500 * kMB), false));
    EXPECT_EQ(known[0].most_bytes(), 5910 * kMB) << "the load before";
    EXPECT_TRUE(note(known, seen(need, 5400 * kMB), false));
    EXPECT_EQ(known[0].most_bytes(), 5500 * kMB) << "a better engine is believed in the end";
}

TEST(Calibration, RemembersABoundedNumber) {
    std::vector<Observation> known;
    for (std::size_t i = 0; i < kObservationsMax + 10; ++i) {
        Observation one = seen(eight_thousand(), 5000 * kMB);
        one.load.context_tokens = static_cast<std::uint32_t>(i);
        one.unix_s += static_cast<std::int64_t>(i);
        note(known, one, false);
    }
    EXPECT_EQ(known.size(), kObservationsMax);
    EXPECT_TRUE(std::ranges::all_of(
        known, [](const Observation& one) { return one.load.context_tokens >= 10; }));
}

TEST(Calibration, TheVerdictNamesTheCorrection) {
    Memory memory;
    memory.pools = {{"system", 8000 * kMB, 0, 0}};
    memory.devices = {{"gpu0", {{0, 8000 * kMB}}}};
    const Need need = eight_thousand();
    EXPECT_THAT(judge(memory, {}, "gpu0", corrected_by(need, {seen(need, 5900 * kMB)})).text,
                HasSubstr("5.9 GB (weights 4.0 GB, KV cache 1.0 GB, engine 300 MB, observed "
                          "correction +576 MB)"));
    EXPECT_THAT(judge(memory, {}, "gpu0", corrected_by(need, {seen(need, 5000 * kMB)})).text,
                HasSubstr("observed correction -324 MB"));
}

TEST(CalibrationProperties, MonotoneBoundedAndIdempotent) {
    std::mt19937_64 random(11);
    const auto up_to = [&](std::uint64_t most) { return random() % (most + 1); };
    int corrections = 0;
    for (int round = 0; round < 4000 && !::testing::Test::HasFailure(); ++round) {
        SCOPED_TRACE(round);
        Need need;
        need.parts = {{"weights", up_to(60'000) * kMB},
                      {"KV cache", up_to(20'000) * kMB},
                      {"prompt cache", up_to(1) * up_to(4000) * kMB},
                      {"engine", up_to(2000) * kMB}};
        need.context_tokens = static_cast<std::uint32_t>(256 + up_to(131'072));
        need.parallel = static_cast<std::uint32_t>(1 + up_to(1));
        need.bytes_per_context_token =
            static_cast<double>(need.parts[1].bytes) / need.context_tokens;
        std::vector<Observation> known;
        for (std::uint64_t i = up_to(3); i > 0; --i) {
            Need other = at_context(need, static_cast<std::uint32_t>(256 + up_to(131'072)));
            other.parallel = static_cast<std::uint32_t>(1 + up_to(1));
            Observation one = seen(other, other.predicted_bytes() / 100 * up_to(300),
                                   static_cast<std::uint32_t>(up_to(6)));
            one.unix_s += static_cast<std::int64_t>(up_to(5));
            known.push_back(one);
        }
        const Need once = corrected_by(need, known);
        EXPECT_EQ(corrected_by(once, known).bytes(), once.bytes()) << "idempotent";
        EXPECT_EQ(once.predicted_bytes(), need.predicted_bytes());
        corrections += once.bytes() != need.bytes() ? 1 : 0;
        // A load that holds what was planned for it teaches nothing new.
        const Need again = corrected_by(once, {seen(once, once.bytes())});
        EXPECT_GE(again.bytes(), once.bytes());
        std::uint64_t before = 0;
        for (std::uint32_t context = 0; context < 262'144; context += 8191) {
            const Need there = at_context(once, context);
            const auto predicted = static_cast<double>(there.predicted_bytes());
            EXPECT_GE(there.bytes(), before) << "monotone, at " << context;
            EXPECT_GE(there.bytes(), weight_bytes_of(there));
            EXPECT_LE(static_cast<double>(there.bytes()), predicted * kCorrectedMax + 1);
            EXPECT_GE(static_cast<double>(there.bytes()), predicted * kCorrectedMin - 1);
            before = there.bytes();
        }
    }
    EXPECT_GT(corrections, 500);
}

}  // namespace
}  // namespace trilane::plan
