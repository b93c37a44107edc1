// The devices that Vulkan's loader offers. Knows no compute: whether a device is any good is found
// out by the engines that use it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace trilane::probe {

struct VulkanHeap {
    std::uint64_t bytes = 0;
    std::uint64_t budget_bytes = 0;  ///< what the driver lets this process have now; 0 = not said
    bool device_local = false;
};

struct VulkanDevice {
    std::string name;         ///< "AMD Radeon Graphics (RADV GFX1151)"
    std::string type;         ///< "integrated", "discrete", "virtual", "cpu", "other"
    std::string api_version;  ///< "1.4.311"
    std::string driver;       ///< "radv Mesa 25.2.3"; "" = not said
    std::uint32_t pci_vendor = 0;
    std::uint32_t pci_device = 0;
    std::vector<VulkanHeap> heaps;
};

struct VulkanSearch {
    std::string loader = "libvulkan.so.1";  ///< name or path
    std::chrono::milliseconds patience{5'000};
};

/// Empty when there is no loader, no device, or a driver that crashes or hangs: drivers run in a
/// forked child, which answers through a pipe within `patience` or is killed.
/// **Threads:** forks. Call it before other threads hold locks that a driver needs, best early.
std::vector<VulkanDevice> vulkan_devices(const VulkanSearch& search = {});

}  // namespace trilane::probe
