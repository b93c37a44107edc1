#include "probe/machine.h"

#include <algorithm>

#include "probe/access.h"
#include "probe/gpu.h"
#include "probe/memory_facts.h"
#include "probe/npu.h"
#include "probe/pci.h"
#include "probe/power.h"
#include "probe/system_facts.h"
#include "probe/tree.h"

namespace trilane::probe {
namespace {

constexpr std::uint32_t kStrixHaloGraphics = 0x1586;

/// What decides how models run best: the strongest silicon there is.
std::string platform_of(const std::vector<GpuFacts>& gpus) {
    const auto any = [&](auto&& is) { return std::any_of(gpus.begin(), gpus.end(), is); };
    if (any([](const GpuFacts& gpu) {
            return gpu.vendor == Vendor::amd &&
                   (gpu.pci_device == kStrixHaloGraphics || gpu.gfx == "gfx1151");
        })) {
        return "strix-halo";
    }
    if (any([](const GpuFacts& gpu) { return gpu.vendor == Vendor::nvidia; })) {
        return "nvidia";
    }
    if (any([](const GpuFacts& gpu) { return gpu.vendor == Vendor::amd && !gpu.integrated; })) {
        return "amd-discrete";
    }
    if (any([](const GpuFacts& gpu) { return gpu.vendor == Vendor::amd; })) {
        return "amd-apu";
    }
    return any([](const GpuFacts& gpu) { return gpu.vendor == Vendor::intel; }) ? "intel" : "cpu";
}

}  // namespace

std::string_view container_name(Container container) {
    switch (container) {
        case Container::none:
            return "none";
        case Container::lxc:
            return "lxc";
        case Container::lxc_unprivileged:
            return "lxc-unprivileged";
        case Container::docker:
            return "docker";
        case Container::podman:
            return "podman";
        case Container::wsl:
            return "wsl";
        case Container::kvm:
            return "kvm";
        case Container::other:
            break;
    }
    return "other";
}

Machine read_machine(const std::string& root) {
    const Tree tree(root);
    const Access access(tree);
    const std::vector<PciDevice> devices = pci_devices(tree);
    Machine machine;
    machine.root = tree.root();
    machine.cpu = cpu_facts({.root = tree.is_this_machine() ? "/" : tree.root(), .cpus = {}});
    machine.memory = memory_facts(tree);
    machine.system = system_facts(tree, access, machine.cpu);
    machine.gpus = gpu_facts(tree, access, devices,
                             {machine.cpu.model_name, machine.system.kernel_release.value});
    machine.npus = npu_facts(tree, access, devices);
    machine.power = power_meters(tree, access);
    machine.pools = memory_pools(machine.memory, machine.gpus);
    machine.platform = platform_of(machine.gpus);
    return machine;
}

void refresh(Machine& machine) {
    const Tree tree(machine.root);
    machine.memory = memory_facts(tree);
    for (GpuFacts& gpu : machine.gpus) {
        refresh_gpu(tree, gpu);
    }
    for (NpuFacts& npu : machine.npus) {
        refresh_npu(tree, npu);
    }
    machine.pools = memory_pools(machine.memory, machine.gpus);
}

}  // namespace trilane::probe
