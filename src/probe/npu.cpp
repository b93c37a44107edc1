#include "probe/npu.h"

#include <fmt/format.h>

#include <array>

namespace trilane::probe {
namespace {

constexpr std::uint32_t kAnyRevision = ~0U;

struct Generation {
    std::uint32_t device;
    std::uint32_t revision;
    const char* name;
};
/// The first that matches counts.
constexpr std::array kGenerations{
    Generation{0x1502, kAnyRevision, "XDNA 1 (Phoenix, Hawk Point)"},
    Generation{0x17f0, 0x10, "XDNA 2 (Strix Point)"},
    Generation{0x17f0, 0x11, "XDNA 2 (Strix Halo)"},
    Generation{0x17f0, 0x20, "XDNA 2 (Krackan Point)"},
    Generation{0x17f0, kAnyRevision, "XDNA 2"},
    Generation{0x17f1, kAnyRevision, "XDNA 3"},
    Generation{0x17f2, kAnyRevision, "XDNA 3"},
};

constexpr std::array<const char*, 2> kFirmwareFolders{"/lib/firmware", "/usr/lib/firmware"};

const Generation* generation_of(const PciDevice& device) {
    if (device.vendor != kPciVendorAmd) {
        return nullptr;
    }
    for (const Generation& one : kGenerations) {
        if (one.device == device.device &&
            (one.revision == kAnyRevision || one.revision == device.revision)) {
            return &one;
        }
    }
    return nullptr;
}

std::vector<std::string> firmware_files(const Tree& tree, const NpuFacts& npu) {
    std::vector<std::string> files;
    for (const char* base : kFirmwareFolders) {
        const std::string folder =
            fmt::format("{}/amdnpu/{:04x}_{:02x}", base, npu.pci_device, npu.pci_revision);
        for (const std::string& name : tree.names(folder)) {
            files.push_back(fmt::format("{}/{}", folder, name));
        }
        if (!files.empty()) {
            break;
        }
    }
    return files;
}

}  // namespace

std::vector<NpuFacts> npu_facts(const Tree& tree, const Access& access,
                                const std::vector<PciDevice>& devices) {
    std::vector<NpuFacts> npus;
    for (const PciDevice& device : devices) {
        const Generation* generation = generation_of(device);
        if (generation == nullptr) {
            continue;
        }
        NpuFacts npu;
        npu.pci_device = device.device;
        npu.pci_revision = device.revision;
        npu.pci_slot = device.slot;
        npu.generation = generation->name;
        npu.driver = device.driver;
        npu.driver_loaded = tree.exists("/sys/bus/pci/drivers/amdxdna");
        npu.driver_version = tree.line_fact("/sys/module/amdxdna/version");
        for (const std::string& name : tree.names(device.folder + "/accel")) {
            npu.name = name;
        }
        if (!npu.name.empty()) {
            npu.firmware_version =
                tree.line_fact(fmt::format("/sys/class/accel/{}/device/fw_version", npu.name));
            const std::string node = "/dev/accel/" + npu.name;
            npu.device_node = tree.exists(node) ? node : "";
            npu.device_node_usable = tree.exists(node) && access.can_use(node);
        }
        npu.firmware_files = firmware_files(tree, npu);
        refresh_npu(tree, npu);
        npus.push_back(std::move(npu));
    }
    return npus;
}

void refresh_npu(const Tree& tree, NpuFacts& npu) {
    npu.power_state =
        tree.line_fact(fmt::format("/sys/bus/pci/devices/{}/power_state", npu.pci_slot));
}

}  // namespace trilane::probe
