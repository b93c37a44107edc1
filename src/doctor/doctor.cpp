#include "doctor/doctor.h"

#include <algorithm>
#include <iterator>

#include "doctor/checks.h"

namespace trilane::doctor {
namespace {

View view_of(const probe::Machine& machine, const Surroundings& surroundings) {
    View view{machine, surroundings};
    for (const probe::Engine& engine : surroundings.engines) {
        if (engine.kind == "flm" && view.flm == nullptr) {
            view.flm = &engine;
        }
        if (engine.kind != "llama-server") {
            continue;
        }
        for (const probe::EngineDevice& device : engine.devices) {
            view.has_rocm_build |= device.name.starts_with("ROCm");
            view.has_vulkan_build |= device.name.starts_with("Vulkan");
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
