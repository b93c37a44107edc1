// Pools of typical machines, and verdicts with their sentences.
#include "plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "probe/learn.h"

namespace trilane::plan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;
constexpr std::uint64_t kGB = 1'000'000'000;

probe::GpuFacts gpu(std::string name, bool integrated, std::uint64_t gtt_bytes) {
    probe::GpuFacts facts;
    facts.name = std::move(name);
    facts.vendor = probe::Vendor::amd;
    facts.integrated = integrated;
    if (gtt_bytes > 0) {
        facts.gtt_total_bytes = {gtt_bytes, "mem_info_gtt_total"};
    }
    return facts;
}

/// Strix Halo: 62 GiB for the system, 512 MiB carved out, 48 GiB of GTT, an NPU.
probe::Machine apu() {
    probe::Machine machine;
    machine.pools = {{"system", 62 * kGiB, 58 * kGiB, "meminfo"},
                     {"carve-out:card1", kGiB / 2, kGiB / 4, "vram"}};
    machine.gpus = {gpu("card1", true, 48 * kGiB)};
    machine.npus.emplace_back();
    return machine;
}

probe::Machine discrete() {
    probe::Machine machine;
    machine.pools = {{"system", 32 * kGiB, 30 * kGiB, "meminfo"},
                     {"vram:card0", 16 * kGiB, 15 * kGiB, "vram"}};
    machine.gpus = {gpu("card0", false, 16 * kGiB)};
    return machine;
}

/// One pool without reserve, drawn from by "cpu" and, up to a limit, by "gpu0".
Memory simple(std::uint64_t total_bytes, std::uint64_t gpu_limit_bytes = 0) {
    Memory memory;
    memory.pools = {{"system", total_bytes, 0, 0}};
    memory.devices = {{"cpu", {{0, total_bytes}}}, {"gpu0", {{0, gpu_limit_bytes}}}};
    return memory;
}

Need need_of(std::uint64_t weights, std::uint64_t kv, std::uint32_t context = 0) {
    Need need;
    need.parts = {{"weights", weights}, {"KV cache", kv}};
    need.context_tokens = context;
    need.bytes_per_context_token =
        context == 0 ? 0.0 : static_cast<double>(kv) / static_cast<double>(context);
    return need;
}

Holding holding(std::string model, std::string device, std::uint64_t bytes,
                std::uint64_t last_used = 0, std::int32_t priority = 0) {
    return {.model = std::move(model),
            .device = std::move(device),
            .pool_bytes = {bytes},
            .evictable = true,
            .last_used = last_used,
            .priority = priority};
}

TEST(MemoryOf, AnApuDrawsItsCarveOutFirstAndThenSystemMemoryUpToTheGtt) {
    const Memory memory = memory_of(apu(), {});
    ASSERT_EQ(memory.pools.size(), 2U);
    EXPECT_EQ(memory.pools[0].foreign_bytes, 4 * kGiB);
    EXPECT_GT(memory.pools[0].reserve_bytes, 3 * kGiB);
    EXPECT_LT(memory.pools[1].reserve_bytes, kGiB / 16) << "no system lives there";
    const Device* graphics = memory.device("gpu0");
    ASSERT_NE(graphics, nullptr);
    ASSERT_EQ(graphics->shares.size(), 2U);
    EXPECT_EQ(graphics->shares[0].pool, 1U);
    EXPECT_EQ(graphics->shares[1].pool, 0U);
    EXPECT_EQ(graphics->shares[1].limit_bytes, 48 * kGiB);
    for (const char* name : {"cpu", "npu"}) {
        const Device* device = memory.device(name);
        ASSERT_NE(device, nullptr) << name;
        ASSERT_EQ(device->shares.size(), 1U);
        EXPECT_EQ(device->shares[0].pool, 0U);
    }
    EXPECT_EQ(memory.device("gpu1"), nullptr);
}

TEST(MemoryOf, ADiscreteGpuDrawsOnlyItsOwn) {
    const Memory memory = memory_of(discrete(), {});
    const Device* graphics = memory.device("gpu0");
    ASSERT_NE(graphics, nullptr);
    ASSERT_EQ(graphics->shares.size(), 1U);
    EXPECT_EQ(graphics->shares[0].pool, 1U);
    EXPECT_EQ(memory.device("npu"), nullptr);
    EXPECT_EQ(memory.pools[1].foreign_bytes, kGiB);
}

/// Somebody of ours on a device.
std::vector<Occupant> occupant(std::string device, const Observed& observed,
                               std::vector<std::uint64_t> claim = {}) {
    return {{std::move(device), std::move(claim), observed}};
}

TEST(MemoryOf, WhatResidentsHoldIsNotForeign) {
    const auto foreign = [](const probe::Machine& machine, const std::vector<Occupant>& ours,
                            std::size_t pool) {
        return memory_of(machine, {}, ours).pools[pool].foreign_bytes;
    };
    EXPECT_EQ(foreign(apu(), occupant("cpu", {.own_bytes = 3 * kGiB}), 0), kGiB);
    EXPECT_EQ(foreign(apu(), occupant("cpu", {.own_bytes = 9 * kGiB}), 0), 0U);
    EXPECT_EQ(foreign(apu(), occupant("cpu", {.file_bytes = 3 * kGiB}), 0), 4 * kGiB)
        << "mapped files do not count as in use";
    const auto graphics =
        occupant("gpu0", {.own_bytes = kGiB, .gpu_bytes = kGiB, .vram_bytes = kGiB / 8});
    EXPECT_EQ(foreign(apu(), graphics, 0), 2 * kGiB);
    EXPECT_EQ(foreign(apu(), graphics, 1), kGiB / 8);
}

TEST(MemoryOf, WhatLiesInVramIsNotTakenFromTheSystem) {
    const auto ours =
        occupant("gpu0", {.own_bytes = kGiB, .vram_bytes = kGiB}, {2 * kGiB, 3 * kGiB});
    const Memory memory = memory_of(discrete(), {}, ours);
    EXPECT_EQ(memory.pools[0].foreign_bytes, kGiB);
    EXPECT_EQ(memory.pools[1].foreign_bytes, 0U);
    EXPECT_EQ(
        memory_of(discrete(), {}, occupant("cpu", {.own_bytes = kGiB})).pools[1].foreign_bytes,
        kGiB);
}

TEST(MemoryOf, WhatIsHeldBeyondTheClaimIsNoRoom) {
    const auto foreign = [](std::uint64_t own_bytes) {
        return memory_of(discrete(), {}, occupant("cpu", {.own_bytes = own_bytes}, {kGiB, 0}))
            .pools[0]
            .foreign_bytes;
    };
    EXPECT_EQ(foreign(kGiB / 2), 3 * kGiB / 2) << "it may still grow into its claim";
    EXPECT_EQ(foreign(kGiB), kGiB);
    EXPECT_EQ(foreign(2 * kGiB), kGiB) << "the second was planned by nobody";
}

TEST(MemoryOf, ADriverThatDoesNotTellIsBelievedToHoldWhatWasPlanned) {
    const auto silent = occupant("gpu0", {.own_bytes = kGiB}, {0, kGiB / 2});
    EXPECT_EQ(memory_of(discrete(), {}, silent).pools[1].foreign_bytes, kGiB / 2);
    // What was learnt once, when nobody of ours was there, has none of ours in it.
    probe::Machine learnt = discrete();
    learnt.pools[1].live = false;
    EXPECT_EQ(memory_of(learnt, {}, silent).pools[1].foreign_bytes, kGiB);
}

/// The machines of tests/boxes, with a model on each of their cards.
probe::Machine box(const std::string& name) {
    return probe::read_machine(TRILANE_SOURCE_DIR "/tests/boxes/" + name);
}

TEST(MemoryOf, AModelOnADiscreteAmdCardIsCountedOnce) {
    probe::Machine machine = box("discrete-amd");
    const Memory empty = memory_of(machine, {});
    const std::uint64_t room = judge(empty, {}, "gpu0", need_of(kGB, 0)).room_bytes;
    // It is loaded: the card has less, the process a little of the system's.
    const std::uint64_t model = 8 * kGB;
    machine.pools[1].available_bytes -= model;
    machine.pools[0].available_bytes -= kGB / 2;
    const auto ours = occupant("gpu0", {.own_bytes = kGB / 2, .vram_bytes = model}, {0, model});
    const Memory loaded = memory_of(machine, {}, ours);
    EXPECT_EQ(loaded.pools[0].foreign_bytes, empty.pools[0].foreign_bytes + kGB / 2)
        << "nobody has planned what it takes beside the card";
    EXPECT_EQ(loaded.pools[1].foreign_bytes, empty.pools[1].foreign_bytes);
    std::vector<Holding> holdings{{.model = "m", .device = "gpu0", .pool_bytes = {0, model}}};
    EXPECT_EQ(judge(loaded, holdings, "gpu0", need_of(kGB, 0)).room_bytes, room - model);
}

TEST(MemoryOf, AnNvidiaCardHasItsMemoryOnceItsEngineHasTold) {
    probe::Machine machine = box("nvidia");
    EXPECT_TRUE(memory_of(machine, {}).device("gpu1")->shares.empty());
    EXPECT_TRUE(probe::has_to_learn(machine));
    probe::Engine engine;
    engine.kind = "llama-server";
    engine.path = "/usr/bin/llama-server";
    engine.devices = {{"CUDA0", "NVIDIA GeForce RTX 3090", 24 * kGiB, 23 * kGiB}};
    probe::learn(machine, std::span(&engine, 1), {});
    EXPECT_FALSE(probe::has_to_learn(machine));
    const auto ours = occupant("gpu1", {.own_bytes = kGiB}, {0, 8 * kGiB});
    const Memory memory = memory_of(machine, {}, ours);
    ASSERT_EQ(memory.pools.size(), 2U);
    EXPECT_EQ(memory.pools[1].name, "vram:card1");
    EXPECT_EQ(memory.pools[1].foreign_bytes, kGiB) << "as it was before our model came";
    probe::refresh(machine);
    EXPECT_EQ(memory_of(machine, {}, ours).pools[1].foreign_bytes, kGiB) << "and stays";
}

TEST(MemoryOf, ReservesWhatTheUserSays) {
    const Memory memory = memory_of(discrete(), {.bytes = 5 * kGiB});
    EXPECT_EQ(memory.pools[0].reserve_bytes, 5 * kGiB);
    EXPECT_LE(memory.pools[1].reserve_bytes, kGiB);
}

TEST(Judge, SaysWhatIsNeededAndWhatIsThere) {
    Need need = need_of(4'100'000'000, 1'100'000'000, 8192);
    need.parts.push_back({"compute buffers", 200'000'000});
    const Verdict verdict = judge(simple(7'900'000'000), {}, "cpu", need);
    EXPECT_EQ(verdict.fit, Fit::fits);
    EXPECT_EQ(verdict.need_bytes, 5'400'000'000U);
    EXPECT_EQ(verdict.room_bytes, 7'900'000'000U);
    EXPECT_THAT(verdict.pool_bytes, ElementsAre(5'400'000'000U));
    EXPECT_EQ(verdict.context_tokens_max, 26'624U);
    EXPECT_EQ(verdict.text,
              "needs 5.4 GB (weights 4.1 GB, KV cache 1.1 GB, compute buffers 200 MB) of 7.9 GB "
              "free in system; the largest context that fits is 26,624 tokens");
}

TEST(Judge, IsTightWhenLittleIsLeft) {
    EXPECT_EQ(judge(simple(10 * kGB), {}, "cpu", need_of(9 * kGB, 0)).fit, Fit::fits);
    EXPECT_EQ(judge(simple(10 * kGB), {}, "cpu", need_of(9 * kGB, kGB * 6 / 10)).fit, Fit::tight);
    EXPECT_EQ(judge(simple(10 * kGB), {}, "cpu", need_of(10 * kGB, 0)).fit, Fit::tight);
    EXPECT_EQ(judge(simple(10 * kGB), {}, "cpu", need_of(10 * kGB, 1)).fit, Fit::does_not_fit);
}

TEST(Judge, FillsTheCarveOutAndThenTheSystem) {
    const Memory memory = memory_of(apu(), {.bytes = 0});
    const Verdict verdict = judge(memory, {}, "gpu0", need_of(10 * kGB, 0));
    EXPECT_EQ(verdict.fit, Fit::fits) << "a carve-out that is full is not tight";
    const std::uint64_t carved = verdict.pool_bytes[1];
    EXPECT_GT(carved, 0U);
    EXPECT_LE(carved, kGiB / 4);
    EXPECT_EQ(verdict.pool_bytes[0], 10 * kGB - carved);
    EXPECT_THAT(verdict.text, HasSubstr("free in carve-out:card1 and system"));
}

TEST(Judge, TheLimitOfADeviceCountsWhatItsResidentsHold) {
    const Memory memory = simple(100 * kGB, 20 * kGB);
    const Holding on_gpu[] = {holding("a", "gpu0", 15 * kGB)};
    EXPECT_EQ(judge(memory, on_gpu, "gpu0", need_of(6 * kGB, 0)).room_bytes, 5 * kGB);
    const Holding on_cpu[] = {holding("a", "cpu", 15 * kGB)};
    EXPECT_EQ(judge(memory, on_cpu, "gpu0", need_of(6 * kGB, 0)).room_bytes, 20 * kGB);
}

TEST(Judge, EvictsTheLeastPriorityAndOnlyWhoIsNeeded) {
    const Holding held[] = {holding("old", "cpu", 2 * kGB, 1, 0),
                            holding("new", "cpu", 2 * kGB, 9, 0),
                            holding("dear", "cpu", 4 * kGB, 0, 5)};
    const Memory memory = simple(10 * kGB);
    EXPECT_THAT(judge(memory, held, "cpu", need_of(2 * kGB, 0)).evict, IsEmpty());
    EXPECT_THAT(judge(memory, held, "cpu", need_of(4 * kGB, 0)).evict, ElementsAre("old"));
    EXPECT_THAT(judge(memory, held, "cpu", need_of(6 * kGB, 0)).evict, ElementsAre("old", "new"));
    EXPECT_THAT(judge(memory, held, "cpu", need_of(7 * kGB, 0)).evict, ElementsAre("old", "dear"))
        << "with dear gone, one of the others is enough";
    const Verdict all = judge(memory, held, "cpu", need_of(10 * kGB, 0));
    EXPECT_THAT(all.evict, ElementsAre("old", "new", "dear"));
    EXPECT_THAT(all.text, HasSubstr("2.0 GB free in system, 10.0 GB after unloading old, new and "
                                    "dear"));
}

TEST(Judge, OneLargeGoesBeforeTwoSmallOfItsPriority) {
    const Holding held[] = {holding("a", "cpu", 2 * kGB, 1), holding("b", "cpu", 2 * kGB, 2),
                            holding("c", "cpu", 5 * kGB, 3)};
    EXPECT_THAT(judge(simple(9 * kGB), held, "cpu", need_of(4 * kGB, 0)).evict, ElementsAre("c"));
}

TEST(Judge, LeavesOtherDevicesAloneUnlessMemorySaysSo) {
    Memory memory = memory_of(discrete(), {.bytes = 0});
    const Holding held[] = {
        {.model = "cpu model", .device = "cpu", .pool_bytes = {8 * kGiB, 0}, .last_used = 1},
        {.model = "gpu model", .device = "gpu0", .pool_bytes = {0, 8 * kGiB}, .last_used = 9}};
    EXPECT_THAT(judge(memory, held, "gpu0", need_of(10 * kGiB, 0)).evict, ElementsAre("gpu model"));
    const Verdict none = judge(memory, held, "gpu0", need_of(90 * kGiB, 0));
    EXPECT_THAT(none.text, HasSubstr("after unloading gpu model;"));
    // On an APU the pool is shared, and so is the cost.
    const Holding shared[] = {
        {.model = "cpu model", .device = "cpu", .pool_bytes = {30 * kGiB, 0}, .last_used = 1}};
    EXPECT_THAT(judge(memory_of(apu(), {.bytes = 0}), shared, "gpu0", need_of(40 * kGiB, 0)).evict,
                ElementsAre("cpu model"));
}

TEST(Judge, ARefusalSaysWhatToDo) {
    Holding pinned = holding("pinned", "cpu", 4 * kGB);
    pinned.evictable = false;
    const Holding held[] = {pinned, holding("idle", "cpu", kGB)};
    const Memory memory = simple(10 * kGB);

    Need long_context = need_of(2 * kGB, 8 * kGB, 65'536);
    long_context.q8_kv_saves_bytes = 3 * kGB;
    const Verdict shorter = judge(memory, held, "cpu", long_context);
    EXPECT_EQ(shorter.fit, Fit::does_not_fit);
    EXPECT_THAT(shorter.evict, IsEmpty());
    EXPECT_THAT(shorter.pool_bytes, IsEmpty());
    EXPECT_EQ(shorter.context_tokens_max, 32'768U);
    EXPECT_THAT(shorter.text,
                HasSubstr("cpu has 5.0 GB free in system, 6.0 GB after unloading idle"));
    EXPECT_THAT(shorter.text, HasSubstr("use a context of at most 32,768 tokens"));
    EXPECT_THAT(shorter.text, HasSubstr("free what is pinned or in use: pinned (4.0 GB)"));
    EXPECT_THAT(shorter.text, Not(HasSubstr("q8"))) << "3 GB are not enough";
    long_context.q8_kv_saves_bytes = 4 * kGB;
    EXPECT_THAT(judge(memory, held, "cpu", long_context).text, HasSubstr("use a q8 KV cache"));

    const Verdict heavy = judge(memory, held, "cpu", need_of(12 * kGB, kGB, 8192));
    EXPECT_EQ(heavy.context_tokens_max, 0U);
    EXPECT_THAT(heavy.text, HasSubstr("use a smaller model or quantization: 7.0 GB too much"));
}

TEST(Judge, UnknownDevicesAreNamed) {
    const Verdict none = judge(simple(kGB), {}, "gpu7", need_of(1, 0));
    EXPECT_EQ(none.fit, Fit::does_not_fit);
    EXPECT_THAT(none.text, HasSubstr("no device gpu7 here; use cpu and gpu0"));
    probe::Machine machine = discrete();
    machine.pools.pop_back();  // a driver that does not tell
    EXPECT_THAT(judge(memory_of(machine, {}), {}, "gpu0", need_of(1, 0)).text,
                HasSubstr("could not be read"));
}

TEST(Judge, RespectsTheModelsOwnContext) {
    Need need = need_of(kGB, kGB, 4096);
    need.context_tokens_max = 10'000;
    EXPECT_EQ(judge(simple(100 * kGB), {}, "cpu", need).context_tokens_max, 10'000U);
    EXPECT_EQ(judge(simple(2 * kGB), {}, "cpu", need).context_tokens_max, 4096U);
    need.bytes_per_context_token = 0;
    EXPECT_EQ(judge(simple(2 * kGB), {}, "cpu", need).context_tokens_max, 10'000U);
}

}  // namespace
}  // namespace trilane::plan
