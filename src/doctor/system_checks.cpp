// Checks of the kernel, the container and the processors' clock.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "doctor/advice.h"
#include "doctor/checks.h"

namespace trilane::doctor {
namespace {

using probe::Container;
using probe::GpuFacts;
using probe::Machine;

bool has_gfx1151(const Machine& machine) {
    return std::any_of(machine.gpus.begin(), machine.gpus.end(), is_gfx1151);
}

Finding kernel(const View& view) {
    Check check("system.kernel", "The kernel runs this GPU steadily");
    const Machine& machine = view.machine;
    if (!has_gfx1151(machine)) {
        return check.skipped("only gfx1151 (Strix Halo) is known to need a certain kernel");
    }
    const auto& release = machine.system.kernel_release;
    const auto version = version_in(release.value);
    if (!version) {
        return check.unknown("the kernel's release cannot be read", "uname -r");
    }
    const std::string evidence = fmt::format("{}: {}", release.source, release.value);
    if (*version < kGfx1151KernelMin) {
        return check.warning(
            fmt::format("{}; gfx1151 hangs under load before {}", evidence,
                        kGfx1151KernelMin.text()),
            fmt::format("Install Linux {} or newer{}; 7.0 brings the NPU's driver, too.",
                        kGfx1151KernelMin.text(), host_decides(machine) ? " on the host" : ""));
    }
    return check.ok(evidence);
}

/// Whether every GPU and NPU that sysfs shows can be used from in here.
bool all_devices_are_usable(const Machine& machine) {
    return std::all_of(machine.gpus.begin(), machine.gpus.end(),
                       [](const GpuFacts& gpu) {
                           return !gpu.kernel_has_render_node || gpu.render_node_usable;
                       }) &&
           std::all_of(machine.npus.begin(), machine.npus.end(), [](const probe::NpuFacts& npu) {
               return npu.name.empty() || npu.device_node_usable;
           });
}

Finding container(const View& view) {
    Check check("system.container", "The container lets the devices through");
    const Machine& machine = view.machine;
    const Container kind = machine.system.container;
    const std::string evidence =
        fmt::format("{}: {}", machine.system.container_source, probe::container_name(kind));
    switch (kind) {
        case Container::none:
            return check.skipped("not in a container");
        case Container::kvm:
            return check.skipped(evidence + ": a virtual machine, not a container");
        case Container::wsl:
            return check.warning(
                evidence + "; the NPU and amdgpu's own files are not to be had in WSL",
                "For the NPU and for GPU figures, run Linux on the machine itself.");
        case Container::lxc_unprivileged:
            if (!all_devices_are_usable(machine)) {
                return check.warning(
                    evidence +
                        "; sysfs shows the host's devices, but not all of them can be used here",
                    "Hand the device nodes in (gpu.node, npu.node below). The NPU may still refuse "
                    "(SVA bind error -95): then use a privileged container.");
            }
            return check.ok(evidence);
        case Container::lxc:
        case Container::docker:
        case Container::podman:
        case Container::other:
            break;
    }
    return check.ok(evidence);
}

Finding governor(const View& view) {
    Check check("cpu.governor", "The processors clock up when there is work");
    const probe::SystemFacts& system = view.machine.system;
    if (!system.cpu_governor.known()) {
        return check.skipped("the kernel does not set the clock here");
    }
    std::string evidence =
        fmt::format("{}: {}", system.cpu_governor.source, system.cpu_governor.value);
    if (system.cpu_preference.known()) {
        // With a preference the driver clocks by itself, and "powersave" is its normal mode.
        evidence = fmt::format("{}: {}", system.cpu_preference.source, system.cpu_preference.value);
        if (system.cpu_preference.value == "power") {
            return check.warning(evidence + "; answers from the CPU are slower than they could be",
                                 "echo balance_performance | sudo tee /sys/devices/system/cpu/cpu*/"
                                 "cpufreq/energy_performance_preference");
        }
    } else if (system.cpu_governor.value == "powersave") {
        return check.warning(evidence + "; the processors stay at their lowest clock",
                             "echo schedutil | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/"
                             "scaling_governor");
    }
    return check.ok(evidence);
}

}  // namespace

bool is_gfx1151(const GpuFacts& gpu) {
    constexpr std::uint32_t kStrixHaloGraphics = 0x1586;
    return gpu.vendor == probe::Vendor::amd &&
           (gpu.gfx == "gfx1151" || gpu.pci_device == kStrixHaloGraphics);
}

std::vector<Finding> system_checks(const View& view) {
    return {kernel(view), container(view), governor(view)};
}

}  // namespace trilane::doctor
