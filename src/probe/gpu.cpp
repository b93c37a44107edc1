#include "probe/gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace trilane::probe {
namespace {

constexpr std::uint32_t kClassDisplay = 0x03;
constexpr std::uint32_t kClassAccelerator = 0x12;
constexpr std::uint64_t kMilli = 1000;

/// Graphics of AMD's APUs, for kernels that do not tell (and for devices without a driver).
constexpr std::array<std::uint32_t, 20> kAmdIntegrated{
    0x1586,                          // Strix Halo
    0x150e, 0x1114,                  // Strix Point, Krackan Point
    0x15bf, 0x15c8, 0x1900, 0x1901,  // Phoenix, Hawk Point
    0x1681, 0x164d, 0x1506,          // Rembrandt, Mendocino
    0x164e, 0x13c0, 0x163f, 0x1435,  // Raphael, Granite Ridge, Van Gogh
    0x1636, 0x1638, 0x164c, 0x15e7,  // Renoir, Cezanne, Lucienne, Barcelo
    0x15d8, 0x15dd,                  // Picasso, Raven
};

/// Linux 6.7 brought board_info, which discrete cards have and APUs lack.
constexpr std::uint64_t kBoardFileKernel = 6007;

Vendor vendor_of(std::uint32_t pci_vendor) {
    switch (pci_vendor) {
        case kPciVendorAmdGraphics:
            return Vendor::amd;
        case kPciVendorNvidia:
            return Vendor::nvidia;
        case kPciVendorIntel:
            return Vendor::intel;
        default:
            return Vendor::other;
    }
}

bool is_gpu(const PciDevice& device) {
    const std::uint32_t base = device.device_class >> 16U;
    return base == kClassDisplay ||
           (base == kClassAccelerator && vendor_of(device.vendor) != Vendor::other &&
            (device.driver == "amdgpu" || device.driver == "nvidia"));
}

/// "6.18.4-…" → 6018.
std::uint64_t kernel_number(const std::string& release) {
    const std::size_t dot = release.find('.');
    if (dot == std::string::npos) {
        return 0;
    }
    return leading_number(release).value_or(0) * kMilli +
           leading_number(std::string_view(release).substr(dot + 1)).value_or(0);
}

/// One GPU of KFD's topology.
struct KfdNode {
    std::string gfx;
    bool has_cpu_cores = false;  ///< an APU
};

/// 110501 → "gfx1151": major, minor and stepping, the last two in hexadecimal.
std::string gfx_name(std::uint64_t version) {
    return fmt::format("gfx{}{:x}{:x}", version / 10'000, version / 100 % 100, version % 100);
}

/// KFD's GPUs by the number of their render node.
std::map<std::uint64_t, KfdNode> kfd_nodes(const Tree& tree) {
    const std::string folder = "/sys/class/kfd/kfd/topology/nodes";
    std::map<std::uint64_t, KfdNode> nodes;
    for (const std::string& name : tree.names(folder)) {
        const std::string text = tree.text(fmt::format("{}/{}/properties", folder, name));
        const auto number = [&](std::string_view key) {
            return leading_number(value_of(text, key).value_or("")).value_or(0);
        };
        if (const std::uint64_t version = number("gfx_target_version"); version != 0) {
            nodes[number("drm_render_minor")] = {gfx_name(version), number("cpu_cores_count") > 0};
        }
    }
    return nodes;
}

bool is_integrated(const Tree& tree, const GpuFacts& gpu, const PciDevice& device,
                   std::uint64_t kernel) {
    switch (gpu.vendor) {
        case Vendor::amd: {
            if (gpu.driver == "amdgpu" && kernel >= kBoardFileKernel) {
                return !tree.exists(device.folder + "/board_info");
            }
            const auto* end = kAmdIntegrated.end();
            return std::find(kAmdIntegrated.begin(), end, device.device) != end;
        }
        case Vendor::intel:
            return device.slot == "0000:00:02.0";
        case Vendor::nvidia:
        case Vendor::other:
            break;
    }
    return false;
}

/// "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S" → "Radeon 8060S": the marketing name of an APU's
/// graphics stands in no file of its own.
std::string graphics_in_cpu_name(const std::string& cpu) {
    for (const std::string_view with : {" w/ ", " with "}) {
        if (const std::size_t at = cpu.find(with); at != std::string::npos) {
            return cpu.substr(at + with.size());
        }
    }
    return "";
}

void read_nvidia(const Tree& tree, const Access& access, GpuFacts& gpu) {
    const std::string text =
        tree.text(fmt::format("/proc/driver/nvidia/gpus/{}/information", gpu.pci_slot));
    gpu.product = value_of(text, "Model").value_or("");
    const std::string version_file = "/proc/driver/nvidia/version";
    const std::string line = tree.line(version_file).value_or("");
    for (const std::string_view word : words_of(line)) {
        // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.16  Fri Jan …"
        if (word.find('.') != std::string_view::npos && leading_number(word)) {
            gpu.driver_version = {std::string(word), version_file};
            break;
        }
    }
    // CUDA goes through nodes of its own, whether or not there is a render node.
    if (const auto minor = value_of(text, "Device Minor"); minor && gpu.driver == "nvidia") {
        gpu.kernel_has_render_node = true;
        const std::string node = "/dev/nvidia" + *minor;
        gpu.render_node = tree.exists(node) ? node : "";
        gpu.render_node_usable = tree.exists(node) && access.can_use(node);
    }
}

void read_nodes(const Tree& tree, const Access& access, const PciDevice& device, GpuFacts& gpu) {
    gpu.name = device.slot;
    for (const std::string& name : tree.names(device.folder + "/drm")) {
        if (name.starts_with("card") && name.find('-') == std::string::npos) {
            gpu.name = name;
        } else if (name.starts_with("renderD")) {
            gpu.kernel_has_render_node = true;
            const std::string node = "/dev/dri/" + name;
            // In containers sysfs shows devices whose nodes are not there.
            if (tree.exists(node)) {
                gpu.render_node = node;
                gpu.render_node_usable = access.can_use(node);
            }
        }
    }
}

std::string device_folder(const GpuFacts& gpu) {
    return gpu.name.starts_with("card") ? fmt::format("/sys/class/drm/{}/device", gpu.name)
                                        : "/sys/bus/pci/devices/" + gpu.pci_slot;
}

/// The minor number of the render node that the kernel has, whether or not this container does.
std::uint64_t render_minor(const Tree& tree, const PciDevice& device) {
    constexpr std::string_view kPrefix = "renderD";
    for (const std::string& name : tree.names(device.folder + "/drm")) {
        if (name.starts_with(kPrefix)) {
            return leading_number(std::string_view(name).substr(kPrefix.size())).value_or(0);
        }
    }
    return 0;
}

void name_product(const Tree& tree, const GpuSurroundings& around, GpuFacts& gpu) {
    if (gpu.product.empty()) {
        gpu.product = tree.line(device_folder(gpu) + "/product_name").value_or("");
    }
    if (gpu.product.empty() && gpu.vendor == Vendor::amd && gpu.integrated) {
        gpu.product = graphics_in_cpu_name(around.cpu_model_name);
    }
    if (gpu.product.empty()) {
        // "Navi 31 [Radeon RX 7900 XT/7900 XTX]": people know the name in brackets.
        const std::string name = pci_name(tree, gpu.pci_vendor, gpu.pci_device);
        const std::size_t open = name.find('[');
        gpu.product = open != std::string::npos && name.ends_with(']')
                          ? name.substr(open + 1, name.size() - open - 2)
                          : name;
    }
}

}  // namespace

std::vector<GpuFacts> gpu_facts(const Tree& tree, const Access& access,
                                const std::vector<PciDevice>& devices,
                                const GpuSurroundings& surroundings) {
    const auto nodes = kfd_nodes(tree);
    const std::uint64_t kernel = kernel_number(surroundings.kernel_release);
    const bool kfd_usable = tree.exists("/dev/kfd") && access.can_use("/dev/kfd");
    std::vector<GpuFacts> gpus;
    for (const PciDevice& device : devices) {
        if (!is_gpu(device)) {
            continue;
        }
        GpuFacts gpu;
        gpu.vendor = vendor_of(device.vendor);
        gpu.pci_vendor = device.vendor;
        gpu.pci_device = device.device;
        gpu.pci_slot = device.slot;
        gpu.driver = device.driver;
        read_nodes(tree, access, device, gpu);
        const auto node = nodes.find(render_minor(tree, device));
        const bool in_kfd = node != nodes.end() && gpu.vendor == Vendor::amd;
        gpu.gfx = in_kfd ? node->second.gfx : "";
        gpu.kfd_usable = in_kfd && kfd_usable;
        gpu.integrated =
            is_integrated(tree, gpu, device, kernel) || (in_kfd && node->second.has_cpu_cores);
        if (gpu.vendor == Vendor::nvidia) {
            read_nvidia(tree, access, gpu);
        }
        name_product(tree, surroundings, gpu);
        const std::string mes = device_folder(gpu) + "/fw_version/mes_fw_version";
        if (const auto version = tree.number(mes)) {
            gpu.mes_firmware = {static_cast<std::uint32_t>(*version), mes};
        }
        refresh_gpu(tree, gpu);
        gpus.push_back(std::move(gpu));
    }
    return gpus;
}

void refresh_gpu(const Tree& tree, GpuFacts& gpu) {
    const std::string folder = device_folder(gpu);
    // Without these files the memory may have been learned otherwise (learn.h): that stays.
    if (const auto total = tree.number_fact(folder + "/mem_info_vram_total"); total.known()) {
        gpu.vram_total_bytes = total;
        gpu.vram_used_bytes = tree.number_fact(folder + "/mem_info_vram_used");
        gpu.vram_is_learnt = false;
    }
    gpu.gtt_total_bytes = tree.number_fact(folder + "/mem_info_gtt_total");
    gpu.gtt_used_bytes = tree.number_fact(folder + "/mem_info_gtt_used");
    gpu.busy_percent = {};
    gpu.power_uw = {};
    gpu.temperature_mc = {};
    // These files ask the device, which would wake it up.
    gpu.asleep = tree.line(folder + "/power/runtime_status") == "suspended";
    if (gpu.asleep) {
        return;
    }
    const auto busy = tree.number_fact(folder + "/gpu_busy_percent");
    gpu.busy_percent = {static_cast<std::uint32_t>(busy.value), busy.source};
    for (const std::string& monitor : tree.names(folder + "/hwmon")) {
        const std::string prefix = fmt::format("{}/hwmon/{}/", folder, monitor);
        for (const char* name : {"power1_average", "power1_input"}) {
            if (!gpu.power_uw.known()) {
                gpu.power_uw = tree.number_fact(prefix + name);
            }
        }
        const auto temperature = tree.number_fact(prefix + "temp1_input");
        gpu.temperature_mc = {static_cast<std::int32_t>(temperature.value), temperature.source};
    }
}

}  // namespace trilane::probe
