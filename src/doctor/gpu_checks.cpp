// Checks of the GPUs: driver, device nodes, firmware, Vulkan, and how much memory they can reach.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "doctor/advice.h"
#include "doctor/checks.h"

namespace trilane::doctor {
namespace {

using probe::GpuFacts;
using probe::Machine;
using probe::Vendor;

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30U;
/// What the firmware should cut out for an APU's GPU, for the screen.
constexpr std::uint64_t kCarveOutGood = std::uint64_t{512} << 20U;
/// Memory that the system keeps when the GPU takes all it can reach: a share of all, and no less.
constexpr std::uint64_t kSystemShare = 16;
constexpr std::uint64_t kSystemBytesMin = 4 * kGibibyte;

constexpr Package kAmdFirmware{"linux-firmware amd-gpu-firmware", "firmware-amd-graphics",
                               "linux-firmware", "linux-firmware"};
constexpr Package kMesa{"mesa-vulkan-drivers", "mesa-vulkan-drivers", "mesa-vulkan-drivers",
                        "vulkan-radeon"};
constexpr Package kIntelMesa{"mesa-vulkan-drivers", "mesa-vulkan-drivers", "mesa-vulkan-drivers",
                             "vulkan-intel"};
constexpr Package kVulkanLoader{"vulkan-loader", "libvulkan1", "libvulkan1", "vulkan-icd-loader"};

std::string called(const GpuFacts& gpu) {
    return gpu.product.empty() ? gpu.name : fmt::format("{} ({})", gpu.product, gpu.name);
}

std::string folder(const GpuFacts& gpu) {
    return "/sys/bus/pci/devices/" + gpu.pci_slot;
}

std::string_view usual_driver(const GpuFacts& gpu) {
    switch (gpu.vendor) {
        case Vendor::amd:
            return "amdgpu";
        case Vendor::nvidia:
            return "nvidia";
        case Vendor::intel:
            return "xe";
        case Vendor::other:
            break;
    }
    return "";
}

Finding driver(const View& view, const GpuFacts& gpu) {
    Check check("gpu.driver", called(gpu) + " has its driver");
    const std::string evidence = fmt::format("{}/driver: {}", folder(gpu),
                                             gpu.driver.empty() ? "none is bound" : gpu.driver);
    if (gpu.driver == "vfio-pci") {
        return check.skipped(evidence + ", for a virtual machine");
    }
    if (gpu.driver == "nouveau") {
        return check.warning(evidence + "; it knows no CUDA, and its Vulkan is slow",
                             "Install NVIDIA's own driver (570 or newer) and restart.");
    }
    if (!gpu.driver.empty()) {
        return check.ok(evidence);
    }
    const std::string load =
        fmt::format("sudo modprobe {0} && sudo dmesg | grep -i {0} | tail -20", usual_driver(gpu));
    return check.bad(!gpu.integrated || gpu.vendor == Vendor::amd, evidence,
                     host_decides(view.machine) ? "On the host:\n" + load : load);
}

bool has_working_driver(const GpuFacts& gpu) {
    return !gpu.driver.empty() && gpu.driver != "vfio-pci";
}

/// The node of a GPU that sysfs shows can be missing: in containers.
Finding node(const View& view, const GpuFacts& gpu) {
    Check check("gpu.node", called(gpu) + " has a device node here");
    if (!has_working_driver(gpu)) {
        return check.skipped("it has no driver; see gpu.driver");
    }
    if (!gpu.render_node.empty()) {
        return check.ok(gpu.render_node + " is there");
    }
    if (!gpu.kernel_has_render_node) {
        return check.skipped("its driver makes no device node to compute with");
    }
    const std::string missing =
        gpu.vendor == Vendor::nvidia ? "/dev/nvidia0" : "/dev/dri/renderD128";
    return check.failure(fmt::format("{} shows it, but its node is not in /dev", folder(gpu)),
                         hand_in(view.machine, missing));
}

Finding access(const View& view, const GpuFacts& gpu) {
    Check check("gpu.access", "This user may use " + called(gpu));
    if (gpu.render_node.empty()) {
        return check.skipped("it has no device node here; see gpu.node");
    }
    const std::string groups = fmt::format("{}", fmt::join(view.machine.system.groups, " "));
    if (gpu.render_node_usable) {
        return check.ok(gpu.render_node + " can be read and written");
    }
    return check.failure(
        fmt::format("{} may not be read and written; groups of this user: {}", gpu.render_node,
                    groups.empty() ? "none" : groups),
        join_group(view.machine, gpu.vendor == Vendor::nvidia ? "video" : "render"));
}

Finding kfd(const View& view, const GpuFacts& gpu) {
    Check check("gpu.kfd", "ROCm can use " + called(gpu));
    if (gpu.vendor != Vendor::amd || gpu.gfx.empty()) {
        return check.skipped("not a GPU that ROCm knows");
    }
    if (gpu.kfd_usable) {
        return check.ok("/dev/kfd can be read and written");
    }
    const std::string evidence = "/dev/kfd may not be read and written, or is not there";
    if (view.rocm_lane == nullptr && !view.has_rocm_build) {
        return check.skipped(evidence + "; nothing here wants ROCm");
    }
    return check.bad(view.rocm_lane != nullptr, evidence,
                     host_decides(view.machine) ? hand_in(view.machine, "/dev/kfd")
                                                : join_group(view.machine, "render,video"));
}

/// Names in the file names of the descriptions of Vulkan drivers for a vendor.
std::vector<std::string_view> driver_names(Vendor vendor) {
    switch (vendor) {
        case Vendor::amd:
            return {"radeon", "amd"};
        case Vendor::nvidia:
            return {"nvidia", "nouveau"};
        case Vendor::intel:
            return {"intel"};
        case Vendor::other:
            break;
    }
    return {};
}

/// Vulkan was asked and does not list this GPU.
bool is_missed_by_vulkan(const View& view, const GpuFacts& gpu) {
    const auto& devices = view.around.vulkan;
    return view.around.vulkan_asked &&
           std::none_of(devices.begin(), devices.end(), [&](const probe::VulkanDevice& device) {
               return device.pci_vendor == gpu.pci_vendor && device.pci_device == gpu.pci_device;
           });
}

Finding vulkan(const View& view, const GpuFacts& gpu) {
    Check check("gpu.vulkan", "Vulkan knows " + called(gpu));
    const probe::SystemFacts& system = view.machine.system;
    if (!has_working_driver(gpu)) {
        return check.skipped("it has no driver; see gpu.driver");
    }
    if (!system.vulkan_loader.known()) {
        return check.warning("libvulkan.so.1 is in none of the usual folders",
                             install(view.machine, kVulkanLoader));
    }
    for (const std::string& description : system.vulkan_drivers) {
        const std::string file = description.substr(description.rfind('/') + 1);
        for (const std::string_view name : driver_names(gpu.vendor)) {
            if (file.find(name) == std::string::npos) {
                continue;
            }
            std::string evidence = fmt::format("{}, {}", system.vulkan_loader.value, description);
            if (gpu.render_node_usable && is_missed_by_vulkan(view, gpu)) {
                return check.warning(
                    evidence + ": both are there, yet Vulkan does not list this GPU",
                    "The driver's libraries do not load. See why:\nVK_LOADER_DEBUG=error,warn "
                    "vulkaninfo --summary\nOften a library that it needs is not installed (X11, "
                    "EGL).");
            }
            return check.ok(std::move(evidence));
        }
    }
    return check.warning(
        fmt::format("{} is there, but no driver for this GPU is in /usr/share/vulkan/icd.d",
                    system.vulkan_loader.value),
        gpu.vendor == Vendor::nvidia
            ? "Install the Vulkan part of NVIDIA's driver (often a package of its own)."
            : install(view.machine, gpu.vendor == Vendor::amd ? kMesa : kIntelMesa));
}

Finding mesa(const View& view, const GpuFacts& gpu) {
    Check check("gpu.mesa", "Mesa's Vulkan driver knows " + called(gpu));
    if (!is_gfx1151(gpu)) {
        return check.skipped("only gfx1151 (Strix Halo) is known to need a certain Mesa");
    }
    const auto& found = view.machine.system.mesa_version;
    const auto version = version_in(found.value);
    if (!version) {
        return check.unknown("Mesa's version stands in no file that is known",
                             "vulkaninfo --summary | grep -i driverInfo");
    }
    const std::string evidence = fmt::format("{}: {}", found.source, found.value);
    if (*version < kGfx1151MesaMin) {
        return check.warning(fmt::format("{}; Mesa {} is the first made with this GPU at hand",
                                         evidence, kGfx1151MesaMin.text()),
                             install(view.machine, kMesa));
    }
    return check.ok(evidence);
}

Finding firmware(const View& view, const GpuFacts& gpu) {
    Check check("gpu.firmware", called(gpu) + " does not run the bad firmware of November 2025");
    if (!is_gfx1151(gpu) || gpu.driver.empty()) {
        return check.skipped("only gfx1151 (Strix Halo) was hit by it");
    }
    const std::string fix =
        install(view.machine, kAmdFirmware) +
        "\nsudo reboot\nAny linux-firmware but 20251125 is good; until then use Vulkan, not ROCm.";
    const auto& package = view.machine.system.linux_firmware;
    if (gpu.mes_firmware.known()) {
        const std::string evidence = fmt::format("{}: MES firmware 0x{:02x}",
                                                 gpu.mes_firmware.source, gpu.mes_firmware.value);
        return gpu.mes_firmware.value == kBadMesFirmware
                   ? check.bad(view.rocm_lane != nullptr, evidence + ", with which ROCm hangs", fix)
                   : check.ok(evidence);
    }
    if (!package.known()) {
        return check.unknown(
            "neither the running firmware's version nor the package's can be read",
            "rpm -q linux-firmware amd-gpu-firmware\nAny version but 20251125 is good.");
    }
    const std::string evidence = fmt::format("{}: {}", package.source, package.value);
    return package.value.find(kBadLinuxFirmware) != std::string::npos
               ? check.bad(view.rocm_lane != nullptr, evidence + ", with which ROCm hangs", fix)
               : check.ok(evidence);
}

bool is_amd_apu(const GpuFacts& gpu) {
    return gpu.vendor == Vendor::amd && gpu.integrated && gpu.vram_total_bytes.known();
}

/// System memory and the carve-out together.
std::uint64_t all_memory(const Machine& machine, const GpuFacts& gpu) {
    return machine.memory.total_bytes.value + gpu.vram_total_bytes.value;
}

bool carves_out_too_much(const Machine& machine, const GpuFacts& gpu) {
    return static_cast<double>(gpu.vram_total_bytes.value) >
           kCarveOutShareMax * static_cast<double>(all_memory(machine, gpu));
}

/// What the GPU should be able to reach through its GTT, in whole GiB, when the carve-out is small.
std::uint64_t good_gtt_bytes(const Machine& machine, const GpuFacts& gpu) {
    const std::uint64_t memory = carves_out_too_much(machine, gpu)
                                     ? all_memory(machine, gpu) - kCarveOutGood
                                     : machine.memory.total_bytes.value;
    const std::uint64_t kept = std::max(kSystemBytesMin, memory / kSystemShare);
    return memory > kept ? (memory - kept) / kGibibyte * kGibibyte : 0;
}

std::string pages_argument(const Machine& machine, const GpuFacts& gpu) {
    return fmt::format("ttm.pages_limit={}", good_gtt_bytes(machine, gpu) / kPageBytes);
}

/// Words of the command line that begin with `key`.
std::vector<std::string> arguments_with(const Machine& machine, std::string_view key) {
    std::vector<std::string> found = boot_arguments(machine);
    std::erase_if(found, [&](const std::string& word) { return !word.starts_with(key); });
    return found;
}

Finding carve_out(const View& view, const GpuFacts& gpu) {
    Check check("gpu.carve_out", "The firmware leaves memory to everybody");
    const Machine& machine = view.machine;
    if (!is_amd_apu(gpu) || host_decides(machine)) {
        return check.skipped("only where a GPU shares the system's memory, and outside containers");
    }
    const std::string evidence = fmt::format(
        "{}: {} of {} are cut out for the GPU", gpu.vram_total_bytes.source,
        binary_bytes(gpu.vram_total_bytes.value), binary_bytes(all_memory(machine, gpu)));
    if (!carves_out_too_much(machine, gpu)) {
        return check.ok(evidence);
    }
    return check.warning(
        evidence + ", and lost to the CPU and the NPU",
        fmt::format("In the machine's firmware setup (BIOS), set the UMA frame buffer size (also: "
                    "iGPU memory, dedicated graphics memory) to Auto or 512 MB.\nThe GPU then "
                    "takes up to {} of ordinary memory when it needs it; see gpu.gtt.",
                    binary_bytes(good_gtt_bytes(machine, gpu))));
}

/// How much memory the GPU reaches through its GTT, and what says so.
struct Reach {
    std::uint64_t bytes = 0;
    std::string evidence;
    bool is_enough = true;
};

Reach reach_of(const Machine& machine, const GpuFacts& gpu) {
    Reach reach;
    reach.bytes = gpu.gtt_total_bytes.value;
    reach.evidence = fmt::format("{}: {}", gpu.gtt_total_bytes.source, binary_bytes(reach.bytes));
    const auto& pages = machine.system.ttm_pages_limit;
    if (pages.known() && pages.value * kPageBytes < reach.bytes) {
        reach.bytes = pages.value * kPageBytes;
        reach.evidence =
            fmt::format("{}: {} pages = {}", pages.source, pages.value, binary_bytes(reach.bytes));
    }
    const std::uint64_t total = machine.memory.total_bytes.value;
    reach.evidence += fmt::format(" of {}", binary_bytes(total));
    reach.is_enough = static_cast<double>(reach.bytes) >= kGttShareMin * static_cast<double>(total);
    return reach;
}

Finding gtt(const View& view, const GpuFacts& gpu) {
    Check check("gpu.gtt", "The GPU can reach most of the memory");
    const Machine& machine = view.machine;
    if (!is_amd_apu(gpu) || !gpu.gtt_total_bytes.known()) {
        return check.skipped("only where a GPU shares the system's memory");
    }
    const Reach reach = reach_of(machine, gpu);
    if (reach.is_enough) {
        return check.ok(reach.evidence);
    }
    std::vector<std::string> old = arguments_with(machine, "ttm.pages_limit=");
    for (std::string& word : arguments_with(machine, "amdgpu.gttsize=")) {
        old.push_back(std::move(word));
    }
    // What the line says already need not go first.
    std::erase(old, pages_argument(machine, gpu));
    const std::string first = carves_out_too_much(machine, gpu) && !host_decides(machine)
                                  ? "After gpu.carve_out is mended:\n"
                                  : "";
    return check.warning(
        reach.evidence,
        fmt::format("{}{}\n({} for the GPU at most, taken only while it is used)", first,
                    change_boot_arguments(machine, {pages_argument(machine, gpu)}, old),
                    binary_bytes(good_gtt_bytes(machine, gpu))));
}

Finding gtt_argument(const View& view, const GpuFacts& gpu) {
    Check check("gpu.gttsize", "The GPU's reach is set the way that stays");
    const auto old = arguments_with(view.machine, "amdgpu.gttsize=");
    if (!is_amd_apu(gpu) || old.empty()) {
        return check.skipped("amdgpu.gttsize is not used");
    }
    if (gpu.gtt_total_bytes.known() && !reach_of(view.machine, gpu).is_enough) {
        return check.skipped("it goes with what mends gpu.gtt");
    }
    return check.warning(
        fmt::format("{}: {}; the kernel is about to drop this parameter",
                    view.machine.system.kernel_command_line.source, old.front()),
        change_boot_arguments(view.machine, {pages_argument(view.machine, gpu)}, old));
}

}  // namespace

std::vector<Finding> gpu_checks(const View& view) {
    std::vector<Finding> findings;
    for (const GpuFacts& gpu : view.machine.gpus) {
        // Graphics of servers and virtual machines draw text and compute nothing.
        if (gpu.vendor == Vendor::other) {
            continue;
        }
        for (const auto& check :
             {driver, node, access, kfd, vulkan, mesa, firmware, carve_out, gtt, gtt_argument}) {
            findings.push_back(check(view, gpu));
        }
    }
    if (findings.empty()) {
        findings.push_back(Check("gpu.driver", "The GPU has its driver")
                               .skipped("/sys/bus/pci/devices lists no GPU to compute with"));
    }
    return findings;
}

}  // namespace trilane::doctor
