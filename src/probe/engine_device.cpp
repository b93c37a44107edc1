#include "probe/engine_device.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace trilane::probe {
namespace {

/// An engine with several of them lists every card once per backend; the first is taken.
constexpr std::array<std::string_view, 4> kBackends{"CUDA", "ROCm", "SYCL", "Vulkan"};
/// Drivers keep some of a card's memory for themselves.
constexpr std::uint64_t kMemoryToleranceDivisor = 10;

bool contains_word(const std::string& text, const std::string& word) {
    // Not ranges::search: clang 14 cannot compile GCC 12's.
    const auto at =
        std::search(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) {
            return (a | 0x20) == (b | 0x20);  // names are ASCII; only letters' case matters here
        });
    return !word.empty() && at != text.end();
}

bool has_memory(const EngineDevice& device, std::uint64_t bytes) {
    const std::uint64_t apart =
        std::max(device.total_bytes, bytes) - std::min(device.total_bytes, bytes);
    return bytes != 0 && apart <= bytes / kMemoryToleranceDivisor;
}

/// As many as there are cards of the kind, or it is no sure sign.
template <class Sign>
std::string chosen_by(const Sign& sign, const GpuMark& mark, std::string_view backend,
                      std::span<const EngineDevice> devices) {
    std::vector<std::string> names;
    for (const EngineDevice& device : devices) {
        if (device.name.starts_with(backend) && sign(device)) {
            names.push_back(device.name);
        }
    }
    return names.size() == mark.equals ? names[mark.place] : std::string();
}

}  // namespace

GpuMark mark_of(const Machine& machine, std::size_t gpu) {
    GpuMark mark;
    if (gpu >= machine.gpus.size() || machine.gpus.size() < 2) {
        return mark;
    }
    const GpuFacts& facts = machine.gpus[gpu];
    mark.product = facts.product;
    mark.gfx = facts.gfx;
    mark.memory_bytes =
        facts.integrated || !facts.vram_total_bytes.known() ? 0 : facts.vram_total_bytes.value;
    for (std::size_t i = 0; i < machine.gpus.size(); ++i) {
        const GpuFacts& other = machine.gpus[i];
        if (other.pci_vendor == facts.pci_vendor && other.pci_device == facts.pci_device) {
            mark.place += i < gpu ? 1 : 0;
            mark.equals += 1;
        }
    }
    return mark;
}

std::string engine_device_of(const GpuMark& mark, std::span<const EngineDevice> devices) {
    for (const std::string_view backend : kBackends) {
        if (mark.empty()) {
            break;
        }
        for (const std::string* word : {&mark.product, &mark.gfx}) {
            const auto named = [&](const EngineDevice& device) {
                return contains_word(device.description, *word);
            };
            if (std::string name = chosen_by(named, mark, backend, devices); !name.empty()) {
                return name;
            }
        }
        const auto as_large = [&](const EngineDevice& device) {
            return has_memory(device, mark.memory_bytes);
        };
        if (std::string name = chosen_by(as_large, mark, backend, devices); !name.empty()) {
            return name;
        }
    }
    return {};
}

}  // namespace trilane::probe
