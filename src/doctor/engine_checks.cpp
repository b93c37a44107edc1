// Checks of the installed engines: do they run, are their versions known, do they bear each other.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/checks.h"

namespace trilane::doctor {
namespace {

Finding answers(const View& view) {
    Check check("engines.answer", "Every installed engine runs");
    std::string named;
    std::string broken;
    for (const probe::Engine& engine : view.around.engines) {
        named += (named.empty() ? "" : ", ") + engine.path;
        if (!engine.problem.empty()) {
            broken +=
                fmt::format("{}{}: {}", broken.empty() ? "" : "; ", engine.path, engine.problem);
        }
    }
    if (named.empty()) {
        return check.skipped("no engine is installed besides Trilane's own");
    }
    if (!broken.empty()) {
        return check.warning(broken, "Run it by hand to see more, and install it again.");
    }
    return check.ok(named);
}

Finding flm_version(const View& view) {
    Check check("engines.flm_version", "FastFlowLM's version is known");
    if (view.flm == nullptr) {
        return check.skipped("FastFlowLM is not installed");
    }
    const std::string evidence = fmt::format("{}: {}", view.flm->path, view.flm->version);
    const auto version = version_in(view.flm->version);
    if (!version) {
        return check.unknown(view.flm->path + " does not say its version", "flm version");
    }
    const std::string known =
        fmt::format("Trilane knows {} to {}", kFlmKnownMin.text(), kFlmKnownMax.text());
    if (*version < kFlmKnownMin) {
        return check.warning(fmt::format("{}; {}", evidence, known),
                             "It is used all the same. If it misbehaves, install a newer one.");
    }
    if (*version > kFlmKnownMax) {
        return check.warning(
            fmt::format("{}; {}", evidence, known),
            "It is used all the same. If it misbehaves, look for a newer Trilane.");
    }
    return check.ok(evidence);
}

/// Its first Vulkan device; null = it lists none.
const probe::EngineDevice* vulkan_of(const probe::Engine& engine) {
    const auto found = std::ranges::find_if(
        engine.devices, [](const auto& device) { return device.name.starts_with("Vulkan"); });
    return engine.kind == "llama-server" && found != engine.devices.end() ? &*found : nullptr;
}

/// Lines of the configuration that give the lane a Vulkan device.
std::string on_vulkan(const LlamaLane& lane, const View& view) {
    const probe::Engine* other = nullptr;  // its own program, should that have one
    for (const probe::Engine& engine : view.around.engines) {
        const bool better = other == nullptr || engine.path == lane.program;
        other = better && vulkan_of(engine) != nullptr ? &engine : other;
    }
    const std::string program = other != nullptr ? other->path : "/path/to/its/llama-server";
    const std::string device = other != nullptr ? vulkan_of(*other)->name : "Vulkan0";
    if (other == nullptr && !view.around.lanes_configured) {
        return "Install a Vulkan build of llama-server beside it, on PATH: Trilane then takes that "
               "one, and its Vulkan device.";
    }
    return fmt::format(
        "{}n the configuration:\n  [lane.{}]\n  kind = \"llama-server\"\n{}  engine_device = "
        "\"{}\"",
        other != nullptr ? "I" : "Install a Vulkan build of llama-server, and i", lane.name,
        program == lane.program ? "" : fmt::format("  program = \"{}\"\n", program), device);
}

Finding rocm_beside_npu(const View& view) {
    Check check("lanes.rocm_beside_npu", "The GPU is left to Vulkan while the NPU works");
    if (view.machine.npus.empty()) {
        return check.skipped("there is no NPU");
    }
    if (!view.around.npu_wanted) {
        return check.skipped("no lane would use the NPU");
    }
    if (const LlamaLane* lane = view.rocm_lane; lane != nullptr) {
        return check.failure(
            fmt::format("lane {} runs {} on ROCm and another lane uses the NPU: while both work, "
                        "the NPU's firmware hangs",
                        lane->name, lane->program),
            on_vulkan(*lane, view));
    }
    std::string on;
    for (const LlamaLane& lane : view.around.llama_lanes) {
        on += fmt::format("{}lane {} is on {}", on.empty() ? "" : ", ", lane.name,
                          lane.engine_device.empty() ? "no ROCm device" : lane.engine_device);
    }
    return on.empty() ? check.skipped("no lane would run llama-server on the GPU") : check.ok(on);
}

Finding speech(const View& view) {
    Check check("engines.speech", "Something here can speak");
    for (const probe::Engine& engine : view.around.engines) {
        if (engine.kind == "kokoro" || engine.kind == "espeak") {
            return check.ok(engine.path);
        }
    }
    return check.skipped(
        "no program that speaks is installed, so requests for speech are refused; install "
        "espeak-ng (apt install espeak-ng) or Kokoros if they are wanted");
}

}  // namespace

std::vector<Finding> engine_checks(const View& view) {
    return {answers(view), flm_version(view), rocm_beside_npu(view), speech(view)};
}

}  // namespace trilane::doctor
