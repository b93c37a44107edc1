// Facts of this machine: processors, memory pools, GPUs, NPU, power meters, kernel and container.
// Read from files only (/proc, /sys, /etc): nothing is opened that could wake a device, nothing is
// run. No policy: what to do about a fact is doctor's and plan's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "probe/cpu.h"
#include "probe/fact.h"

namespace trilane::probe {

struct MemoryFacts {
    Fact<std::uint64_t> total_bytes;  ///< MemTotal: what the kernel has (less any VRAM carve-out)
    Fact<std::uint64_t> available_bytes;  ///< MemAvailable
    Fact<std::uint64_t> swap_total_bytes;
    Fact<std::uint64_t> swap_free_bytes;
    Fact<bool> swap_in_memory;               ///< some of it is zram: compressed memory
    Fact<std::uint64_t> cgroup_limit_bytes;  ///< the least of this process's groups; unknown = none
    /// Of the group with that limit, less file pages that it would give back when asked.
    Fact<std::uint64_t> cgroup_current_bytes;
    Fact<std::uint64_t> memlock_bytes;  ///< RLIMIT_MEMLOCK; 2^64 − 1 = unlimited
    Fact<double> pressure_some_avg10;   ///< PSI, percent
};

enum class Vendor { amd, nvidia, intel, other };

struct GpuFacts {
    std::string name;  ///< "card0" as the kernel names it
    Vendor vendor = Vendor::other;
    std::uint32_t pci_vendor = 0;
    std::uint32_t pci_device = 0;
    std::string pci_slot;  ///< "0000:c5:00.0"
    std::string driver;    ///< "amdgpu", "nvidia", "i915", "xe"; "" = no driver is bound
    Fact<std::string> driver_version;      ///< NVIDIA's
    std::string product;                   ///< for people; "" = not known
    std::string gfx;                       ///< "gfx1151" by KFD; "" = not known
    bool integrated = false;               ///< shares the system's memory
    Fact<std::uint64_t> vram_total_bytes;  ///< on an APU: the carve-out
    Fact<std::uint64_t> vram_used_bytes;
    bool vram_is_learnt = false;  ///< both by asking once (learn.h): not read again
    Fact<std::uint64_t> gtt_total_bytes;
    Fact<std::uint64_t> gtt_used_bytes;
    Fact<std::uint32_t> busy_percent;
    Fact<std::uint64_t> power_uw;  ///< on an APU of the whole chip
    Fact<std::int32_t> temperature_mc;
    Fact<std::uint32_t> mes_firmware;     ///< amdgpu's scheduler firmware, e.g. 0x80
    bool kernel_has_render_node = false;  ///< whether or not this container does
    std::string
        render_node;  ///< "/dev/dri/renderD128", "/dev/nvidia0"; "" = none in this container
    bool render_node_usable = false;  ///< this process may read and write it
    bool kfd_usable = false;          ///< /dev/kfd can be read and written
    bool asleep = false;  ///< runtime suspended: use, power and temperature are left alone
};

struct NpuFacts {
    std::string name;  ///< "accel0"; "" = only seen on the PCI bus
    std::uint32_t pci_device = 0;
    std::uint32_t pci_revision = 0;
    std::string pci_slot;
    std::string generation;      ///< "XDNA 2 (Strix Halo)" …
    std::string driver;          ///< "amdxdna"; "" = no driver is bound
    bool driver_loaded = false;  ///< the kernel has that driver, bound to this device or not
    Fact<std::string> driver_version;
    Fact<std::string> firmware_version;
    std::vector<std::string> firmware_files;  ///< installed for this device
    Fact<std::string> power_state;  ///< "D0", "D3hot": read from PCI, which does not wake it
    std::string device_node;        ///< "/dev/accel/accel0"; "" = none
    bool device_node_usable = false;
};

/// A meter of power or energy.
struct PowerMeter {
    std::string name;    ///< "package-0", "amdgpu"
    std::string kind;    ///< "rapl" (energy counter, µJ) or "hwmon" (power, µW)
    std::string source;  ///< the file that is read
    bool readable = false;
};

enum class Container { none, lxc, lxc_unprivileged, docker, podman, wsl, kvm, other };
std::string_view container_name(Container container);

struct SystemFacts {
    Fact<std::string> kernel_release;
    Fact<std::string> kernel_command_line;
    Fact<std::string> distribution;
    Fact<std::string> hostname;
    Fact<std::string> product;  ///< DMI: "Framework Desktop (AMD Ryzen AI Max 300 Series)"
    Container container = Container::none;
    std::string container_source;
    Fact<bool> iommu;                         ///< the kernel runs at least one
    Fact<std::uint64_t> ttm_pages_limit;      ///< pages of 4 KiB
    Fact<std::string> mesa_version;           ///< of the Vulkan ICD that is installed
    Fact<std::string> linux_firmware;         ///< version of the distribution's package
    Fact<std::string> vulkan_loader;          ///< its path
    std::vector<std::string> vulkan_drivers;  ///< descriptions of ICDs: "/usr/share/vulkan/icd.d/…"
    Fact<std::string> xrt_plugin;             ///< path of libxrt_driver_xdna.so.2
    Fact<std::string> cpu_governor;           ///< "performance", "powersave", "schedutil"
    Fact<std::string> cpu_preference;         ///< energy_performance_preference
    std::vector<std::string> groups;          ///< this process is a member of, as far as named
    std::string user;                         ///< "" = has no name
};

/// One memory pool that loads draw from. On an APU system memory and GTT are one pool.
struct MemoryPool {
    std::string name;  ///< "system", "vram:card1", "carve-out:card0"
    std::uint64_t total_bytes = 0;
    std::uint64_t available_bytes = 0;
    std::string source;
    bool live = true;  ///< refresh() reads what is available anew; else it stays as it was learnt
};

struct Machine {
    std::string root;  ///< where it was read; "" = this machine
    CpuFacts cpu;
    MemoryFacts memory;
    std::vector<GpuFacts> gpus;
    std::vector<NpuFacts> npus;
    std::vector<PowerMeter> power;
    SystemFacts system;
    std::vector<MemoryPool> pools;  ///< each byte once; the first is the system's
    std::string platform;  ///< "strix-halo", "amd-apu", "amd-discrete", "nvidia", "intel", "cpu"
};

/// Reads everything. `root` stands for "/" and is "" for this machine. What cannot be read counts
/// as unknown. Takes milliseconds.
Machine read_machine(const std::string& root = "");

/// The parts that change from second to second, read again: memory, pools, GPU use, NPU power
/// state. The rest of `machine` stays.
void refresh(Machine& machine);

}  // namespace trilane::probe
