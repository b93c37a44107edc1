// The devices on the PCI bus as sysfs lists them, and the names that pci.ids gives them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "probe/tree.h"

namespace trilane::probe {

struct PciDevice {
    std::string slot;    ///< "0000:c5:00.0"
    std::string folder;  ///< "/sys/bus/pci/devices/0000:c5:00.0"
    std::uint32_t vendor = 0;
    std::uint32_t device = 0;
    std::uint32_t revision = 0;
    std::uint32_t device_class = 0;  ///< 0x030000 = VGA
    std::string driver;              ///< "" = none is bound
};

inline constexpr std::uint32_t kPciVendorAmdGraphics = 0x1002;
inline constexpr std::uint32_t kPciVendorAmd = 0x1022;
inline constexpr std::uint32_t kPciVendorNvidia = 0x10de;
inline constexpr std::uint32_t kPciVendorIntel = 0x8086;

/// In the order of their slots.
std::vector<PciDevice> pci_devices(const Tree& tree);

/// What the machine's copy of pci.ids calls a device; "" = nothing.
std::string pci_name(const Tree& tree, std::uint32_t vendor, std::uint32_t device);

}  // namespace trilane::probe
