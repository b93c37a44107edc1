// Checks of the NPU, in the order in which one finds out why it is not there: each looks only at
// what the ones before it left open.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "doctor/advice.h"
#include "doctor/checks.h"
#include "json/json.h"

namespace trilane::doctor {
namespace {

using probe::NpuFacts;

constexpr std::uint32_t kXdna1Device = 0x1502;
/// Numbering of development builds, above all releases.
constexpr std::uint32_t kDevelopmentMajor = 255;
constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

constexpr Package kNpuFirmware{"linux-firmware", "", "linux-firmware", "linux-firmware"};

std::string folder(const NpuFacts& npu) {
    return "/sys/bus/pci/devices/" + npu.pci_slot;
}

Finding present(const View& view) {
    Check check("npu.present", "The NPU is on the PCI bus");
    const auto& machine = view.machine;
    if (!machine.npus.empty()) {
        const NpuFacts& npu = machine.npus.front();
        return check.ok(fmt::format("{}: {}", folder(npu), npu.generation));
    }
    const std::string evidence = "/sys/bus/pci/devices lists no NPU of AMD's";
    if (machine.platform == "strix-halo") {
        return check.bad(view.npu_matters(), evidence + ", yet this chip has one",
                         "In the machine's firmware setup (BIOS), enable the NPU (also: IPU, AI "
                         "engine, signal processing device).");
    }
    if (view.around.npu_wanted) {
        return check.failure(evidence + ", yet a lane is configured for it",
                             "Take the lane out of the configuration: trilane config path");
    }
    return check.skipped(evidence);
}

Finding generation(const View& view, const NpuFacts& npu) {
    Check check("npu.generation", "FastFlowLM supports this NPU");
    const std::string evidence =
        fmt::format("{}: {:04x}, {}", folder(npu), npu.pci_device, npu.generation);
    if (npu.pci_device != kXdna1Device) {
        return check.ok(evidence);
    }
    if (!view.npu_matters()) {
        return check.skipped(evidence +
                             "; FastFlowLM needs XDNA 2, and nothing here wants the NPU");
    }
    return check.warning(evidence + "; FastFlowLM needs XDNA 2",
                         "Use the CPU and the GPU on this machine.");
}

bool has_argument(const View& view, std::string_view wanted) {
    const auto arguments = boot_arguments(view.machine);
    return std::find(arguments.begin(), arguments.end(), wanted) != arguments.end();
}

/// The argument that turns the IOMMU off; "" = none.
std::string iommu_off_argument(const View& view) {
    for (const char* argument : {"amd_iommu=off", "iommu=off"}) {
        if (has_argument(view, argument)) {
            return argument;
        }
    }
    return "";
}

/// The IOMMU is off, as far as can be told.
bool iommu_is_off(const View& view) {
    const auto& iommu = view.machine.system.iommu;
    return !iommu_off_argument(view).empty() || (iommu.known() && !iommu.value);
}

Finding iommu(const View& view, const NpuFacts& npu) {
    Check check("npu.iommu", "The IOMMU is on, for the NPU");
    const auto& line = view.machine.system.kernel_command_line;
    const std::string off = iommu_off_argument(view);
    const bool hides_it = npu.name.empty();
    if (!off.empty()) {
        return check.bad(
            hides_it && view.npu_matters(),
            fmt::format("{}: {}{}", line.source, off,
                        hides_it ? "; without an IOMMU the NPU's driver does not start" : ""),
            change_boot_arguments(view.machine, {}, {off}) +
                "\n(The GPU is a few percent faster without an IOMMU; the NPU needs one.)");
    }
    if (iommu_is_off(view)) {
        return check.bad(hides_it && view.npu_matters(),
                         view.machine.system.iommu.source + " is empty: the kernel runs no IOMMU",
                         "In the machine's firmware setup (BIOS), enable IOMMU (AMD-Vi).");
    }
    if (has_argument(view, "amd_iommu=pt")) {
        return check.warning(
            fmt::format("{}: amd_iommu=pt is no value that the kernel knows, and does "
                        "nothing",
                        line.source),
            change_boot_arguments(view.machine, {"iommu=pt"}, {"amd_iommu=pt"}));
    }
    if (!view.machine.system.iommu.known()) {
        return check.unknown("/sys/class/iommu cannot be read", "ls /sys/class/iommu");
    }
    return check.ok(view.machine.system.iommu.source + " is not empty");
}

Finding driver(const View& view, const NpuFacts& npu) {
    Check check("npu.driver", "The kernel has the NPU's driver");
    if (npu.driver_loaded || !npu.driver.empty()) {
        return check.ok(
            npu.driver_version.known()
                ? fmt::format("{}: {}", npu.driver_version.source, npu.driver_version.value)
                : "/sys/bus/pci/drivers/amdxdna is there");
    }
    return check.bad(
        view.npu_matters(), "/sys/bus/pci/drivers/amdxdna is not there",
        fmt::format("{}sudo modprobe amdxdna\nIf there is no such module: Linux 7.0 or "
                    "newer has it; for 6.x install amdxdna-dkms.",
                    host_decides(view.machine) ? "On the host: " : ""));
}

Finding protocol(const View& view, const NpuFacts& npu) {
    Check check("npu.protocol", "Driver and firmware of the NPU understand each other");
    const std::string evidence = fmt::format("{}/driver: {}", folder(npu),
                                             npu.driver.empty() ? "none is bound" : npu.driver);
    if (!npu.driver.empty()) {
        return check.ok(evidence);
    }
    if (!npu.driver_loaded) {
        return check.skipped("the driver comes first; see npu.driver");
    }
    if (iommu_is_off(view)) {
        return check.skipped(evidence + "; the IOMMU comes first, see npu.iommu");
    }
    const std::string files =
        npu.firmware_files.empty()
            ? "no firmware is installed for it"
            : fmt::format("installed firmware: {}", fmt::join(npu.firmware_files, ", "));
    return check.bad(
        view.npu_matters(), fmt::format("{}, though the driver is there; {}", evidence, files),
        fmt::format(
            "The kernel's log says why:\nsudo dmesg | grep -i amdxdna\n\"Incompatible firmware "
            "protocol\": the firmware is newer than the driver. Linux 7.0 or newer goes "
            "with the newest firmware; on 6.x install amdxdna-dkms, which brings its own. "
            "No firmware found:\n{}\nThen restart.",
            install(view.machine, kNpuFirmware)));
}

Finding node(const View& view, const NpuFacts& npu) {
    Check check("npu.node", "The NPU has a device node here");
    if (npu.driver.empty()) {
        return check.skipped("no driver is bound to it; see above");
    }
    if (!npu.device_node.empty()) {
        return check.ok(npu.device_node + " is there");
    }
    const std::string name = npu.name.empty() ? "accel0" : npu.name;
    return check.bad(view.npu_matters(),
                     fmt::format("{} shows it, but /dev/accel/{} is not there", folder(npu), name),
                     hand_in(view.machine, "/dev/accel/" + name));
}

Finding access(const View& view, const NpuFacts& npu) {
    Check check("npu.access", "This user may use the NPU");
    if (npu.device_node.empty()) {
        return check.skipped("there is no device node; see npu.node");
    }
    if (npu.device_node_usable) {
        return check.ok(npu.device_node + " can be read and written");
    }
    const std::string groups = fmt::format("{}", fmt::join(view.machine.system.groups, " "));
    return check.bad(view.npu_matters(),
                     fmt::format("{} may not be read and written (flm calls this \"No NPU device "
                                 "found\"); groups of this user: {}",
                                 npu.device_node, groups.empty() ? "none" : groups),
                     join_group(view.machine, "render"));
}

Finding firmware(const View& view, const NpuFacts& npu) {
    Check check("npu.firmware", "The NPU's firmware is new enough");
    if (npu.driver.empty()) {
        return check.skipped("no driver is bound to it; see above");
    }
    const auto version = version_in(npu.firmware_version.value);
    if (!version) {
        return check.unknown("the driver does not say its firmware's version", "flm validate");
    }
    std::string evidence =
        fmt::format("{}: {}", npu.firmware_version.source, npu.firmware_version.value);
    if (*version < kNpuFirmwareMin) {
        return check.bad(
            view.npu_matters(),
            fmt::format("{}; FastFlowLM needs {}", evidence, kNpuFirmwareMin.text()),
            fmt::format(
                "The driver of Linux 6.x takes old firmware only. Install Linux 7.0 or newer, "
                "or amdxdna-dkms, and the newest firmware:\n{}\nThen restart.",
                install(view.machine, kNpuFirmware)));
    }
    if (version->numbers[0] == kDevelopmentMajor) {
        evidence += " (a development build's number)";
    }
    return check.ok(evidence);
}

Finding kernel(const View& view, const NpuFacts&) {
    Check check("npu.kernel", "The kernel is new enough for FastFlowLM");
    const auto& release = view.machine.system.kernel_release;
    const auto version = version_in(release.value);
    if (!version) {
        return check.unknown("the kernel's release cannot be read", "uname -r");
    }
    const std::string evidence = fmt::format("{}: {}", release.source, release.value);
    if (*version >= kFlmKernelMin) {
        return check.ok(evidence);
    }
    return check.bad(
        view.npu_matters(),
        fmt::format("{}; FastFlowLM starts from {} on", evidence, kFlmKernelMin.text()),
        fmt::format("Install Linux 7.0 or newer{}: it has the NPU's driver.",
                    host_decides(view.machine) ? " on the host" : ""));
}

Finding memlock(const View& view, const NpuFacts&) {
    Check check("npu.memlock", "Enough memory may be locked for the NPU");
    const auto& limit = view.machine.memory.memlock_bytes;
    if (!limit.known()) {
        return check.unknown("/proc/self/limits cannot be read", "ulimit -l");
    }
    if (limit.value == kUnlimited) {
        return check.ok(fmt::format("{}: unlimited", limit.source));
    }
    const std::string evidence = fmt::format("{}: {}", limit.source, binary_bytes(limit.value));
    const std::string fix = unlimited_locking(view.machine);
    if (limit.value < kFlmMemlockMin) {
        return check.bad(view.npu_matters(),
                         fmt::format("{}; FastFlowLM asks for {} and locks a model's whole size",
                                     evidence, binary_bytes(kFlmMemlockMin)),
                         fix);
    }
    return check.warning(evidence + "; larger models cannot be locked", fix);
}

Finding xrt_plugin(const View& view, const NpuFacts& npu) {
    Check check("npu.xrt_plugin", "XRT has its driver for the NPU");
    if (!view.npu_matters() || npu.driver.empty()) {
        return check.skipped("nothing here uses XRT");
    }
    const auto& installed = view.machine.system.xrt_plugin;
    if (installed.known()) {
        return check.ok(installed.value);
    }
    if (view.flm != nullptr && !view.flm->xrt_plugin.empty()) {
        return check.ok(view.flm->xrt_plugin);
    }
    return check.warning(
        "libxrt_driver_xdna.so.2 is in none of the usual folders; `flm validate` does not need it, "
        "`flm serve` does (\"No such device with index '0'\")",
        "Install XRT's plug-in for the NPU: libxrt-npu2 (Debian, Ubuntu), xrt-plugin-amdxdna "
        "(Arch), "
        "or a portable FastFlowLM, which brings it.");
}

/// Folders of XRT in a list like LD_LIBRARY_PATH.
bool mentions_xrt(std::string_view variable) {
    return variable.find("xrt") != std::string_view::npos;
}

Finding xrt_environment(const View& view, const NpuFacts&) {
    Check check("npu.xrt_environment", "XRT's setup.sh is not in the environment");
    if (view.around.environment.empty()) {
        return check.skipped("the environment of this machine's lanes is not known");
    }
    for (const std::string& variable : view.around.environment) {
        if (variable.starts_with("XILINX_XRT=") ||
            (variable.starts_with("LD_LIBRARY_PATH=") && mentions_xrt(variable))) {
            return check.warning(
                variable + "; with it FastFlowLM sees no device (Trilane starts it without)",
                "Take `source /opt/xilinx/xrt/setup.sh` out of the shell's start files, or:\n"
                "unset XILINX_XRT LD_LIBRARY_PATH");
        }
    }
    return check.ok("neither XILINX_XRT nor a folder of XRT in LD_LIBRARY_PATH");
}

/// What `flm validate --json` finds wrong, in words.
std::vector<std::string> complaints(const json::Value& validation) {
    struct Field {
        const char* key;
        const char* text;
    };
    constexpr std::array kFields{Field{"kernel_ok", "the kernel or its driver is too old"},
                                 Field{"amd_device_found", "no NPU that it may open"},
                                 Field{"all_fw_ok", "the firmware is too old"},
                                 Field{"enough_cols", "too few columns: another NPU"},
                                 Field{"memlock_ok", "too little memory may be locked"}};
    std::vector<std::string> found;
    for (const Field& field : kFields) {
        const auto value = validation.find(field.key);
        if (value != validation.end() && *value == false) {
            found.emplace_back(field.text);
        }
    }
    return found;
}

Finding validated(const View& view, const NpuFacts&) {
    Check check("npu.flm", "FastFlowLM is satisfied with the NPU");
    if (view.flm == nullptr) {
        return view.around.npu_wanted
                   ? check.failure("flm is not installed, yet a lane is configured for it",
                                   "Install FastFlowLM: https://github.com/ROCm/FastFlowLM")
                   : check.skipped("FastFlowLM is not installed");
    }
    const auto parsed = json::parse(view.flm->validation);
    if (view.flm->validation.empty() || !parsed || !parsed->is_object()) {
        return check.unknown(fmt::format("{} does not answer `validate --json`", view.flm->path),
                             "flm validate");
    }
    const auto ready = parsed->find("ready");
    if (ready != parsed->end() && *ready == true) {
        return check.ok(view.flm->path + " validate: ready");
    }
    const auto found = complaints(*parsed);
    return check.failure(
        fmt::format("{} validate: {}", view.flm->path,
                    found.empty() ? "not ready" : fmt::format("{}", fmt::join(found, "; "))),
        "Mend what stands above, then: flm validate");
}

}  // namespace

std::vector<Finding> npu_checks(const View& view) {
    std::vector<Finding> findings{present(view)};
    // Every machine that has NPUs has one.
    if (!view.machine.npus.empty()) {
        for (const auto& check : {generation, iommu, driver, protocol, node, access, firmware,
                                  kernel, memlock, xrt_plugin, xrt_environment, validated}) {
            findings.push_back(check(view, view.machine.npus.front()));
        }
    }
    return findings;
}

}  // namespace trilane::doctor
