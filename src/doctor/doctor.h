// Doctor: known traps as named checks over facts that were read elsewhere. Pure: facts in, findings
// out; each says what it saw and the exact command or setting that mends it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "probe/engines.h"
#include "probe/machine.h"
#include "probe/vulkan.h"

namespace trilane::doctor {

/// Worst last. `skipped`: does not apply to this machine.
enum class State { ok, skipped, unknown, warning, failure };
std::string_view state_name(State state);

struct Finding {
    std::string id;     ///< "npu.iommu", stable: for scripts
    std::string title;  ///< "IOMMU is on for the NPU"
    State state = State::ok;
    std::string evidence;  ///< what was seen, with its source: "/proc/cmdline: amd_iommu=off"
    std::string fix;       ///< what to do; "" = nothing
};

/// A lane of llama-server on a GPU, as `serve` would open it.
struct LlamaLane {
    std::string name;
    std::string program;        ///< as in Surroundings::engines
    std::string engine_device;  ///< "" = the program's own choice
};

/// What the checks look at besides the machine.
struct Surroundings {
    std::vector<probe::Engine> engines;
    std::vector<std::string> environment;     ///< "NAME=value" of the process that starts lanes
    std::vector<probe::VulkanDevice> vulkan;  ///< what Vulkan's loader lists
    bool vulkan_asked = false;                ///< false: it was not asked, `vulkan` says nothing
    // The lanes that `serve` would open.
    bool npu_wanted = false;             ///< one is on the NPU
    std::vector<LlamaLane> llama_lanes;  ///< those on a GPU
    bool lanes_configured = false;       ///< else they are what was found
};

std::vector<Finding> examine(const probe::Machine& machine, const Surroundings& surroundings);

/// 0: nothing worse than unknown; 1: warnings; 2: failures.
int exit_code(const std::vector<Finding>& findings);

}  // namespace trilane::doctor
