// Which line of an engine's list of devices a card is.
#include "probe/engine_device.h"

#include <gtest/gtest.h>

#include <utility>

namespace trilane::probe {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;

GpuFacts card(std::uint32_t pci_device, std::string product, std::uint64_t memory_bytes) {
    GpuFacts gpu;
    gpu.pci_vendor = 0x1002;
    gpu.pci_device = pci_device;
    gpu.product = std::move(product);
    if (memory_bytes != 0) {
        gpu.vram_total_bytes = {memory_bytes, "a test"};
    }
    return gpu;
}

Machine machine_with(std::vector<GpuFacts> gpus) {
    Machine machine;
    machine.gpus = std::move(gpus);
    return machine;
}

EngineDevice listed(std::string name, std::string description, std::uint64_t total_bytes) {
    return {std::move(name), std::move(description), total_bytes, total_bytes};
}

TEST(EngineDevice, TheOnlyCardNeedsNoMark) {
    const Machine machine = machine_with({card(1, "Radeon 8060S", 0)});
    EXPECT_TRUE(mark_of(machine, 0).empty());
    EXPECT_TRUE(mark_of(machine, 7).empty());
    EXPECT_EQ(engine_device_of({}, std::vector{listed("Vulkan0", "Radeon 8060S", kGiB)}), "");
}

TEST(EngineDevice, CardsAreKnownByTheirNames) {
    const Machine machine =
        machine_with({card(1, "Radeon RX 7600", 8 * kGiB), card(2, "GeForce RTX 4090", 24 * kGiB)});
    const std::vector<EngineDevice> devices{
        listed("Vulkan0", "NVIDIA GeForce RTX 4090", 24 * kGiB),
        listed("Vulkan1", "AMD Radeon RX 7600 (RADV NAVI33)", 8 * kGiB)};
    EXPECT_EQ(engine_device_of(mark_of(machine, 0), devices), "Vulkan1");
    EXPECT_EQ(engine_device_of(mark_of(machine, 1), devices), "Vulkan0");
}

TEST(EngineDevice, OrByTheirArchitectureOrMemory) {
    Machine machine = machine_with({card(1, "", 0), card(2, "", 16 * kGiB)});
    machine.gpus[0].gfx = "gfx1151";
    machine.gpus[0].integrated = true;
    const std::vector<EngineDevice> devices{
        listed("Vulkan0", "Some Card (RADV NAVI31)", 15 * kGiB),
        listed("Vulkan1", "Radeon Graphics (RADV GFX1151)", 60 * kGiB)};
    EXPECT_EQ(engine_device_of(mark_of(machine, 0), devices), "Vulkan1");
    EXPECT_EQ(engine_device_of(mark_of(machine, 1), devices), "Vulkan0");
}

TEST(EngineDevice, EqualCardsAreInTheOrderOfTheirSlots) {
    const Machine machine = machine_with(
        {card(1, "RTX 3090", 24 * kGiB), card(2, "Radeon", 0), card(1, "RTX 3090", 24 * kGiB)});
    const std::vector<EngineDevice> devices{listed("CUDA0", "NVIDIA RTX 3090", 24 * kGiB),
                                            listed("CUDA1", "NVIDIA RTX 3090", 24 * kGiB)};
    EXPECT_EQ(engine_device_of(mark_of(machine, 0), devices), "CUDA0");
    EXPECT_EQ(engine_device_of(mark_of(machine, 2), devices), "CUDA1");
    EXPECT_EQ(engine_device_of(mark_of(machine, 1), devices), "") << "it is not there";
}

TEST(EngineDevice, WhatMayBeSeveralIsNotGuessed) {
    Machine machine = machine_with({card(1, "", 20 * kGiB), card(2, "", 20 * kGiB)});
    machine.gpus[0].gfx = machine.gpus[1].gfx = "gfx1100";
    const std::vector<EngineDevice> devices{listed("ROCm0", "AMD gfx1100", 20 * kGiB),
                                            listed("ROCm1", "AMD gfx1100", 20 * kGiB)};
    EXPECT_EQ(engine_device_of(mark_of(machine, 0), devices), "");
    EXPECT_EQ(engine_device_of(mark_of(machine, 1), devices), "");
}

}  // namespace
}  // namespace trilane::probe
