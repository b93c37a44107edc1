// What `trilane probe` and `trilane doctor` print: golden texts beside the trees of tests/boxes,
// and the shape of the JSON.
#include "app/machine_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "json/json.h"

namespace trilane::app {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kBoxes = TRILANE_SOURCE_DIR "/tests/boxes/";

Survey box(const std::string& name) {
    auto found = survey(kBoxes + name, {});
    EXPECT_TRUE(found.has_value());
    return std::move(*found);
}

std::string golden(const std::string& name) {
    std::ifstream file(kBoxes + name);
    EXPECT_TRUE(file.good()) << name;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string doctor_of(const std::string& name, bool all) {
    return doctor_text(doctor::examine(box(name).machine, {}), all, false);
}

/// Engines as asking finds them.
Survey asked() {
    Survey made = box("strix-halo-128");
    made.asked = true;
    probe::Engine llama;
    llama.kind = "llama-server";
    llama.path = "/usr/local/bin/llama-server";
    llama.version = "6795 (cd708029)";
    llama.devices = {{"Vulkan0", "Radeon 8060S (RADV GFX1151)", std::uint64_t{118} << 30U,
                      std::uint64_t{116} << 30U},
                     {"BLAS", "OpenBLAS", 0, 0}};
    llama.flags = {"--port"};
    probe::Engine flm;
    flm.kind = "flm";
    flm.path = "/opt/fastflowlm/bin/flm";
    flm.validation = R"({"ready":true})";
    flm.problem = "asked for `--help`, it did not end in time";
    made.engines = {llama, flm};
    probe::VulkanDevice device;
    device.name = "Radeon 8060S\x1b[31m";
    device.type = "integrated";
    device.driver = "radv Mesa 25.3.6";
    device.heaps = {{std::uint64_t{39} << 30U, 0, false}, {std::uint64_t{79} << 30U, 0, true}};
    made.vulkan = {device};
    return made;
}

TEST(ProbeListing, Golden) {
    for (const std::string name : {"strix-halo-128", "strix-halo-64", "lxc", "nvidia"}) {
        EXPECT_EQ(probe_text(box(name), false), golden(name + ".probe.txt")) << name;
    }
}

TEST(ProbeListing, EnginesAndVulkanAreListedWhenAsked) {
    const std::string text = probe_text(asked(), false);
    EXPECT_THAT(text, HasSubstr("ENGINES  native\n"));
    EXPECT_THAT(text, HasSubstr("llama-server 6795 (cd708029) /usr/local/bin/llama-server\n"));
    EXPECT_THAT(text,
                HasSubstr("  Vulkan0: Radeon 8060S (RADV GFX1151), 116 GiB of 118 GiB free\n"));
    EXPECT_THAT(text, HasSubstr("  BLAS: OpenBLAS\n"));
    EXPECT_THAT(text, HasSubstr("flm of unknown version /opt/fastflowlm/bin/flm\n"));
    EXPECT_THAT(text, HasSubstr("  does not run: asked for `--help`, it did not end in time\n"));
    EXPECT_THAT(text, HasSubstr("VULKAN   Radeon 8060S\\x1b[31m, integrated, 79 GiB of its own"));
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(probe_text(asked(), true), HasSubstr("\x1b[1mENGINES"));
}

TEST(ProbeListing, JsonHasTheSourceOfEveryFact) {
    const json::Value shown = probe_json(box("strix-halo-128"));
    EXPECT_EQ(shown["platform"], "strix-halo");
    EXPECT_EQ(shown["system"]["kernel_release"]["value"], "7.0.9-205.fc43.x86_64");
    EXPECT_EQ(shown["system"]["kernel_release"]["source"], "/proc/sys/kernel/osrelease");
    EXPECT_EQ(shown["system"]["container"]["value"], "none");
    EXPECT_EQ(shown["cpu"]["cores"]["value"], 16);
    EXPECT_EQ(shown["memory"]["memlock_bytes"]["value"], "unlimited");
    EXPECT_EQ(shown["memory"]["cgroup_limit_bytes"], nullptr);
    EXPECT_EQ(shown["pools"][0]["name"], "system");
    EXPECT_EQ(shown["pools"][0]["source"], "/proc/meminfo");
    EXPECT_EQ(shown["gpus"][0]["pci_id"], "1002:1586");
    EXPECT_EQ(shown["gpus"][0]["gtt_total_bytes"]["source"],
              "/sys/class/drm/card1/device/mem_info_gtt_total");
    EXPECT_EQ(shown["npus"][0]["power_state"]["value"], "D3hot");
    EXPECT_EQ(shown["power"][0]["kind"], "rapl");
    EXPECT_FALSE(shown.contains("engines")) << "nothing can be asked in another tree";
}

TEST(ProbeListing, JsonOfWhatWasAsked) {
    const json::Value shown = probe_json(asked());
    EXPECT_EQ(shown["engines"][0]["version"], "6795 (cd708029)");
    EXPECT_EQ(shown["engines"][0]["devices"][0]["name"], "Vulkan0");
    EXPECT_EQ(shown["engines"][0]["flags"][0], "--port");
    EXPECT_EQ(shown["engines"][0]["validation"], nullptr);
    EXPECT_EQ(shown["engines"][1]["validation"]["ready"], true);
    EXPECT_EQ(shown["engines"][1]["version"], nullptr);
    EXPECT_EQ(shown["vulkan"][0]["heaps"][1]["device_local"], true);
}

TEST(DoctorListing, Golden) {
    for (const std::string name : {"strix-halo-128", "strix-halo-64", "lxc"}) {
        EXPECT_EQ(doctor_of(name, false), golden(name + ".doctor.txt")) << name;
    }
}

TEST(DoctorListing, AllShowsWhatDoesNotApply) {
    EXPECT_THAT(doctor_of("cpu-only", true), HasSubstr("· npu.present"));
    EXPECT_THAT(doctor_of("cpu-only", false), Not(HasSubstr("npu.present")));
}

TEST(DoctorListing, CommandsAreNeverCut) {
    const std::string command = "sudo " + std::string(200, 'x') + " and more";
    const std::string prose = "Words " + std::string(90, 'y') + " and more";
    const std::vector<doctor::Finding> findings{
        {"a.b", "Title", doctor::State::failure, "seen", prose + "\n" + command}};
    const std::string text = doctor_text(findings, false, false);
    EXPECT_THAT(text, HasSubstr(command + "\n"));
    EXPECT_THAT(text, HasSubstr("Words " + std::string(90, 'y') + "\n          and more\n"));
    EXPECT_THAT(text, StartsWith("✗ a.b  Title\n    seen  seen\n    fix   Words"));
    EXPECT_THAT(text, HasSubstr("\n1 failure, 0 fine\n"));
    EXPECT_THAT(doctor_text(findings, false, true), StartsWith("\x1b[31m✗\x1b[0m a.b"));
}

TEST(DoctorListing, JsonHasStatesAndTheExitCode) {
    const json::Value shown = doctor_json(doctor::examine(box("discrete-amd").machine, {}));
    EXPECT_EQ(shown["worst"], "failure");
    EXPECT_EQ(shown["exit_code"], 2);
    bool seen = false;
    for (const json::Value& finding : shown["findings"]) {
        if (finding["id"] == "gpu.access") {
            seen = true;
            EXPECT_EQ(finding["state"], "failure");
            EXPECT_THAT(finding["fix"].get<std::string>(), HasSubstr("usermod"));
        } else {
            EXPECT_EQ(finding["fix"], nullptr);
        }
    }
    EXPECT_TRUE(seen);
}

TEST(MachineSurvey, AFolderThatIsNoMachineIsRefused) {
    const auto found = survey(TRILANE_SOURCE_DIR "/tests", {});
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().fault, Fault::not_found);
    EXPECT_THAT(found.error().message, HasSubstr("--root"));
}

TEST(MachineSurvey, EnginesGetTheGivenEnvironment) {
    const probe::EngineSearch search =
        engine_search({{"/a", "/b"}, {"PATH=/a:/b", "HOME=/home/ada"}});
    EXPECT_THAT(search.environment,
                ElementsAre("PATH=/a:/b", "HOME=/home/ada", "FLM_DISABLE_UPDATE_CHECK=1"));
    ASSERT_GE(search.directories.size(), 3U);
    EXPECT_EQ(search.directories[0], "/a");
    EXPECT_EQ(search.directories[1], "/b");
    EXPECT_THAT(search.directories, Contains("/opt/fastflowlm/bin"));
    EXPECT_THAT(search.programs, Contains(std::pair<std::string, std::string>("flm", "oflm")));
}

}  // namespace
}  // namespace trilane::app
