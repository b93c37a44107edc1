// Tests of the Vulkan enumeration, with stand-ins for the loader.
#include "probe/vulkan.h"

#include <gtest/gtest.h>

namespace trilane::probe {
namespace {

using std::chrono::milliseconds;

const std::string kLoaders = TRILANE_TEST_LOADERS;

TEST(Vulkan, DevicesAreDescribed) {
    const auto devices = vulkan_devices({.loader = kLoaders + "/libworking_vulkan.so"});
    ASSERT_EQ(devices.size(), 2U);
    EXPECT_EQ(devices[0].name, "Radeon 8060S Graphics (RADV GFX1151)");
    EXPECT_EQ(devices[0].type, "integrated");
    EXPECT_EQ(devices[0].api_version, "1.4.311");
    EXPECT_EQ(devices[0].driver, "radv Mesa 25.3.6");
    EXPECT_EQ(devices[0].pci_vendor, 0x1002U);
    EXPECT_EQ(devices[0].pci_device, 0x1586U);
    ASSERT_EQ(devices[0].heaps.size(), 1U);
    EXPECT_EQ(devices[0].heaps[0].bytes, std::uint64_t{118} << 30U);
    EXPECT_EQ(devices[0].heaps[0].budget_bytes, std::uint64_t{100} << 30U);
    EXPECT_TRUE(devices[0].heaps[0].device_local);
    EXPECT_EQ(devices[1].name, "llvmpipe \"quoted\"");
    EXPECT_EQ(devices[1].type, "cpu");
    EXPECT_EQ(devices[1].driver, "");
    ASSERT_EQ(devices[1].heaps.size(), 1U);
    EXPECT_EQ(devices[1].heaps[0].budget_bytes, 0U);
    EXPECT_FALSE(devices[1].heaps[0].device_local);
}

TEST(Vulkan, NoLoaderIsNoDevice) {
    EXPECT_TRUE(vulkan_devices({.loader = "libno_such_vulkan.so.1"}).empty());
}

TEST(Vulkan, ACrashingDriverTakesOnlyItsChild) {
    EXPECT_TRUE(vulkan_devices({.loader = kLoaders + "/libcrashing_vulkan.so"}).empty());
}

TEST(Vulkan, AHangingDriverIsGivenUp) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(vulkan_devices(
                    {.loader = kLoaders + "/libhanging_vulkan.so", .patience = milliseconds(100)})
                    .empty());
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_GE(took, milliseconds(100));
    EXPECT_LT(took, milliseconds(5'000));
}

TEST(Vulkan, ThisMachinesDriversDoNoHarm) {
    for (const VulkanDevice& device : vulkan_devices()) {
        EXPECT_FALSE(device.name.empty());
        EXPECT_FALSE(device.heaps.empty());
    }
}

}  // namespace
}  // namespace trilane::probe
