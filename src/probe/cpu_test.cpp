// Tests of the CPU facts, on made-up /proc and /sys trees.
#include "probe/cpu.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "probe/test_tree.h"

namespace trilane::probe {
namespace {

class CpuFactsTest : public TestTree {
protected:
    void cpu(int number, const std::string& siblings) {
        write("sys/devices/system/cpu/cpu" + std::to_string(number) + "/topology/core_cpus_list",
              siblings + "\n");
    }
    CpuFacts facts(std::vector<int> cpus) { return cpu_facts({root_.string(), std::move(cpus)}); }
};

TEST_F(CpuFactsTest, HardwareThreadsOfOneCoreCountOnce) {
    cpu(0, "0,4");
    cpu(1, "1,5");
    cpu(4, "0,4");
    cpu(5, "1,5");
    EXPECT_EQ(facts({0, 1, 4, 5}).cores, 2U);
    EXPECT_EQ(facts({0, 4}).cores, 1U);
    EXPECT_EQ(facts({0, 1}).cores, 2U);
}

TEST_F(CpuFactsTest, OlderKernelsNameThreadSiblings) {
    write("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-1\n");
    write("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "0-1\n");
    EXPECT_EQ(facts({0, 1}).cores, 1U);
}

TEST_F(CpuFactsTest, WithoutTopologyEachCpuIsACore) {
    EXPECT_EQ(facts({0, 1, 2}).cores, 3U);
}

TEST_F(CpuFactsTest, CpuinfoStandsInForAMissingTopology) {
    write("proc/cpuinfo",
          "processor\t: 0\nphysical id\t: 0\ncore id\t: 0\n\nprocessor\t: 1\nphysical id\t: 0\n"
          "core id\t: 1\n\nprocessor\t: 2\nphysical id\t: 0\ncore id\t: 0\n");
    EXPECT_EQ(facts({0, 1, 2}).cores, 2U);
    EXPECT_EQ(facts({0, 1, 2}).threads, 3U);
}

TEST_F(CpuFactsTest, AnotherRootSaysWhichCpusMayBeUsed) {
    write("sys/devices/system/cpu/online", "0-3\n");
    EXPECT_EQ(facts({}).threads, 4U);
    write("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-1,3\n");
    EXPECT_EQ(facts({}).threads, 3U);
}

TEST_F(CpuFactsTest, AnotherRootsFlagsSayWhichKernelsRun) {
    using kernels::Isa;
    write("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu fma f16c avx2 avx_vnni erms\n");
    EXPECT_EQ(facts({0}).isas, (std::vector<Isa>{Isa::generic, Isa::avx2, Isa::avxvnni}));
    EXPECT_EQ(facts({0}).flags, (std::vector<std::string>{"f16c", "fma", "avx2", "avx_vnni"}));
    write("proc/cpuinfo",
          "processor\t: 0\nflags\t\t: fma f16c avx2 avx512f avx512dq avx512bw avx512vl\n");
    EXPECT_EQ(facts({0}).isas, (std::vector<Isa>{Isa::generic, Isa::avx2}));
}

TEST_F(CpuFactsTest, TightestQuotaOnTheWayUpCounts) {
    write("proc/self/cgroup", "0::/user/app\n");
    write("sys/fs/cgroup/user/app/cpu.max", "max 100000\n");
    write("sys/fs/cgroup/user/cpu.max", "250000 100000\n");
    EXPECT_EQ(facts({0, 1, 2, 3}).cores, 2U);
    write("sys/fs/cgroup/user/app/cpu.max", "50000 100000\n");
    EXPECT_EQ(facts({0, 1, 2, 3}).cores, 1U);
    EXPECT_EQ(facts({0, 1, 2, 3}).cores_source, "/sys/fs/cgroup/user/app/cpu.max");
}

TEST_F(CpuFactsTest, QuotaAtTheRootOfAContainerCounts) {
    write("proc/self/cgroup", "0::/\n");
    write("sys/fs/cgroup/cpu.max", "300000 100000\n");
    EXPECT_EQ(facts({0, 1, 2, 3}).cores, 3U);
}

TEST_F(CpuFactsTest, NonsenseInQuotaIsNoLimit) {
    write("proc/self/cgroup", "0::/a\n");
    write("sys/fs/cgroup/a/cpu.max", "many few\n");
    EXPECT_EQ(facts({0, 1}).cores, 2U);
    write("sys/fs/cgroup/a/cpu.max", "100000 0\n");
    EXPECT_EQ(facts({0, 1}).cores, 2U);
}

TEST_F(CpuFactsTest, NameAndCaches) {
    write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU 9 \nmodel name\t: other\n");
    write("sys/devices/system/cpu/cpu2/cache/index0/level", "2\n");
    write("sys/devices/system/cpu/cpu2/cache/index0/type", "Instruction\n");
    write("sys/devices/system/cpu/cpu2/cache/index0/size", "64K\n");
    write("sys/devices/system/cpu/cpu2/cache/index1/level", "2\n");
    write("sys/devices/system/cpu/cpu2/cache/index1/type", "Unified\n");
    write("sys/devices/system/cpu/cpu2/cache/index1/size", "1024K\n");
    write("sys/devices/system/cpu/cpu2/cache/index3/level", "3\n");
    write("sys/devices/system/cpu/cpu2/cache/index3/type", "Unified\n");
    write("sys/devices/system/cpu/cpu2/cache/index3/size", "32M\n");
    const CpuFacts found = facts({2, 3});
    EXPECT_EQ(found.model_name, "Some CPU 9");
    EXPECT_EQ(found.l2_bytes, 1U << 20);
    EXPECT_EQ(found.l3_bytes, 32U << 20);
}

TEST_F(CpuFactsTest, AnEmptyTreeGivesUsableFacts) {
    const CpuFacts found = facts({0});
    EXPECT_EQ(found.model_name, "unknown");
    EXPECT_EQ(found.cores, 1U);
    EXPECT_EQ(found.l2_bytes, 0U);
    EXPECT_EQ(found.l3_bytes, 0U);
}

TEST(CpuFactsOfThisMachine, Hold) {
    const CpuFacts found = cpu_facts();
    EXPECT_GE(found.cores, 1U);
    ASSERT_FALSE(found.isas.empty());
    EXPECT_EQ(found.isas.front(), kernels::Isa::generic);
    EXPECT_EQ(default_threads(), found.cores);
    const auto best = kernels::best_table().isa;
    EXPECT_TRUE(std::find(found.isas.begin(), found.isas.end(), best) != found.isas.end());
}

}  // namespace
}  // namespace trilane::probe
