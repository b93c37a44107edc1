// Tests of the whole machine's facts: on the trees of tests/boxes, and on small made-up ones.
#include "probe/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "probe/learn.h"
#include "probe/test_tree.h"

namespace trilane::probe {
namespace {

using ::testing::ElementsAre;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30U;

Machine box(const std::string& name) {
    return read_machine(TRILANE_SOURCE_DIR "/tests/boxes/" + name);
}

TEST(Box, StrixHalo128Processor) {
    const Machine machine = box("strix-halo-128");
    EXPECT_EQ(machine.platform, "strix-halo");
    EXPECT_EQ(machine.cpu.model_name, "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S");
    EXPECT_EQ(machine.cpu.cores, 16U);
    EXPECT_EQ(machine.cpu.threads, 32U);
    EXPECT_EQ(machine.cpu.isas.back(), kernels::Isa::avx512);
    EXPECT_EQ(machine.cpu.l3_bytes, 32 * kMiB);
    EXPECT_EQ(machine.memory.total_bytes.value, std::uint64_t{131022844} * 1024);
    EXPECT_EQ(machine.memory.total_bytes.source, "/proc/meminfo");
    EXPECT_EQ(machine.memory.swap_in_memory.value, true);
    EXPECT_EQ(machine.memory.memlock_bytes.value, std::numeric_limits<std::uint64_t>::max());
    EXPECT_TRUE(machine.memory.pressure_some_avg10.known());
    EXPECT_FALSE(machine.memory.cgroup_limit_bytes.known());
}

TEST(Box, StrixHalo128Gpu) {
    const Machine machine = box("strix-halo-128");
    ASSERT_EQ(machine.gpus.size(), 1U);
    const GpuFacts& gpu = machine.gpus[0];
    EXPECT_EQ(gpu.name, "card1");
    EXPECT_EQ(gpu.vendor, Vendor::amd);
    EXPECT_EQ(gpu.pci_device, 0x1586U);
    EXPECT_EQ(gpu.pci_slot, "0000:c5:00.0");
    EXPECT_EQ(gpu.driver, "amdgpu");
    EXPECT_EQ(gpu.product, "Radeon 8060S");
    EXPECT_EQ(gpu.gfx, "gfx1151");
    EXPECT_TRUE(gpu.integrated);
    EXPECT_EQ(gpu.vram_total_bytes.value, 512 * kMiB);
    EXPECT_EQ(gpu.vram_total_bytes.source, "/sys/class/drm/card1/device/mem_info_vram_total");
    EXPECT_EQ(gpu.gtt_total_bytes.value, 117 * kGibibyte);
    EXPECT_EQ(gpu.busy_percent.value, 2U);
    EXPECT_EQ(gpu.power_uw.value, 11'000'000U);
    EXPECT_EQ(gpu.power_uw.source, "/sys/class/drm/card1/device/hwmon/hwmon3/power1_average");
    EXPECT_EQ(gpu.temperature_mc.value, 41'000);
    EXPECT_EQ(gpu.mes_firmware.value, 0x80U);
    EXPECT_EQ(gpu.render_node, "/dev/dri/renderD128");
    EXPECT_TRUE(gpu.render_node_usable);
    EXPECT_TRUE(gpu.kfd_usable);
    EXPECT_FALSE(gpu.asleep);
}

TEST(Box, StrixHalo128Npu) {
    const Machine machine = box("strix-halo-128");
    ASSERT_EQ(machine.npus.size(), 1U);
    const NpuFacts& npu = machine.npus[0];
    EXPECT_EQ(npu.name, "accel0");
    EXPECT_EQ(npu.generation, "XDNA 2 (Strix Halo)");
    EXPECT_EQ(npu.driver, "amdxdna");
    EXPECT_TRUE(npu.driver_loaded);
    EXPECT_EQ(npu.firmware_version.value, "1.1.2.65");
    EXPECT_EQ(npu.firmware_version.source, "/sys/class/accel/accel0/device/fw_version");
    EXPECT_EQ(npu.power_state.value, "D3hot");
    EXPECT_EQ(npu.power_state.source, "/sys/bus/pci/devices/0000:c6:00.1/power_state");
    EXPECT_EQ(npu.device_node, "/dev/accel/accel0");
    EXPECT_TRUE(npu.device_node_usable);
    EXPECT_THAT(npu.firmware_files, ElementsAre("/lib/firmware/amdnpu/17f0_11/npu.sbin",
                                                "/lib/firmware/amdnpu/17f0_11/npu_7.sbin"));
}

TEST(Box, StrixHalo128System) {
    const Machine machine = box("strix-halo-128");
    const SystemFacts& system = machine.system;
    EXPECT_EQ(system.kernel_release.value, "7.0.9-205.fc43.x86_64");
    EXPECT_EQ(system.distribution.value, "Fedora Linux 43 (Workstation Edition)");
    EXPECT_EQ(system.product.value, "Framework Desktop (AMD Ryzen AI Max 300 Series)");
    EXPECT_EQ(system.container, Container::none);
    EXPECT_TRUE(system.iommu.value);
    EXPECT_EQ(system.ttm_pages_limit.value, 30'670'848U);
    EXPECT_EQ(system.mesa_version.value, "25.3.6");
    EXPECT_EQ(system.mesa_version.source, "/usr/lib64/libgallium-25.3.6.so");
    EXPECT_EQ(system.vulkan_loader.value, "/usr/lib64/libvulkan.so.1");
    EXPECT_EQ(system.xrt_plugin.value, "/usr/lib64/libxrt_driver_xdna.so.2");
    EXPECT_THAT(system.groups, ElementsAre("ada", "video", "render"));
    EXPECT_EQ(system.user, "ada");
    ASSERT_EQ(machine.power.size(), 2U);
    EXPECT_EQ(machine.power[0].name, "package-0");
    EXPECT_EQ(machine.power[0].kind, "rapl");
    EXPECT_FALSE(machine.power[0].readable) << "root's alone";
    EXPECT_EQ(machine.power[1].name, "amdgpu");
    EXPECT_EQ(machine.power[1].source, "/sys/class/hwmon/hwmon3/power1_average");
    EXPECT_TRUE(machine.power[1].readable);
}

TEST(Box, OnAnApuTheGttIsNoPoolOfItsOwn) {
    const Machine machine = box("strix-halo-128");
    ASSERT_EQ(machine.pools.size(), 2U);
    EXPECT_EQ(machine.pools[0].name, "system");
    EXPECT_EQ(machine.pools[0].total_bytes, machine.memory.total_bytes.value);
    EXPECT_EQ(machine.pools[0].available_bytes, machine.memory.available_bytes.value);
    EXPECT_EQ(machine.pools[1].name, "carve-out:card1");
    EXPECT_EQ(machine.pools[1].total_bytes, 512 * kMiB);
    EXPECT_EQ(machine.pools[1].available_bytes, 512 * kMiB - 176'160'768);
}

TEST(Box, StrixHalo64) {
    const Machine machine = box("strix-halo-64");
    EXPECT_EQ(machine.platform, "strix-halo");
    ASSERT_EQ(machine.npus.size(), 1U);
    EXPECT_EQ(machine.npus[0].name, "");
    EXPECT_EQ(machine.npus[0].driver, "");
    EXPECT_TRUE(machine.npus[0].driver_loaded);
    EXPECT_EQ(machine.npus[0].device_node, "");
    EXPECT_EQ(machine.npus[0].power_state.value, "D0");
    EXPECT_FALSE(machine.system.iommu.value);
    EXPECT_TRUE(machine.system.iommu.known());
    EXPECT_EQ(machine.system.mesa_version.value, "24.0.5-1ubuntu1");
    EXPECT_EQ(machine.system.mesa_version.source, "/var/lib/dpkg/status");
    EXPECT_EQ(machine.system.linux_firmware.value, "20251125-0ubuntu1");
    EXPECT_EQ(machine.gpus[0].mes_firmware.value, 0x83U);
    EXPECT_EQ(machine.memory.memlock_bytes.value, 8 * kMiB);
    EXPECT_DOUBLE_EQ(machine.memory.pressure_some_avg10.value, 14.2);
    EXPECT_EQ(machine.pools.back().total_bytes, 32 * kGibibyte);
}

TEST(Box, DiscreteAmd) {
    const Machine machine = box("discrete-amd");
    EXPECT_EQ(machine.platform, "amd-discrete");
    ASSERT_EQ(machine.gpus.size(), 1U);
    const GpuFacts& gpu = machine.gpus[0];
    EXPECT_FALSE(gpu.integrated);
    EXPECT_EQ(gpu.gfx, "gfx1100");
    EXPECT_EQ(gpu.product, "Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M");
    EXPECT_EQ(gpu.render_node, "/dev/dri/renderD128");
    EXPECT_FALSE(gpu.render_node_usable) << "not in the group render";
    EXPECT_FALSE(gpu.kfd_usable);
    EXPECT_TRUE(machine.npus.empty());
    ASSERT_EQ(machine.pools.size(), 2U);
    EXPECT_EQ(machine.pools[1].name, "vram:card1");
    EXPECT_EQ(machine.pools[1].total_bytes, 25'753'026'560U);
}

TEST(Box, Nvidia) {
    const Machine machine = box("nvidia");
    EXPECT_EQ(machine.platform, "nvidia");
    ASSERT_EQ(machine.gpus.size(), 2U);
    EXPECT_EQ(machine.gpus[0].vendor, Vendor::intel);
    EXPECT_TRUE(machine.gpus[0].integrated);
    EXPECT_EQ(machine.gpus[0].product, "UHD Graphics 770");
    const GpuFacts& gpu = machine.gpus[1];
    EXPECT_EQ(gpu.vendor, Vendor::nvidia);
    EXPECT_EQ(gpu.product, "NVIDIA GeForce RTX 3090");
    EXPECT_EQ(gpu.driver_version.value, "570.133.07");
    EXPECT_EQ(gpu.render_node, "/dev/nvidia0");
    EXPECT_TRUE(gpu.render_node_usable);
    EXPECT_FALSE(gpu.vram_total_bytes.known()) << "in no file of the kernel";
    EXPECT_EQ(machine.pools.size(), 1U);
    EXPECT_EQ(machine.system.vulkan_drivers.size(), 2U);
}

TEST(Box, CpuOnly) {
    const Machine machine = box("cpu-only");
    EXPECT_EQ(machine.platform, "cpu");
    EXPECT_EQ(machine.system.container, Container::kvm);
    EXPECT_EQ(machine.cpu.cores, 2U);
    EXPECT_EQ(machine.cpu.threads, 4U);
    EXPECT_EQ(machine.cpu.cores_source, "/sys/fs/cgroup/system.slice/trilane.service/cpu.max");
    EXPECT_EQ(machine.cpu.isas.back(), kernels::Isa::avx2);
    ASSERT_EQ(machine.gpus.size(), 1U);
    EXPECT_EQ(machine.gpus[0].vendor, Vendor::other);
    EXPECT_EQ(machine.gpus[0].name, "0000:00:01.0");
    ASSERT_EQ(machine.pools.size(), 1U);
    EXPECT_EQ(machine.pools[0].total_bytes, 8 * kGibibyte);
    EXPECT_EQ(machine.pools[0].source, "/sys/fs/cgroup/system.slice/trilane.service/memory.max");
    EXPECT_EQ(machine.pools[0].available_bytes, 8 * kGibibyte - (734'003'200 - 524'288'000));
}

TEST(Box, Lxc) {
    const Machine machine = box("lxc");
    EXPECT_EQ(machine.platform, "strix-halo");
    EXPECT_EQ(machine.system.container, Container::lxc_unprivileged);
    EXPECT_EQ(machine.system.container_source, "/proc/1/environ");
    ASSERT_EQ(machine.gpus.size(), 1U);
    EXPECT_TRUE(machine.gpus[0].kernel_has_render_node);
    EXPECT_EQ(machine.gpus[0].render_node, "");
    EXPECT_FALSE(machine.gpus[0].render_node_usable);
    EXPECT_EQ(machine.gpus[0].gfx, "gfx1151");
    EXPECT_FALSE(machine.gpus[0].kfd_usable);
    ASSERT_EQ(machine.npus.size(), 1U);
    EXPECT_EQ(machine.npus[0].name, "accel0");
    EXPECT_EQ(machine.npus[0].device_node, "");
    EXPECT_EQ(machine.pools[0].total_bytes, 64 * kGibibyte);
    EXPECT_EQ(machine.memory.cgroup_limit_bytes.source, "/sys/fs/cgroup/memory.max");
    EXPECT_EQ(machine.memory.cgroup_current_bytes.value, 5'368'709'120U - 4'080'218'931U);
}

Engine llama_with(std::vector<EngineDevice> devices) {
    Engine engine;
    engine.kind = "llama-server";
    engine.path = "/usr/bin/llama-server";
    engine.devices = std::move(devices);
    return engine;
}

TEST(Learn, NvidiasMemoryFromAnEngineThenFromVulkan) {
    const VulkanDevice device{
        "NVIDIA GeForce RTX 3090",
        "discrete",
        "1.4.303",
        "NVIDIA 570.133.07",
        0x10de,
        0x2204,
        {{24 * kGibibyte, 20 * kGibibyte, true}, {48 * kGibibyte, 48 * kGibibyte, false}}};
    Machine machine = box("nvidia");
    learn(machine, {}, std::vector{device});
    EXPECT_EQ(machine.gpus[1].vram_total_bytes.value, 24 * kGibibyte);
    EXPECT_EQ(machine.gpus[1].vram_total_bytes.source, "Vulkan: NVIDIA GeForce RTX 3090");
    EXPECT_EQ(machine.gpus[1].vram_used_bytes.value, 4 * kGibibyte);
    ASSERT_EQ(machine.pools.size(), 2U);
    EXPECT_EQ(machine.pools[1].name, "vram:card1");
    EXPECT_EQ(machine.pools[1].available_bytes, 20 * kGibibyte);
    EXPECT_FALSE(machine.gpus[0].vram_total_bytes.known()) << "Intel's is integrated";

    machine = box("nvidia");
    learn(machine, std::vector{llama_with({{"CUDA0", "NVIDIA GeForce RTX 3090", 100, 60}})},
          std::vector{device});
    EXPECT_EQ(machine.gpus[1].vram_total_bytes.value, 100U);
    EXPECT_EQ(machine.gpus[1].vram_total_bytes.source, "/usr/bin/llama-server --list-devices");
    EXPECT_EQ(machine.pools[1].available_bytes, 60U);
    refresh(machine);
    EXPECT_EQ(machine.pools.size(), 2U) << "what was learned stays";
}

TEST(Learn, EqualGpusAreToldApartByTheirOrder) {
    Machine machine = box("nvidia");
    machine.gpus.push_back(machine.gpus[1]);
    machine.gpus[2].name = "card2";
    learn(machine,
          std::vector{llama_with({{"CUDA0", "NVIDIA GeForce RTX 3090", 100, 60},
                                  {"CUDA1", "NVIDIA GeForce RTX 3090", 100, 10},
                                  {"Vulkan0", "NVIDIA GeForce RTX 3090", 7, 7}})},
          {});
    EXPECT_EQ(machine.gpus[1].vram_used_bytes.value, 40U);
    EXPECT_EQ(machine.gpus[2].vram_used_bytes.value, 90U);
}

TEST(Learn, FactsOfFilesStay) {
    Machine machine = box("discrete-amd");
    VulkanDevice device;
    device.pci_vendor = 0x1002;
    device.pci_device = 0x744c;
    device.driver = "radv Mesa 99.0.0";
    device.heaps = {{1, 1, true}};
    learn(machine, {}, std::vector{device});
    EXPECT_EQ(machine.gpus[0].vram_total_bytes.value, 25'753'026'560U);
    EXPECT_EQ(machine.system.mesa_version.value, "25.0.7-2");
    machine.system.mesa_version = {};
    learn(machine, {}, std::vector{device});
    EXPECT_EQ(machine.system.mesa_version.value, "99.0.0");
}

class MachineTest : public TestTree {
protected:
    Machine read() { return read_machine(root_.string()); }
    /// An amdgpu device, enough of it.
    void amd_gpu(const std::string& device, const std::string& kernel) {
        write("proc/sys/kernel/osrelease", kernel);
        const std::string folder = "sys/bus/pci/devices/0000:03:00.0/";
        write(folder + "class", "0x030000\n");
        write(folder + "vendor", "0x1002\n");
        write(folder + "device", device);
        write(folder + "drm/card0/dev", "226:0\n");
        write(folder + "drm/card0-DP-1/status", "connected\n");
        link(folder + "driver", "../../../../bus/pci/drivers/amdgpu");
        link("sys/class/drm/card0/device", "../../../bus/pci/devices/0000:03:00.0");
        write(folder + "mem_info_vram_total", "8589934592\n");
        write(folder + "mem_info_vram_used", "1073741824\n");
    }
};

TEST_F(MachineTest, AnEmptyTreeGivesUsableFacts) {
    const Machine machine = read();
    EXPECT_EQ(machine.platform, "cpu");
    ASSERT_EQ(machine.pools.size(), 1U);
    EXPECT_EQ(machine.pools[0].name, "system");
    EXPECT_EQ(machine.pools[0].total_bytes, 0U);
    EXPECT_TRUE(machine.gpus.empty());
    EXPECT_TRUE(machine.npus.empty());
    EXPECT_EQ(machine.system.container, Container::none);
    EXPECT_FALSE(machine.system.iommu.known());
}

TEST_F(MachineTest, BeforeLinux67OnlyItsIdTellsAnApu) {
    amd_gpu("0x744c", "6.1.0-40-amd64");
    EXPECT_FALSE(read().gpus.at(0).integrated);
    EXPECT_EQ(read().pools.back().name, "vram:card0");
    write("sys/bus/pci/devices/0000:03:00.0/device", "0x1681\n");
    EXPECT_TRUE(read().gpus.at(0).integrated);
    EXPECT_EQ(read().platform, "amd-apu");
}

TEST_F(MachineTest, ASleepingGpuIsNotAsked) {
    amd_gpu("0x744c", "6.12.1");
    const std::string folder = "sys/bus/pci/devices/0000:03:00.0/";
    write(folder + "board_info", "type : cem\n");
    write(folder + "gpu_busy_percent", "30\n");
    write(folder + "hwmon/hwmon0/power1_input", "5000000\n");
    EXPECT_EQ(read().gpus.at(0).power_uw.value, 5'000'000U);
    write(folder + "power/runtime_status", "suspended\n");
    const GpuFacts gpu = read().gpus.at(0);
    EXPECT_TRUE(gpu.asleep);
    EXPECT_FALSE(gpu.busy_percent.known());
    EXPECT_FALSE(gpu.power_uw.known());
    EXPECT_EQ(gpu.vram_total_bytes.value, 8 * kGibibyte);
}

TEST_F(MachineTest, RefreshReadsWhatChanges) {
    amd_gpu("0x744c", "6.12.1");
    write("sys/bus/pci/devices/0000:03:00.0/board_info", "type : cem\n");
    write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 600 kB\n");
    Machine machine = read();
    EXPECT_EQ(machine.pools[0].available_bytes, 600U * 1024);
    EXPECT_EQ(machine.pools[1].available_bytes, 7 * kGibibyte);
    write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\n");
    write("sys/bus/pci/devices/0000:03:00.0/mem_info_vram_used", "2147483648\n");
    write("sys/bus/pci/devices/0000:03:00.0/gpu_busy_percent", "99\n");
    refresh(machine);
    EXPECT_EQ(machine.pools[0].available_bytes, 500U * 1024);
    EXPECT_EQ(machine.pools[1].available_bytes, 6 * kGibibyte);
    EXPECT_EQ(machine.gpus[0].busy_percent.value, 99U);
}

TEST_F(MachineTest, ControlGroupsOfVersion1) {
    write("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n");
    write("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/abc\n0::/a\n");
    write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "2147483648\n");
    write("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "1073741824\n");
    write("sys/fs/cgroup/memory/docker/abc/memory.stat",
          "inactive_file 4096\ntotal_inactive_file 73741824\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    const Machine machine = read();
    EXPECT_EQ(machine.memory.cgroup_limit_bytes.value, 2 * kGibibyte);
    EXPECT_EQ(machine.pools[0].total_bytes, 2 * kGibibyte);
    EXPECT_EQ(machine.pools[0].available_bytes, 2 * kGibibyte - 1'000'000'000);
}

TEST_F(MachineTest, TheLeastLimitOnTheWayUpCounts) {
    write("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n");
    write("proc/self/cgroup", "0::/a/b\n");
    write("sys/fs/cgroup/a/b/memory.max", "max\n");
    write("sys/fs/cgroup/a/b/memory.high", "8589934592\n");
    write("sys/fs/cgroup/a/memory.max", "4294967296\n");
    write("sys/fs/cgroup/a/memory.current", "1073741824\n");
    const Machine machine = read();
    EXPECT_EQ(machine.memory.cgroup_limit_bytes.source, "/sys/fs/cgroup/a/memory.max");
    EXPECT_EQ(machine.pools[0].available_bytes, 3 * kGibibyte);
}

TEST_F(MachineTest, ALimitAboveTheMemoryLeavesItsSize) {
    write("proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n");
    write("proc/self/cgroup", "0::/a\n");
    write("sys/fs/cgroup/a/memory.max", "4294967296\n");
    write("sys/fs/cgroup/a/memory.current", "4294967290\n");
    const Machine machine = read();
    EXPECT_EQ(machine.pools[0].total_bytes, kGibibyte);
    EXPECT_EQ(machine.pools[0].source, "/proc/meminfo");
    EXPECT_EQ(machine.pools[0].available_bytes, 6U) << "what is left of the limit";
}

TEST_F(MachineTest, ContainersAreKnownByTheirMarks) {
    EXPECT_EQ(read().system.container, Container::none);
    write("sys/class/dmi/id/sys_vendor", "QEMU\n");
    EXPECT_EQ(read().system.container, Container::kvm);
    write("sys/class/dmi/id/sys_vendor", "VMware, Inc.\n");
    write("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor\n");
    EXPECT_EQ(read().system.container, Container::other);
    write("proc/1/cgroup", "0::/system.slice/docker-0123.scope\n");
    EXPECT_EQ(read().system.container, Container::docker);
    write("run/.containerenv", "engine=\"podman\"\n");
    EXPECT_EQ(read().system.container, Container::podman);
    write("run/systemd/container", "systemd-nspawn\n");
    EXPECT_EQ(read().system.container, Container::other);
    write("proc/1/environ", std::string("TERM=linux\0container=lxc\0", 25));
    EXPECT_EQ(read().system.container, Container::lxc);
    write("proc/self/uid_map", "         0     100000      65536\n");
    EXPECT_EQ(read().system.container, Container::lxc_unprivileged);
    write("proc/version", "Linux version 6.6.87.2-microsoft-standard-WSL2 (root@x)\n");
    EXPECT_EQ(read().system.container, Container::wsl);
}

TEST_F(MachineTest, PackagesOfArch) {
    write("var/lib/pacman/local/mesa-utils-9.0-1/desc", "");
    write("var/lib/pacman/local/mesa-1:25.2.1-1/desc", "");
    write("var/lib/pacman/local/linux-firmware-whence-20251125-1/desc", "");
    write("var/lib/pacman/local/linux-firmware-20251111-1/desc", "");
    EXPECT_EQ(read().system.mesa_version.value, "1:25.2.1-1");
    EXPECT_EQ(read().system.linux_firmware.value, "20251111-1");
}

TEST_F(MachineTest, AnOldNpuHasItsName) {
    const std::string folder = "sys/bus/pci/devices/0000:65:00.1/";
    write(folder + "class", "0x118000\n");
    write(folder + "vendor", "0x1022\n");
    write(folder + "device", "0x1502\n");
    ASSERT_EQ(read().npus.size(), 1U);
    EXPECT_EQ(read().npus[0].generation, "XDNA 1 (Phoenix, Hawk Point)");
    EXPECT_FALSE(read().npus[0].driver_loaded);
}

TEST(ThisMachine, CanBeReadAndRefreshed) {
    Machine machine = read_machine();
    EXPECT_TRUE(machine.memory.total_bytes.known());
    EXPECT_GT(machine.pools.at(0).total_bytes, 0U);
    EXPECT_LE(machine.pools[0].available_bytes, machine.pools[0].total_bytes);
    EXPECT_TRUE(machine.system.kernel_release.known());
    EXPECT_GE(machine.cpu.threads, machine.cpu.cores);
    refresh(machine);
    EXPECT_GT(machine.pools.at(0).total_bytes, 0U);
}

}  // namespace
}  // namespace trilane::probe
