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

Finding rocm_beside_npu(const View& view) {
    Check check("lanes.rocm_beside_npu", "The GPU is left to Vulkan while the NPU works");
    if (view.machine.npus.empty()) {
        return check.skipped("there is no NPU");
    }
    if (view.around.rocm_lane && view.around.npu_wanted) {
        return check.failure(
            "a lane runs llama-server on ROCm and another uses the NPU: the NPU's firmware hangs",
            "In the configuration, give the llama-server lane a Vulkan device: device = "
            "\"Vulkan0\"");
    }
    if (view.flm != nullptr && view.has_rocm_build && !view.has_vulkan_build) {
        return check.warning(
            "the only llama-server for the GPU is for ROCm; while it works, the NPU's firmware "
            "hangs",
            "Install a Vulkan build of llama-server beside it; Trilane prefers it.");
    }
    if (!view.has_rocm_build) {
        return check.skipped("no llama-server for ROCm is installed");
    }
    return check.ok(view.has_vulkan_build ? "there is a llama-server for Vulkan"
                                          : "nothing uses the NPU");
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
