#include "probe/system_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace trilane::probe {
namespace {

constexpr std::array<const char*, 10> kLibraryFolders{"/usr/lib/x86_64-linux-gnu",
                                                      "/usr/lib64",
                                                      "/usr/lib",
                                                      "/usr/local/lib",
                                                      "/usr/local/lib64",
                                                      "/usr/lib/aarch64-linux-gnu",
                                                      "/opt/xilinx/xrt/lib",
                                                      "/opt/xilinx/xrt/lib64",
                                                      "/opt/fastflowlm/lib",
                                                      "/run/opengl-driver/lib"};
constexpr std::array<const char*, 4> kVulkanDriverFolders{
    "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/share/vulkan/icd.d",
    "/run/opengl-driver/share/vulkan/icd.d"};

/// Debian's and Ubuntu's list of packages; theirs have 2 to 10 MB.
constexpr const char* kDpkgStatus = "/var/lib/dpkg/status";
constexpr std::size_t kDpkgStatusBytesMax = std::size_t{64} << 20U;
/// Arch's list: one folder per package, "mesa-1:25.2.1-1".
constexpr const char* kPacmanFolder = "/var/lib/pacman/local";

struct Placed {
    Container container = Container::none;
    std::string source;
};

Container container_of(std::string_view name, bool has_real_ids) {
    if (name == "lxc" || name == "lxc-libvirt" || name == "incus") {
        return has_real_ids ? Container::lxc : Container::lxc_unprivileged;
    }
    if (name == "docker") {
        return Container::docker;
    }
    if (name == "podman") {
        return Container::podman;
    }
    return name == "wsl" ? Container::wsl : Container::other;
}

/// The value of container=… among the NUL-separated variables of the first process.
std::string container_variable(const Tree& tree) {
    constexpr std::string_view kKey = "container=";
    const std::string environment = tree.text("/proc/1/environ");
    std::string_view rest = environment;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\0'), rest.size());
        const std::string_view variable = trimmed(rest.substr(0, end));
        if (variable.starts_with(kKey)) {
            return std::string(variable.substr(kKey.size()));
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return "";
}

Placed virtual_machine(const Tree& tree, const CpuFacts& cpu) {
    const std::string vendor_file = "/sys/class/dmi/id/sys_vendor";
    const std::string vendor = tree.line(vendor_file).value_or("");
    if (vendor == "QEMU") {
        return {Container::kvm, vendor_file};
    }
    if (std::find(cpu.flags.begin(), cpu.flags.end(), "hypervisor") == cpu.flags.end()) {
        return {};
    }
    for (const std::string_view other : {"VMware", "innotek", "Microsoft", "Xen", "Parallels"}) {
        if (vendor.starts_with(other)) {
            return {Container::other, vendor_file};
        }
    }
    return {Container::kvm, "/proc/cpuinfo"};
}

Placed placed(const Tree& tree, const Access& access, const CpuFacts& cpu) {
    const bool real_ids = access.has_real_ids();
    const std::string version = tree.line("/proc/version").value_or("");
    if (version.find("icrosoft") != std::string::npos) {
        return {Container::wsl, "/proc/version"};
    }
    if (const std::string name = container_variable(tree); !name.empty()) {
        return {container_of(name, real_ids), "/proc/1/environ"};
    }
    const std::string systemd = "/run/systemd/container";
    if (const auto name = tree.line(systemd)) {
        return {container_of(*name, real_ids), systemd};
    }
    if (tree.exists("/.dockerenv")) {
        return {Container::docker, "/.dockerenv"};
    }
    if (tree.exists("/run/.containerenv")) {
        return {Container::podman, "/run/.containerenv"};
    }
    const std::string groups_file = "/proc/1/cgroup";
    const std::string groups = tree.text(groups_file);
    const auto mentions = [&](std::string_view name) {
        return groups.find(name) != std::string::npos;
    };
    if (mentions("/lxc/") || mentions("lxc.payload")) {
        return {container_of("lxc", real_ids), groups_file};
    }
    if (mentions("/docker/") || mentions("docker-")) {
        return {Container::docker, groups_file};
    }
    if (mentions("libpod")) {
        return {Container::podman, groups_file};
    }
    return virtual_machine(tree, cpu);
}

Fact<std::string> distribution(const Tree& tree) {
    for (const char* file : {"/etc/os-release", "/usr/lib/os-release"}) {
        constexpr std::string_view kKey = "PRETTY_NAME=";
        const std::string text = tree.text(file);
        for (const std::string_view line : lines_of(text)) {
            if (line.starts_with(kKey)) {
                std::string name(line.substr(kKey.size()));
                std::erase(name, '"');
                return {name, file};
            }
        }
    }
    return {};
}

/// Vendor and product, unless the product already names its vendor.
Fact<std::string> product(const Tree& tree) {
    Fact<std::string> product = tree.line_fact("/sys/class/dmi/id/product_name");
    const auto vendor = tree.line("/sys/class/dmi/id/sys_vendor");
    if (product.known() && vendor && !product.value.starts_with(*vendor)) {
        product.value = fmt::format("{} {}", *vendor, product.value);
    }
    return product;
}

/// The version of the first of `packages` that dpkg or pacman has installed.
Fact<std::string> package_version(const Tree& tree, const std::string& dpkg_status,
                                  std::span<const char* const> packages) {
    for (const char* package : packages) {
        const std::string heading = fmt::format("Package: {}\n", package);
        std::size_t at = dpkg_status.find(heading);
        while (at != std::string::npos && at > 0 && dpkg_status[at - 1] != '\n') {
            at = dpkg_status.find(heading, at + 1);
        }
        if (at == std::string::npos) {
            continue;
        }
        const std::size_t end = std::min(dpkg_status.find("\n\n", at), dpkg_status.size());
        const std::string_view entry = std::string_view(dpkg_status).substr(at, end - at);
        if (const auto version = value_of(entry, "Version")) {
            return {*version, kDpkgStatus};
        }
    }
    const std::vector<std::string> folders = tree.names(kPacmanFolder);
    for (const char* package : packages) {
        const std::string prefix = fmt::format("{}-", package);
        for (const std::string& folder : folders) {
            // A digit follows the dash, else it is another package's name that goes on.
            if (folder.starts_with(prefix) && leading_number(folder.substr(prefix.size()))) {
                return {folder.substr(prefix.size()), fmt::format("{}/{}", kPacmanFolder, folder)};
            }
        }
    }
    return {};
}

/// Since 24.2 Mesa's version stands in the name of a library of its: "libgallium-25.2.3.so".
Fact<std::string> mesa_version(const Tree& tree, const std::string& dpkg_status) {
    constexpr std::string_view kPrefix = "libgallium-";
    for (const char* folder : kLibraryFolders) {
        for (const std::string& name : tree.names(folder)) {
            if (name.starts_with(kPrefix) && name.ends_with(".so")) {
                std::string version = name.substr(kPrefix.size());
                version.resize(version.size() - 3);
                return {version, fmt::format("{}/{}", folder, name)};
            }
        }
    }
    constexpr std::array<const char*, 3> kPackages{"mesa-vulkan-drivers", "vulkan-radeon", "mesa"};
    return package_version(tree, dpkg_status, kPackages);
}

Fact<std::string> library(const Tree& tree, const char* name) {
    for (const char* folder : kLibraryFolders) {
        if (std::string path = fmt::format("{}/{}", folder, name); tree.exists(path)) {
            return {path, path};
        }
    }
    return {};
}

std::vector<std::string> vulkan_drivers(const Tree& tree) {
    std::vector<std::string> drivers;
    for (const char* folder : kVulkanDriverFolders) {
        for (const std::string& name : tree.names(folder)) {
            if (name.ends_with(".json")) {
                drivers.push_back(fmt::format("{}/{}", folder, name));
            }
        }
    }
    return drivers;
}

}  // namespace

std::span<const char* const> library_folders() {
    return kLibraryFolders;
}

SystemFacts system_facts(const Tree& tree, const Access& access, const CpuFacts& cpu) {
    SystemFacts facts;
    facts.kernel_release = tree.line_fact("/proc/sys/kernel/osrelease");
    facts.kernel_command_line = tree.line_fact("/proc/cmdline");
    facts.distribution = distribution(tree);
    facts.hostname = tree.line_fact("/proc/sys/kernel/hostname");
    facts.product = product(tree);
    const Placed place = placed(tree, access, cpu);
    facts.container = place.container;
    facts.container_source = place.source;
    const std::string iommus = "/sys/class/iommu";
    if (tree.exists("/sys/class")) {
        facts.iommu = {!tree.names(iommus).empty(), iommus};
    }
    facts.ttm_pages_limit = tree.number_fact("/sys/module/ttm/parameters/pages_limit");
    const std::string dpkg_status = tree.text(kDpkgStatus, kDpkgStatusBytesMax);
    facts.mesa_version = mesa_version(tree, dpkg_status);
    constexpr std::array<const char*, 3> kFirmwarePackages{
        "linux-firmware", "firmware-amd-graphics", "linux-firmware-amdgpu"};
    facts.linux_firmware = package_version(tree, dpkg_status, kFirmwarePackages);
    facts.vulkan_loader = library(tree, "libvulkan.so.1");
    facts.vulkan_drivers = vulkan_drivers(tree);
    facts.xrt_plugin = library(tree, kXrtPluginName);
    const std::string frequency = "/sys/devices/system/cpu/cpu0/cpufreq/";
    facts.cpu_governor = tree.line_fact(frequency + "scaling_governor");
    facts.cpu_preference = tree.line_fact(frequency + "energy_performance_preference");
    facts.groups = access.groups();
    facts.user = access.user();
    return facts;
}

}  // namespace trilane::probe
