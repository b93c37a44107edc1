// Asking an engine for the memory of cards whose driver does not tell: a box with such a card, and
// a program that lists it.
#include "app/gpu_learning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>

#include "app/serve_setup.h"

namespace trilane::app {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::chrono::seconds kTestPatience{20};
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

class GpuLearningTest : public ::testing::Test {
protected:
    GpuLearningTest() {
        std::string name = (fs::temp_directory_path() / "trilane-learning-XXXXXX").string();
        folder_ = ::mkdtemp(name.data());
    }
    ~GpuLearningTest() override { fs::remove_all(folder_); }

    /// A llama-server that does that when it is called.
    [[nodiscard]] GpuLearning::Options with_program(std::string_view script) {
        const std::string path = folder_ + "/llama-server";
        std::ofstream(path) << "#!/bin/sh\n" << script << '\n';
        fs::permissions(path, fs::perms::owner_all);
        lane::Settings lane;
        lane.name = "gpu";
        lane.kind = "llama-server";
        return {.children = &children_,
                .lanes = {lane},
                .path = {folder_},
                .environment = {"PATH=/usr/bin:/bin"},
                .log = [this](std::string_view line) { log_ += std::string(line) + '\n'; }};
    }
    std::function<void()> learnt() {
        return [this] {
            const std::scoped_lock lock(mutex_);
            told_ = true;
            changed_.notify_all();
        };
    }
    bool wait() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kTestPatience, [&] { return told_; });
    }
    /// Whether loads on the NVIDIA card should wait.
    [[nodiscard]] static bool waits(const GpuLearning& learning, const probe::Machine& machine) {
        plan::Memory memory = plan::memory_of(machine, {});
        learning.mark(memory);
        EXPECT_FALSE(memory.device("cpu")->awaited);
        EXPECT_FALSE(memory.device("gpu0")->awaited) << "it shares the system's memory";
        return memory.device("gpu1")->awaited;
    }

    probe::Machine machine_ = probe::read_machine(TRILANE_SOURCE_DIR "/tests/boxes/nvidia");
    os::ChildWatch children_;
    std::string folder_;
    std::string log_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool told_ = false;
};

TEST_F(GpuLearningTest, TheEngineTells) {
    GpuLearning learning(
        machine_, with_program("[ \"$1\" = --list-devices ] && printf 'Available devices:\\n"
                               "  CUDA0: NVIDIA GeForce RTX 3090 (24576 MiB, 23000 MiB free)\\n'"));
    EXPECT_TRUE(waits(learning, machine_)) << "before it has begun, too";
    learning.begin(learnt());
    ASSERT_TRUE(wait());
    learning.apply(machine_);
    EXPECT_FALSE(waits(learning, machine_));
    ASSERT_EQ(machine_.pools.size(), 2U);
    EXPECT_EQ(machine_.pools[1].total_bytes, 24'576 * kMiB);
    EXPECT_EQ(machine_.pools[1].available_bytes, 23'000 * kMiB);
    EXPECT_FALSE(machine_.pools[1].live);
    EXPECT_THAT(log_, HasSubstr("NVIDIA GeForce RTX 3090: 25.8 GB of memory, by"));
}

TEST_F(GpuLearningTest, AnEngineThatSaysNothingIsNotWaitedFor) {
    GpuLearning learning(machine_, with_program("exit 1"));
    learning.begin(learnt());
    ASSERT_TRUE(wait());
    learning.apply(machine_);
    EXPECT_FALSE(waits(learning, machine_));
    EXPECT_EQ(machine_.pools.size(), 1U);
}

TEST_F(GpuLearningTest, OneThatHangsIsGivenUpWhenTheDaemonStops) {
    const auto begin = std::chrono::steady_clock::now();
    {
        GpuLearning learning(machine_, with_program("exec sleep 60"));
        learning.begin(learnt());
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    EXPECT_FALSE(told_);
}

TEST_F(GpuLearningTest, WithoutLlamaServerOrSuchACardThereIsNothingToWaitFor) {
    GpuLearning::Options nobody = with_program("exit 1");
    nobody.lanes.clear();
    const GpuLearning alone(machine_, nobody);
    EXPECT_FALSE(waits(alone, machine_));
    const probe::Machine amd = probe::read_machine(TRILANE_SOURCE_DIR "/tests/boxes/discrete-amd");
    const GpuLearning known(amd, with_program("exit 1"));
    plan::Memory memory = plan::memory_of(amd, {});
    known.mark(memory);
    EXPECT_FALSE(memory.device("gpu0")->awaited);
}

TEST_F(GpuLearningTest, LanesGoToTheCardRatherThanToTheProcessorsGraphics) {
    config::Config config;
    lane::Settings lane;
    lane.name = "gpu";
    lane.kind = "llama-server";
    config.lanes = {lane};
    EXPECT_EQ(lane_settings(config, {}, machine_)[0].device, "gpu1");
    config.lanes[0].engine_device = "none";
    EXPECT_EQ(lane_settings(config, {}, machine_)[0].device, "cpu");
}

}  // namespace
}  // namespace trilane::app
