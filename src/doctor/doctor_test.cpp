// Tests of the checks: on the machines of tests/boxes with the states each is known to have, and on
// small changes of them.
#include "doctor/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "doctor/advice.h"
#include "probe/machine.h"

namespace trilane::doctor {
namespace {

using probe::Machine;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30U;

Machine box(const std::string& name) {
    return probe::read_machine(TRILANE_SOURCE_DIR "/tests/boxes/" + name);
}

probe::Engine flm(const std::string& version, const std::string& validation) {
    probe::Engine engine;
    engine.kind = "flm";
    engine.path = "/opt/fastflowlm/bin/flm";
    engine.version = version;
    engine.validation = validation;
    return engine;
}

probe::Engine llama(std::initializer_list<const char*> devices) {
    probe::Engine engine;
    engine.kind = "llama-server";
    engine.path = "/usr/local/bin/llama-server";
    for (const char* device : devices) {
        engine.devices.push_back({device, "some GPU", 1, 1});
    }
    return engine;
}

constexpr const char* kReady =
    R"({"object":"npu_stack_validation","kernel_ok":true,"amd_device_found":true,"all_fw_ok":true,)"
    R"("enough_cols":true,"memlock_ok":true,"ready":true})";

/// Every finding that is not ok or skipped, "state id", in order.
std::vector<std::string> troubles(const std::vector<Finding>& findings) {
    std::vector<std::string> out;
    for (const Finding& finding : findings) {
        if (finding.state != State::ok && finding.state != State::skipped) {
            out.push_back(std::string(state_name(finding.state)) + " " + finding.id);
        }
    }
    return out;
}

std::vector<std::string> ids_in(const std::vector<Finding>& findings, State state) {
    std::vector<std::string> out;
    for (const Finding& finding : findings) {
        if (finding.state == state) {
            out.push_back(finding.id);
        }
    }
    return out;
}

Finding find(const std::vector<Finding>& findings, const std::string& id) {
    const auto found = std::find_if(findings.begin(), findings.end(),
                                    [&](const Finding& one) { return one.id == id; });
    if (found == findings.end()) {
        ADD_FAILURE() << "no finding " << id;
        return {};
    }
    return *found;
}

Finding finding(const Machine& machine, const std::string& id, const Surroundings& around = {}) {
    return find(examine(machine, around), id);
}

using Ids = std::vector<std::string>;

TEST(DoctorBox, StrixHalo128IsFine) {
    Surroundings around;
    around.npu_wanted = true;
    around.engines = {flm("1.0.9", kReady), llama({"Vulkan0", "ROCm0"})};
    around.llama_lanes = {{"gpu", "/usr/local/bin/llama-server", "Vulkan0"}};
    around.environment = {"PATH=/usr/bin"};
    const auto findings = examine(box("strix-halo-128"), around);
    EXPECT_EQ(troubles(findings), Ids{});
    EXPECT_EQ(exit_code(findings), 0);
    EXPECT_EQ(ids_in(findings, State::ok), (Ids{"system.kernel",
                                                "cpu.governor",
                                                "memory.available",
                                                "memory.pressure",
                                                "memory.swap",
                                                "gpu.driver",
                                                "gpu.node",
                                                "gpu.access",
                                                "gpu.kfd",
                                                "gpu.vulkan",
                                                "gpu.mesa",
                                                "gpu.firmware",
                                                "gpu.carve_out",
                                                "gpu.gtt",
                                                "npu.present",
                                                "npu.generation",
                                                "npu.iommu",
                                                "npu.driver",
                                                "npu.protocol",
                                                "npu.node",
                                                "npu.access",
                                                "npu.firmware",
                                                "npu.kernel",
                                                "npu.memlock",
                                                "npu.xrt_plugin",
                                                "npu.xrt_environment",
                                                "npu.flm",
                                                "engines.answer",
                                                "engines.flm_version",
                                                "lanes.rocm_beside_npu"}));
}

TEST(DoctorBox, StrixHalo64HasTheUsualTraps) {
    Surroundings around;
    const auto findings = examine(box("strix-halo-64"), around);
    EXPECT_EQ(troubles(findings),
              (Ids{"warning system.kernel", "warning cpu.governor", "warning memory.pressure",
                   "warning memory.swap", "warning gpu.mesa", "warning gpu.firmware",
                   "warning gpu.carve_out", "warning gpu.gtt", "warning npu.iommu",
                   "warning npu.memlock"}));
    EXPECT_EQ(exit_code(findings), 1);
    EXPECT_EQ(find(findings, "npu.protocol").state, State::skipped) << "the IOMMU comes first";
    EXPECT_EQ(find(findings, "npu.node").state, State::skipped);
    around.npu_wanted = true;
    around.llama_lanes = {{"gpu", "/opt/llama-server", "ROCm0"}};
    const auto wanted = examine(box("strix-halo-64"), around);
    EXPECT_EQ(exit_code(wanted), 2);
    EXPECT_EQ(ids_in(wanted, State::failure), (Ids{"gpu.firmware", "npu.iommu", "npu.memlock",
                                                   "npu.flm", "lanes.rocm_beside_npu"}));
}

TEST(DoctorBox, DiscreteAmdLacksAGroup) {
    const auto findings = examine(box("discrete-amd"), {});
    EXPECT_EQ(troubles(findings), Ids{"failure gpu.access"});
    EXPECT_EQ(exit_code(findings), 2);
    const Finding access = find(findings, "gpu.access");
    EXPECT_THAT(access.evidence, HasSubstr("/dev/dri/renderD128"));
    EXPECT_THAT(access.evidence, HasSubstr("ada video"));
    EXPECT_THAT(access.fix, HasSubstr("sudo usermod -aG render ada"));
    EXPECT_EQ(find(findings, "gpu.gtt").state, State::skipped);
    EXPECT_EQ(find(findings, "gpu.carve_out").state, State::skipped);
}

TEST(DoctorBox, NvidiaIsFine) {
    const auto findings = examine(box("nvidia"), {});
    EXPECT_EQ(troubles(findings), Ids{});
    EXPECT_EQ(ids_in(findings, State::ok),
              (Ids{"cpu.governor", "memory.available", "memory.pressure", "memory.swap",
                   "gpu.driver", "gpu.node", "gpu.access", "gpu.vulkan", "gpu.driver", "gpu.node",
                   "gpu.access", "gpu.vulkan"}))
        << "Intel's first, then NVIDIA's";
}

TEST(DoctorBox, CpuOnlyIsFine) {
    const auto findings = examine(box("cpu-only"), {});
    EXPECT_EQ(troubles(findings), Ids{});
    EXPECT_EQ(ids_in(findings, State::ok),
              (Ids{"memory.available", "memory.limit", "memory.pressure"}));
    EXPECT_EQ(find(findings, "gpu.driver").state, State::skipped);
    EXPECT_EQ(find(findings, "npu.present").state, State::skipped);
}

TEST(DoctorBox, LxcLacksTheNodes) {
    Surroundings around;
    const auto findings = examine(box("lxc"), around);
    EXPECT_EQ(troubles(findings),
              (Ids{"warning system.kernel", "warning system.container", "failure gpu.node",
                   "warning npu.node", "warning npu.firmware", "warning npu.memlock"}));
    EXPECT_THAT(find(findings, "gpu.node").fix, HasSubstr("dev0: /dev/dri/renderD128,gid="));
    EXPECT_THAT(find(findings, "npu.node").fix, HasSubstr("dev0: /dev/accel/accel0,gid="));
    EXPECT_THAT(find(findings, "system.kernel").fix, HasSubstr("on the host"));
    EXPECT_THAT(find(findings, "npu.memlock").fix, HasSubstr("lxc.prlimit.memlock: unlimited"));
    EXPECT_EQ(find(findings, "gpu.carve_out").state, State::skipped);
    around.engines = {flm("0.9.43", "")};
    EXPECT_EQ(find(examine(box("lxc"), around), "npu.node").state, State::failure)
        << "FastFlowLM is installed";
}

TEST(DoctorFixes, NumbersOfTheGttAreComputed) {
    const Finding small = finding(box("strix-halo-64"), "gpu.gtt");
    // 30.8 GiB + 32 GiB − 512 MiB, of which 4 GiB are kept: 58 GiB = 15204352 pages.
    EXPECT_THAT(small.fix, HasSubstr("add ttm.pages_limit=15204352"));
    EXPECT_THAT(small.fix, HasSubstr("remove amdgpu.gttsize=16384"));
    EXPECT_THAT(small.fix, HasSubstr("After gpu.carve_out is mended"));
    EXPECT_THAT(small.evidence, HasSubstr("15.4 GiB of 30.8 GiB"));
    const Finding carve_out = finding(box("strix-halo-64"), "gpu.carve_out");
    EXPECT_THAT(carve_out.evidence, HasSubstr("32 GiB of 62.8 GiB"));

    Machine large = box("strix-halo-128");
    large.system.ttm_pages_limit.value = large.memory.total_bytes.value / 2 / 4096;
    const Finding half = finding(large, "gpu.gtt");
    EXPECT_EQ(half.state, State::warning);
    EXPECT_THAT(
        half.fix,
        StartsWith("sudo grubby --update-kernel=ALL --args=\"ttm.pages_limit=30670848\"\n"));
    large.system.kernel_command_line.value = "quiet ttm.pages_limit=1000 amdgpu.gttsize=4";
    EXPECT_THAT(finding(large, "gpu.gtt").fix,
                HasSubstr(" --remove-args=\"ttm.pages_limit=1000 amdgpu.gttsize=4\""));
}

TEST(DoctorFixes, TheIommuArgumentIsExchanged) {
    const Finding iommu = finding(box("strix-halo-64"), "npu.iommu");
    EXPECT_THAT(iommu.evidence, HasSubstr("/proc/cmdline: amd_iommu=off"));
    EXPECT_THAT(iommu.fix, HasSubstr("GRUB_CMDLINE_LINUX_DEFAULT: remove amd_iommu=off"));
    EXPECT_THAT(iommu.fix, HasSubstr("sudo update-grub"));
}

TEST(DoctorFixes, EveryTroubleHasEvidenceAndAFix) {
    Surroundings around;
    around.npu_wanted = true;
    around.llama_lanes = {{"gpu", "/opt/llama-server", "ROCm0"}};
    around.engines = {flm("2.0.0", R"({"ready":false,"memlock_ok":false})"), llama({"ROCm0"})};
    for (const char* name :
         {"strix-halo-128", "strix-halo-64", "discrete-amd", "nvidia", "cpu-only", "lxc"}) {
        for (const Finding& one : examine(box(name), around)) {
            EXPECT_FALSE(one.title.empty()) << one.id;
            EXPECT_FALSE(one.evidence.empty()) << name << " " << one.id;
            const bool is_fine = one.state == State::ok || one.state == State::skipped;
            EXPECT_EQ(one.fix.empty(), is_fine) << name << " " << one.id;
        }
    }
}

class DoctorNpu : public ::testing::Test {
protected:
    DoctorNpu() : machine_(box("strix-halo-128")) {
        around_.npu_wanted = true;
        around_.engines = {flm("1.0.9", kReady)};
    }
    Finding look(const std::string& id) { return finding(machine_, id, around_); }
    Machine machine_;
    Surroundings around_;
};

TEST_F(DoctorNpu, MissingOnItsChip) {
    machine_.npus.clear();
    EXPECT_EQ(look("npu.present").state, State::failure);
    EXPECT_THAT(look("npu.present").fix, HasSubstr("BIOS"));
    machine_.platform = "amd-discrete";
    EXPECT_THAT(look("npu.present").evidence, HasSubstr("a lane is configured"));
    around_ = {};
    EXPECT_EQ(look("npu.present").state, State::skipped);
}

TEST_F(DoctorNpu, AnOldOneIsOnlyAWarning) {
    machine_.npus[0].pci_device = 0x1502;
    EXPECT_EQ(look("npu.generation").state, State::warning);
    around_ = {};
    EXPECT_EQ(look("npu.generation").state, State::skipped);
}

TEST_F(DoctorNpu, TheIommuMayBeOffInTheFirmware) {
    machine_.system.iommu.value = false;
    machine_.npus[0].name.clear();
    EXPECT_EQ(look("npu.iommu").state, State::failure);
    EXPECT_THAT(look("npu.iommu").fix, HasSubstr("AMD-Vi"));
    machine_.npus[0].name = "accel0";
    EXPECT_EQ(look("npu.iommu").state, State::warning) << "newer drivers can do without";
}

TEST_F(DoctorNpu, AnArgumentThatDoesNothing) {
    machine_.system.kernel_command_line.value += " amd_iommu=pt";
    EXPECT_EQ(look("npu.iommu").state, State::warning);
    EXPECT_THAT(look("npu.iommu").fix,
                HasSubstr("--args=\"iommu=pt\" --remove-args=\"amd_iommu=pt\""));
}

TEST_F(DoctorNpu, NoDriver) {
    machine_.npus[0].driver.clear();
    machine_.npus[0].driver_loaded = false;
    machine_.npus[0].driver_version = {};
    EXPECT_EQ(look("npu.driver").state, State::failure);
    EXPECT_THAT(look("npu.driver").fix, HasSubstr("modprobe amdxdna"));
    EXPECT_EQ(look("npu.protocol").state, State::skipped);
}

TEST_F(DoctorNpu, DriverAndFirmwareThatDoNotMatch) {
    machine_.npus[0].driver.clear();
    const Finding protocol = look("npu.protocol");
    EXPECT_EQ(protocol.state, State::failure);
    EXPECT_THAT(protocol.evidence, HasSubstr("/lib/firmware/amdnpu/17f0_11/npu_7.sbin"));
    EXPECT_THAT(protocol.fix, HasSubstr("dmesg"));
    EXPECT_EQ(look("npu.node").state, State::skipped);
    EXPECT_EQ(look("npu.firmware").state, State::skipped);
}

TEST_F(DoctorNpu, NoPermission) {
    machine_.npus[0].device_node_usable = false;
    EXPECT_EQ(look("npu.access").state, State::failure);
    EXPECT_THAT(look("npu.access").evidence, HasSubstr("No NPU device found"));
    EXPECT_THAT(look("npu.access").fix, HasSubstr("usermod -aG render ada"));
}

TEST_F(DoctorNpu, FirmwareVersions) {
    machine_.npus[0].firmware_version.value = "1.0.0.63";
    EXPECT_EQ(look("npu.firmware").state, State::failure);
    machine_.npus[0].firmware_version.value = "255.0.11.71";
    EXPECT_EQ(look("npu.firmware").state, State::ok);
    EXPECT_THAT(look("npu.firmware").evidence, HasSubstr("development"));
    machine_.npus[0].firmware_version = {};
    EXPECT_EQ(look("npu.firmware").state, State::unknown);
}

TEST_F(DoctorNpu, KernelVersions) {
    machine_.system.kernel_release.value = "6.16.12";
    EXPECT_EQ(look("npu.kernel").state, State::failure);
    EXPECT_EQ(look("system.kernel").state, State::warning);
    machine_.system.kernel_release.value = "6.17.1";
    EXPECT_EQ(look("npu.kernel").state, State::ok);
    machine_.system.kernel_release.value = "6.18.4";
    EXPECT_EQ(look("system.kernel").state, State::ok);
    machine_.system.kernel_release = {};
    EXPECT_EQ(look("npu.kernel").state, State::unknown);
}

TEST_F(DoctorNpu, LockedMemory) {
    machine_.memory.memlock_bytes.value = 8 << 20U;
    EXPECT_EQ(look("npu.memlock").state, State::failure);
    EXPECT_THAT(look("npu.memlock").fix, HasSubstr("LimitMEMLOCK=infinity"));
    machine_.memory.memlock_bytes.value = 3 * kGibibyte;
    EXPECT_EQ(look("npu.memlock").state, State::warning);
}

TEST_F(DoctorNpu, AMissingPluginIsSeenThoughValidateIsGreen) {
    machine_.system.xrt_plugin = {};
    EXPECT_EQ(look("npu.xrt_plugin").state, State::warning);
    EXPECT_THAT(look("npu.xrt_plugin").evidence, HasSubstr("No such device with index '0'"));
    EXPECT_EQ(look("npu.flm").state, State::ok);
    around_.engines[0].xrt_plugin = "/opt/fastflowlm/lib/libxrt_driver_xdna.so.2";
    EXPECT_EQ(look("npu.xrt_plugin").state, State::ok);
}

TEST_F(DoctorNpu, XrtsSetupInTheEnvironment) {
    EXPECT_EQ(look("npu.xrt_environment").state, State::skipped) << "nothing is known of it";
    around_.environment = {"PATH=/usr/bin:/opt/xilinx/xrt/bin", "LD_LIBRARY_PATH=/opt/rocm/lib"};
    EXPECT_EQ(look("npu.xrt_environment").state, State::ok);
    around_.environment.emplace_back("XILINX_XRT=/opt/xilinx/xrt");
    EXPECT_EQ(look("npu.xrt_environment").state, State::warning);
    around_.environment = {"LD_LIBRARY_PATH=/opt/xilinx/xrt/lib:"};
    EXPECT_EQ(look("npu.xrt_environment").state, State::warning);
}

TEST_F(DoctorNpu, WhatFlmSays) {
    around_.engines[0].validation = R"({"ready":false,"kernel_ok":true,"memlock_ok":false})";
    EXPECT_EQ(look("npu.flm").state, State::failure);
    EXPECT_THAT(look("npu.flm").evidence, HasSubstr("too little memory may be locked"));
    EXPECT_THAT(look("npu.flm").evidence, Not(HasSubstr("kernel")));
    around_.engines[0].validation = "{broken";
    EXPECT_EQ(look("npu.flm").state, State::unknown);
    around_.engines.clear();
    EXPECT_EQ(look("npu.flm").state, State::failure) << "a lane is configured for it";
}

TEST_F(DoctorNpu, VersionsOutsideTheKnownRangeAreNeverMoreThanAWarning) {
    around_.engines[0].version = "0.9.39";
    EXPECT_EQ(look("engines.flm_version").state, State::warning);
    around_.engines[0].version = "1.0.12";
    EXPECT_EQ(look("engines.flm_version").state, State::warning);
    around_.engines[0].version = "0.9.40";
    EXPECT_EQ(look("engines.flm_version").state, State::ok);
    around_.engines[0].version = "";
    EXPECT_EQ(look("engines.flm_version").state, State::unknown);
}

TEST_F(DoctorNpu, RocmBesideIt) {
    const std::string id = "lanes.rocm_beside_npu";
    EXPECT_EQ(look(id).state, State::skipped) << "nothing runs on the GPU";
    around_.engines.push_back(llama({"ROCm0"}));
    const std::string program = around_.engines.back().path;
    around_.llama_lanes = {{"gpu", program, ""}};
    EXPECT_EQ(look(id).state, State::failure) << "what it takes by itself is ROCm's";
    EXPECT_THAT(look(id).evidence, HasSubstr("lane gpu runs " + program + " on ROCm"));
    EXPECT_THAT(look(id).fix, HasSubstr("Install a Vulkan build"));
    EXPECT_THAT(look(id).fix, Not(HasSubstr("[lane.")));
    around_.lanes_configured = true;
    EXPECT_THAT(look(id).fix, HasSubstr("engine_device = \"Vulkan0\""));
    around_.engines.push_back(llama({"Vulkan1"}));
    around_.engines.back().path = "/opt/llama-server";
    EXPECT_THAT(look(id).fix, HasSubstr("program = \"/opt/llama-server\""));
    EXPECT_THAT(look(id).fix, HasSubstr("engine_device = \"Vulkan1\""));
    around_.llama_lanes = {{"gpu", "/opt/llama-server", ""}};
    EXPECT_EQ(look(id).state, State::ok) << "that program has no ROCm device";
    around_.llama_lanes = {{"gpu", program, "Vulkan0"}};
    EXPECT_EQ(look(id).state, State::ok) << "it has one, but is told to use another";
    EXPECT_THAT(look(id).evidence, HasSubstr("lane gpu is on Vulkan0"));
    around_.llama_lanes = {{"gpu", program, ""}};
    around_.npu_wanted = false;
    EXPECT_EQ(look(id).state, State::skipped);
}

class DoctorGpu : public ::testing::Test {
protected:
    DoctorGpu() : machine_(box("strix-halo-128")) {}
    Finding look(const std::string& id) { return finding(machine_, id, around_); }
    Machine machine_;
    Surroundings around_;
};

TEST_F(DoctorGpu, NoDriver) {
    machine_.gpus[0].driver.clear();
    EXPECT_EQ(look("gpu.driver").state, State::failure);
    EXPECT_THAT(look("gpu.driver").fix, HasSubstr("modprobe amdgpu"));
    machine_.gpus[0].driver = "vfio-pci";
    EXPECT_EQ(look("gpu.driver").state, State::skipped);
    EXPECT_EQ(look("gpu.vulkan").state, State::skipped);
}

TEST_F(DoctorGpu, Nouveau) {
    machine_ = box("nvidia");
    machine_.gpus.erase(machine_.gpus.begin());
    machine_.gpus[0].driver = "nouveau";
    EXPECT_EQ(look("gpu.driver").state, State::warning);
}

TEST_F(DoctorGpu, VulkanNeedsALoaderAndADriver) {
    machine_.system.vulkan_drivers = {"/usr/share/vulkan/icd.d/lvp_icd.x86_64.json"};
    EXPECT_EQ(look("gpu.vulkan").state, State::warning);
    EXPECT_THAT(look("gpu.vulkan").fix, HasSubstr("dnf install mesa-vulkan-drivers"));
    machine_.system.vulkan_loader = {};
    EXPECT_THAT(look("gpu.vulkan").fix, HasSubstr("vulkan-loader"));
}

TEST_F(DoctorGpu, VulkanShouldListTheGpu) {
    EXPECT_EQ(look("gpu.vulkan").state, State::ok);
    around_.vulkan_asked = true;
    around_.vulkan.resize(1);
    EXPECT_EQ(look("gpu.vulkan").state, State::warning) << "another device only";
    around_.vulkan[0].pci_vendor = 0x1002;
    around_.vulkan[0].pci_device = 0x1586;
    EXPECT_EQ(look("gpu.vulkan").state, State::ok);
    around_.vulkan.clear();
    machine_.gpus[0].render_node_usable = false;
    EXPECT_EQ(look("gpu.vulkan").state, State::ok) << "gpu.access says why it is not listed";
}

TEST_F(DoctorGpu, AnOldWayToSetItsReach) {
    machine_.system.kernel_command_line.value = "quiet amdgpu.gttsize=119808";
    const Finding old = look("gpu.gttsize");
    EXPECT_EQ(old.state, State::warning);
    EXPECT_THAT(old.fix, HasSubstr("--args=\"ttm.pages_limit=30670848\" "
                                   "--remove-args=\"amdgpu.gttsize=119808\""));
    machine_.gpus[0].gtt_total_bytes.value = 60 * kGibibyte;
    EXPECT_EQ(look("gpu.gttsize").state, State::skipped) << "gpu.gtt says it all";
    EXPECT_EQ(look("gpu.gtt").state, State::warning);
}

TEST_F(DoctorGpu, KfdMattersOnlyToRocm) {
    machine_.gpus[0].kfd_usable = false;
    EXPECT_EQ(look("gpu.kfd").state, State::skipped);
    around_.engines = {llama({"ROCm0"})};
    EXPECT_EQ(look("gpu.kfd").state, State::warning);
    around_.llama_lanes = {{"gpu", "/opt/llama-server", "ROCm0"}};
    EXPECT_EQ(look("gpu.kfd").state, State::failure);
}

TEST_F(DoctorGpu, TheFirmwaresPackageStandsInForItsVersion) {
    machine_.gpus[0].mes_firmware = {};
    EXPECT_EQ(look("gpu.firmware").state, State::unknown);
    machine_.system.linux_firmware = {"20251125-1",
                                      "/var/lib/pacman/local/linux-firmware-20251125-1"};
    EXPECT_EQ(look("gpu.firmware").state, State::warning);
    machine_.system.linux_firmware.value = "20260110-1";
    EXPECT_EQ(look("gpu.firmware").state, State::ok);
}

TEST_F(DoctorGpu, AnUnknownMesaIsUnknown) {
    machine_.system.mesa_version = {};
    EXPECT_EQ(look("gpu.mesa").state, State::unknown);
    EXPECT_EQ(exit_code(examine(machine_, around_)), 0) << "no more than unknown";
}

TEST(DoctorMemory, LittleIsLeft) {
    Machine machine = box("cpu-only");
    machine.pools[0].available_bytes = machine.pools[0].total_bytes / 20;
    EXPECT_EQ(finding(machine, "memory.available").state, State::warning);
    machine.pools.clear();
    EXPECT_EQ(finding(machine, "memory.available").state, State::unknown);
}

TEST(DoctorSystem, Containers) {
    Machine machine = box("strix-halo-128");
    machine.system.container = probe::Container::wsl;
    EXPECT_EQ(finding(machine, "system.container").state, State::warning);
    machine.system.container = probe::Container::lxc_unprivileged;
    EXPECT_EQ(finding(machine, "system.container").state, State::ok) << "all nodes are handed in";
    machine.npus[0].device_node_usable = false;
    EXPECT_EQ(finding(machine, "system.container").state, State::warning);
}

TEST(DoctorSystem, GovernorsOfOlderDrivers) {
    Machine machine = box("strix-halo-128");
    machine.system.cpu_preference = {};
    EXPECT_EQ(finding(machine, "cpu.governor").state, State::warning);
    machine.system.cpu_governor.value = "schedutil";
    EXPECT_EQ(finding(machine, "cpu.governor").state, State::ok);
}

TEST(DoctorEngines, OneThatDoesNotRun) {
    Surroundings around;
    around.engines = {llama({})};
    around.engines[0].problem = "libggml.so: cannot open shared object file";
    const Finding answers = finding(box("cpu-only"), "engines.answer", around);
    EXPECT_EQ(answers.state, State::warning);
    EXPECT_THAT(answers.evidence, HasSubstr("/usr/local/bin/llama-server: libggml.so"));
}

TEST(DoctorEngines, SomethingSpeaks) {
    Surroundings around;
    EXPECT_EQ(finding(box("cpu-only"), "engines.speech", around).state, State::skipped);
    probe::Engine espeak;
    espeak.kind = "espeak";
    espeak.path = "/usr/bin/espeak-ng";
    around.engines = {espeak};
    const Finding speech = finding(box("cpu-only"), "engines.speech", around);
    EXPECT_EQ(speech.state, State::ok);
    EXPECT_EQ(speech.evidence, "/usr/bin/espeak-ng");
}

TEST(DoctorAdvice, BytesAreBinary) {
    EXPECT_EQ(binary_bytes(0), "0 B");
    EXPECT_EQ(binary_bytes(1536), "1.5 KiB");
    EXPECT_EQ(binary_bytes(std::uint64_t{512} << 20U), "512 MiB");
    EXPECT_EQ(binary_bytes(kGibibyte - 1), "1 GiB");
    EXPECT_EQ(binary_bytes(117 * kGibibyte), "117 GiB");
}

TEST(DoctorAdvice, EverySystemHasItsWay) {
    Machine machine = box("strix-halo-128");
    const auto change = [&](const std::string& distribution) {
        machine.system.distribution.value = distribution;
        return change_boot_arguments(machine, {"a=1"}, {"b"});
    };
    EXPECT_EQ(change("Bazzite 43"),
              "sudo rpm-ostree kargs --append-if-missing=a=1 --delete-if-present=b\n"
              "sudo systemctl reboot");
    EXPECT_THAT(change("Arch Linux"), HasSubstr("add a=1 and remove b"));
    EXPECT_THAT(change("NixOS 26.05"), HasSubstr("boot.kernelParams"));
    EXPECT_THAT(change("Void"), HasSubstr("boot loader"));
    machine.system.container = probe::Container::docker;
    EXPECT_THAT(change("Debian GNU/Linux 13"), HasSubstr("On the host"));
    EXPECT_EQ(hand_in(machine, "/dev/kfd"), "Start the container with --device /dev/kfd");
    EXPECT_THAT(unlimited_locking(machine), HasSubstr("--ulimit memlock=-1:-1"));
}

}  // namespace
}  // namespace trilane::doctor
