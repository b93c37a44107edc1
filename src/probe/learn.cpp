#include "probe/learn.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "probe/memory_facts.h"

namespace trilane::probe {
namespace {

/// Which of several equal GPUs this one is, counted from 0 in the order of their slots. Engines and
/// drivers list them in that order, too.
std::size_t place_among_equals(const Machine& machine, const GpuFacts& gpu) {
    std::size_t place = 0;
    for (const GpuFacts& other : machine.gpus) {
        if (&other == &gpu) {
            break;
        }
        place += other.pci_vendor == gpu.pci_vendor && other.pci_device == gpu.pci_device ? 1 : 0;
    }
    return place;
}

bool is_wanted(const GpuFacts& gpu) {
    return !gpu.integrated && gpu.vendor != Vendor::other && !gpu.vram_total_bytes.known();
}

bool take_from_engine(GpuFacts& gpu, std::size_t place, const Engine& engine) {
    for (const std::string_view backend : {"CUDA", "ROCm", "SYCL", "Vulkan"}) {
        std::size_t seen = 0;
        for (const EngineDevice& device : engine.devices) {
            const bool is_it = device.name.starts_with(backend) && device.total_bytes > 0 &&
                               !gpu.product.empty() &&
                               device.description.find(gpu.product) != std::string::npos;
            if (is_it && seen++ == place) {
                const std::string source = fmt::format("{} --list-devices", engine.path);
                gpu.vram_total_bytes = {device.total_bytes, source};
                gpu.vram_used_bytes = {
                    device.total_bytes - std::min(device.free_bytes, device.total_bytes), source};
                gpu.vram_is_learnt = true;
                return true;
            }
        }
    }
    return false;
}

void take_from_vulkan(GpuFacts& gpu, std::size_t place, std::span<const VulkanDevice> devices) {
    std::size_t seen = 0;
    for (const VulkanDevice& device : devices) {
        if (device.pci_vendor != gpu.pci_vendor || device.pci_device != gpu.pci_device ||
            seen++ != place) {
            continue;
        }
        std::uint64_t total = 0;
        std::uint64_t budget = 0;
        for (const VulkanHeap& heap : device.heaps) {
            total += heap.device_local ? heap.bytes : 0;
            budget += heap.device_local ? heap.budget_bytes : 0;
        }
        if (total > 0) {
            const std::string source = "Vulkan: " + device.name;
            gpu.vram_total_bytes = {total, source};
            gpu.vram_is_learnt = true;
            if (budget > 0) {
                gpu.vram_used_bytes = {total - std::min(budget, total), source};
            }
        }
    }
}

}  // namespace

bool has_to_learn(const Machine& machine) {
    return std::any_of(machine.gpus.begin(), machine.gpus.end(), is_wanted);
}

void learn(Machine& machine, std::span<const Engine> engines,
           std::span<const VulkanDevice> vulkan) {
    for (GpuFacts& gpu : machine.gpus) {
        if (!is_wanted(gpu)) {
            continue;
        }
        const std::size_t place = place_among_equals(machine, gpu);
        const bool known = std::any_of(engines.begin(), engines.end(), [&](const Engine& engine) {
            return take_from_engine(gpu, place, engine);
        });
        if (!known) {
            take_from_vulkan(gpu, place, vulkan);
        }
    }
    constexpr std::string_view kMesa = "Mesa ";
    for (const VulkanDevice& device : vulkan) {
        const std::size_t at = device.driver.find(kMesa);
        if (!machine.system.mesa_version.known() && at != std::string::npos) {
            machine.system.mesa_version = {device.driver.substr(at + kMesa.size()),
                                           "Vulkan: " + device.name};
        }
    }
    machine.pools = memory_pools(machine.memory, machine.gpus);
}

}  // namespace trilane::probe
