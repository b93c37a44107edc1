#include "doctor/doctor.h"

#include <algorithm>
#include <iterator>

#include "doctor/checks.h"

namespace trilane::doctor {
namespace {

bool lists_rocm(const probe::Engine& engine) {
    return engine.kind == "llama-server" &&
           std::ranges::any_of(engine.devices, [](const probe::EngineDevice& device) {
               return device.name.starts_with("ROCm");
           });
}

/// A program without a device of its own takes ROCm's before Vulkan's.
bool uses_rocm(const LlamaLane& lane, const Surroundings& surroundings) {
    if (!lane.engine_device.empty()) {
        return lane.engine_device.starts_with("ROCm");
    }
    return std::ranges::any_of(surroundings.engines, [&](const probe::Engine& engine) {
        return engine.path == lane.program && lists_rocm(engine);
    });
}

View view_of(const probe::Machine& machine, const Surroundings& surroundings) {
    View view{machine, surroundings};
    for (const probe::Engine& engine : surroundings.engines) {
        if (engine.kind == "flm" && view.flm == nullptr) {
            view.flm = &engine;
        }
        view.has_rocm_build = view.has_rocm_build || lists_rocm(engine);
    }
    for (const LlamaLane& lane : surroundings.llama_lanes) {
        if (view.rocm_lane == nullptr && uses_rocm(lane, surroundings)) {
            view.rocm_lane = &lane;
        }
    }
    return view;
}

}  // namespace

std::string_view state_name(State state) {
    switch (state) {
        case State::ok:
            return "ok";
        case State::skipped:
            return "skipped";
        case State::unknown:
            return "unknown";
        case State::warning:
            return "warning";
        case State::failure:
            break;
    }
    return "failure";
}

std::vector<Finding> examine(const probe::Machine& machine, const Surroundings& surroundings) {
    const View view = view_of(machine, surroundings);
    std::vector<Finding> findings;
    for (const auto& checks :
         {system_checks, memory_checks, gpu_checks, npu_checks, engine_checks}) {
        std::vector<Finding> made = checks(view);
        std::move(made.begin(), made.end(), std::back_inserter(findings));
    }
    return findings;
}

int exit_code(const std::vector<Finding>& findings) {
    State worst = State::ok;
    for (const Finding& finding : findings) {
        worst = std::max(worst, finding.state);
    }
    constexpr int kWarnings = 1;
    constexpr int kFailures = 2;
    return worst == State::failure ? kFailures : worst == State::warning ? kWarnings : 0;
}

}  // namespace trilane::doctor
