#include "gateway/lemonade_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace trilane::gateway::lemonade_api {
namespace {

namespace lemonade = dialect::lemonade;

/// A backend of a recipe, and the lane that it is here. Lemonade brings builds of llama.cpp for
/// Vulkan and ROCm; here a lane runs the llama-server that is installed ("system"), whose devices
/// it asks for itself: the three mean the same.
struct BackendRow {
    std::string_view recipe;
    std::string_view backend;
    std::string_view kind;
    std::string_view silicon;
    std::string_view program;  ///< what to install; "" = nothing
};
constexpr BackendRow kBackends[] = {
    {"llamacpp", "system", "llama-server", "gpu", "llama.cpp's llama-server"},
    {"llamacpp", "vulkan", "llama-server", "gpu", "llama.cpp's llama-server, built for Vulkan"},
    {"llamacpp", "rocm", "llama-server", "gpu", "llama.cpp's llama-server, built for ROCm"},
    {"llamacpp", "cpu", "native", "cpu", ""},
    {"flm", "npu", "flm", "npu", "FastFlowLM (flm)"},
    {"whispercpp", "vulkan", "whisper-server", "gpu", "whisper.cpp's whisper-server"},
    {"whispercpp", "cpu", "whisper-server", "cpu", "whisper.cpp's whisper-server"},
    {"sd-cpp", "vulkan", "sd-server", "gpu", "stable-diffusion.cpp's sd-server"},
    {"sd-cpp", "cpu", "sd-server", "cpu", "stable-diffusion.cpp's sd-server"},
    {"kokoro", "cpu", "kokoro", "cpu", "Kokoros (koko)"},
};

std::string_view vendor_key(probe::Vendor vendor) {
    switch (vendor) {
        case probe::Vendor::amd:
            return "amd_gpu";
        case probe::Vendor::nvidia:
            return "nvidia_gpu";
        case probe::Vendor::intel:
        case probe::Vendor::other:
            break;
    }
    return "other_gpu";
}

/// Of this machine, those on which such a lane can run.
std::vector<std::string> devices_of(std::string_view silicon,
                                    const std::optional<probe::Machine>& machine) {
    std::vector<std::string> out;
    if (silicon == "cpu") {
        out.emplace_back("cpu");
    } else if (machine && silicon == "npu" && !machine->npus.empty()) {
        out.emplace_back("amd_npu");
    } else if (machine && silicon == "gpu") {
        for (const probe::GpuFacts& gpu : machine->gpus) {
            const std::string key(vendor_key(gpu.vendor));
            if (std::ranges::find(out, key) == out.end()) {
                out.push_back(key);
            }
        }
    }
    return out;
}

lemonade::BackendState state_of(const BackendRow& row, const plane::View& view,
                                const std::optional<probe::Machine>& machine,
                                const std::string& version) {
    lemonade::BackendState out;
    out.name = row.backend;
    out.devices = devices_of(row.silicon, machine);
    const auto lane = std::ranges::find_if(view.lanes, [&](const plane::LaneView& one) {
        // On the CPU, llama-server does what our own engine does.
        const bool same =
            one.kind == row.kind || (row.kind == "native" && one.kind == "llama-server");
        return same && one.silicon == row.silicon;
    });
    if (lane != view.lanes.end()) {
        out.state = "installed";
        out.version = lane->kind == "native" ? version : "";
    } else if (out.devices.empty()) {
        out.state = "unsupported";
        out.message = fmt::format("this machine has no {}",
                                  row.silicon == "npu" ? "NPU that the kernel shows" : "GPU");
        out.action = "trilane doctor";
    } else if (row.program.empty()) {
        out.state = "installable";
        out.message = "the configuration leaves the lane of Trilane's own engine out";
        out.action = "add a lane of kind native to the configuration, then restart trilane";
    } else {
        out.state = "installable";
        out.message = fmt::format("{} is not installed, or no lane uses it", row.program);
        out.action = fmt::format(
            "install {} so that it is on the PATH, then restart trilane; "
            "`trilane doctor` says what is missing",
            row.program);
    }
    return out;
}

}  // namespace

std::vector<lemonade::RecipeState> recipe_states(const plane::View& view,
                                                 const std::optional<probe::Machine>& machine,
                                                 const std::string& version) {
    std::vector<lemonade::RecipeState> out;
    for (const BackendRow& row : kBackends) {
        if (out.empty() || out.back().name != row.recipe) {
            out.emplace_back().name = row.recipe;
        }
        out.back().backends.push_back(state_of(row, view, machine, version));
    }
    for (lemonade::RecipeState& recipe : out) {
        for (const std::string_view wanted : {"installed", "installable"}) {
            const auto best =
                std::ranges::find(recipe.backends, wanted, &lemonade::BackendState::state);
            if (best != recipe.backends.end() && recipe.preferred.empty()) {
                recipe.preferred = best->name;
            }
        }
    }
    return out;
}

lemonade::System system_of(const std::optional<probe::Machine>& machine) {
    lemonade::System out;
    if (!machine) {
        return out;
    }
    const probe::SystemFacts& facts = machine->system;
    out.os = fmt::format("{} (Linux {})",
                         facts.distribution.known() ? facts.distribution.value : "Linux",
                         facts.kernel_release.known() ? facts.kernel_release.value : "unknown");
    out.product = facts.product.value;
    out.processor = machine->cpu.model_name;
    out.cores = machine->cpu.cores;
    out.threads = machine->cpu.threads;
    out.memory_bytes = machine->memory.total_bytes.value;
    for (const probe::GpuFacts& gpu : machine->gpus) {
        lemonade::Graphics& one = out.graphics.emplace_back();
        one.name = gpu.product.empty() ? gpu.name : gpu.product;
        one.family = gpu.gfx;
        one.driver = gpu.driver;
        one.amd = gpu.vendor == probe::Vendor::amd;
        one.nvidia = gpu.vendor == probe::Vendor::nvidia;
        one.integrated = gpu.integrated;
        one.usable = gpu.render_node_usable;
        one.vram_bytes = gpu.vram_total_bytes.value;
        one.shared_bytes = gpu.gtt_total_bytes.value;
    }
    if (!machine->npus.empty()) {
        const probe::NpuFacts& npu = machine->npus.front();
        lemonade::System::Npu& one = out.npu.emplace();
        one.name = npu.generation.empty() ? npu.name : npu.generation;
        // "XDNA 2 (Strix Halo)" → "XDNA2"
        one.family = npu.generation.substr(0, npu.generation.find(" ("));
        std::erase(one.family, ' ');
        one.driver_version = npu.driver_version.value;
        one.firmware_version = npu.firmware_version.value;
        one.usable = npu.device_node_usable;
    }
    return out;
}

lemonade::Usage usage_of(const std::optional<probe::Machine>& machine) {
    lemonade::Usage out;
    if (!machine) {
        return out;
    }
    const probe::MemoryFacts& memory = machine->memory;
    if (memory.total_bytes.known() && memory.available_bytes.known()) {
        out.memory_bytes = memory.total_bytes.value -
                           std::min(memory.available_bytes.value, memory.total_bytes.value);
    }
    for (const probe::GpuFacts& gpu : machine->gpus) {
        if (gpu.busy_percent.known()) {
            out.gpu_percent =
                std::max(out.gpu_percent.value_or(0), static_cast<double>(gpu.busy_percent.value));
        }
        if (gpu.vram_used_bytes.known() || gpu.gtt_used_bytes.known()) {
            out.vram_bytes =
                out.vram_bytes.value_or(0) + gpu.vram_used_bytes.value + gpu.gtt_used_bytes.value;
        }
    }
    return out;
}

}  // namespace trilane::gateway::lemonade_api
