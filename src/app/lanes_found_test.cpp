// The lanes of a machine whose owner configured none, and what `trilane doctor` says of lanes: its
// advice must be what the configuration's reader takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "app/loading_line.h"
#include "app/model_listing.h"
#include "app/more_verbs.h"
#include "app/serve_setup.h"
#include "app/verbs.h"
#include "doctor/doctor.h"
#include "json/json.h"

namespace trilane::app {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A machine with an NPU and a GPU, and programs in a folder.
class LanesFound : public ::testing::Test {
protected:
    LanesFound() : machine_(probe::read_machine(TRILANE_SOURCE_DIR "/tests/boxes/strix-halo-128")) {
        fs::create_directories(folder_);
        options_.path = {folder_};
        for (probe::NpuFacts& npu : machine_.npus) {
            npu.device_node_usable = true;
        }
        for (probe::GpuFacts& gpu : machine_.gpus) {
            gpu.render_node_usable = true;
        }
    }
    ~LanesFound() override { fs::remove_all(folder_); }

    std::string write(const std::string& name, std::string_view text = "#!/bin/sh\nexit 1\n") {
        const std::string path = folder_ + "/" + name;
        fs::create_directories(fs::path(path).parent_path());
        std::ofstream(path) << text;
        fs::permissions(path, fs::perms::owner_all);
        return path;
    }
    static probe::Engine llama(std::string path, std::initializer_list<const char*> devices) {
        probe::Engine engine;
        engine.kind = "llama-server";
        engine.path = std::move(path);
        for (const char* device : devices) {
            engine.devices.push_back({device, "some GPU", 1, 1});
        }
        return engine;
    }
    lane::Settings gpu_lane(const std::vector<probe::Engine>& engines) {
        for (lane::Settings& lane : lane_settings({}, options_, machine_, engines)) {
            if (lane.kind == "llama-server") {
                return lane;
            }
        }
        ADD_FAILURE() << "no lane of llama-server was found";
        return {};
    }

    probe::Machine machine_;
    std::string folder_ =
        ::testing::TempDir() + "trilane-lanes-found-" + std::to_string(::getpid());
    ServeOptions options_;
};

TEST_F(LanesFound, BesideAnNpuLlamaServerIsGivenAVulkanDevice) {
    const std::string llama_path = write("llama-server");
    EXPECT_FALSE(devices_matter({}, options_, machine_)) << "there is no lane on the NPU";
    EXPECT_EQ(gpu_lane({llama(llama_path, {"ROCm0", "Vulkan0"})}).engine_device, "");
    write("flm");
    ASSERT_TRUE(devices_matter({}, options_, machine_));
    EXPECT_EQ(gpu_lane({llama(llama_path, {"ROCm0", "Vulkan0"})}).engine_device, "Vulkan0");
    EXPECT_EQ(gpu_lane({llama(llama_path, {"ROCm0"})}).engine_device, "");
    config::Config configured;
    configured.lanes.emplace_back().kind = "llama-server";
    EXPECT_FALSE(devices_matter(configured, options_, machine_)) << "the owner decides";
}

TEST_F(LanesFound, AProgramWithVulkanIsPreferredToOneWithRocmAlone) {
    const std::string rocm = write("a/llama-server");
    const std::string vulkan = write("b/llama-server");
    write("b/flm");
    options_.path = {folder_ + "/a", folder_ + "/b"};
    const lane::Settings lane = gpu_lane({llama(rocm, {"ROCm0"}), llama(vulkan, {"Vulkan1"})});
    EXPECT_EQ(lane.program, vulkan);
    EXPECT_EQ(lane.engine_device, "Vulkan1");
    options_.path = {folder_ + "/a"};
    write("a/flm");
    EXPECT_EQ(gpu_lane({llama(rocm, {"ROCm0"}), llama(vulkan, {"Vulkan1"})}).program, rocm)
        << "what is not on PATH is not taken";
}

TEST_F(LanesFound, WithoutAGpuOurOwnEngineComesFirst) {
    write("llama-server");
    write("flm");
    const auto kinds = [&] {
        std::vector<std::string> out;
        for (const lane::Settings& lane : lane_settings({}, options_, machine_)) {
            out.push_back(lane.kind);
        }
        return out;
    };
    EXPECT_THAT(kinds(), ElementsAre("llama-server", "flm", "native"));
    for (probe::GpuFacts& gpu : machine_.gpus) {
        gpu.render_node_usable = false;
    }
    EXPECT_THAT(kinds(), ElementsAre("native", "llama-server", "flm"));
    config::Config configured;
    configured.lanes.emplace_back().kind = "llama-server";
    configured.lanes.emplace_back().kind = "native";
    EXPECT_EQ(lane_settings(configured, options_, machine_)[0].kind, "llama-server")
        << "the owner's order counts";
}

/// The indented lines of a fix that are configuration; "" = it has none.
std::string config_lines(const std::string& fix) {
    const std::size_t begin = fix.find("\n  [");
    return begin == std::string::npos ? "" : fix.substr(begin + 1);
}

TEST_F(LanesFound, WhatTheDoctorAdvisesIsWhatTheConfigurationTakes) {
    std::size_t read = 0;
    const std::vector<std::vector<probe::Engine>> installed{
        {llama("/opt/llama-server", {"ROCm0"})},
        {llama("/opt/llama-server", {"ROCm0", "Vulkan0"})},
        {llama("/opt/llama-server", {"ROCm0"}), llama("/usr/bin/llama-server", {"Vulkan1"})}};
    for (const auto& engines : installed) {
        doctor::Surroundings around;
        around.engines = engines;
        around.npu_wanted = true;
        around.lanes_configured = true;
        around.llama_lanes = {{"gpu", "/opt/llama-server", "ROCm0"}};
        for (const doctor::Finding& finding : doctor::examine(machine_, around)) {
            const std::string lines = config_lines(finding.fix);
            // A line that sets something stands among those that are tested here.
            EXPECT_EQ(lines.empty(), finding.fix.find(" = \"") == std::string::npos)
                << finding.id << ": " << finding.fix;
            if (lines.empty()) {
                continue;
            }
            const config::Checked checked = config::read_config(lines, "fix");
            ASSERT_TRUE(checked.remarks.empty()) << lines;
            ASSERT_EQ(checked.config.lanes.size(), 1U);
            EXPECT_EQ(checked.config.lanes[0].engine_device.substr(0, 6), "Vulkan");
            ++read;
        }
    }
    EXPECT_EQ(read, installed.size());
}

TEST_F(LanesFound, VerbsLookWhereTheConfigurationSays) {
    Environment environment;
    environment.model_dirs = {"/usr/share/models"};
    EXPECT_EQ(known_model_dirs(environment), environment.model_dirs);
    environment.config_file = write("config.toml", "[catalog]\ndirectories = [\"/srv/models\"]\n");
    EXPECT_EQ(known_model_dirs(environment),
              (std::vector<std::string>{"/usr/share/models", "/srv/models"}));
    environment.home = "/home/one";
    environment.config_file =
        write("home.toml", "[catalog]\ndirectories = [\"~/models\", \"~x/m\"]\n");
    EXPECT_EQ(known_model_dirs(environment),
              (std::vector<std::string>{"/usr/share/models", "/home/one/models", "~x/m"}));
}

TEST_F(LanesFound, ListNamesFoldersThatAreNotThere) {
    ModelsOptions list;
    list.home = folder_;
    list.config_file =
        write("folders.toml", "[catalog]\ndirectories = [\"~/nosuch\", \"~/there\"]\n");
    write("there/notes.txt");
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const auto listed = perform(list);
    testing::internal::GetCapturedStdout();
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "trilane: catalog.directories: there is no folder " + folder_ + "/nosuch\n");
    EXPECT_EQ(listed.value_or(-1), 0);
}

TEST_F(LanesFound, VerbsSayWhatTheyDidNotUnderstandAndGoOn) {
    const std::string file =
        write("broken.toml",
              "[catalog]\ndirectories = [\"/srv/models\"]\n[memory]\nreserve = []\n"
              "[model.x]\npin = 3\n");
    testing::internal::CaptureStderr();
    const config::Checked checked = told_config(file);
    const std::string told = testing::internal::GetCapturedStderr();
    EXPECT_THAT(told, HasSubstr("trilane: " + file + ":4:11: error: memory.reserve must be"));
    EXPECT_THAT(told, HasSubstr("trilane: " + file + ":6:7: error: model.\"x\".pin must be"));
    EXPECT_THAT(told, HasSubstr("that is left out"));
    EXPECT_EQ(checked.config.catalog.directories, std::vector<std::string>{"/srv/models"});
    EXPECT_TRUE(checked.understood("catalog"));
    EXPECT_FALSE(checked.understood("memory"));

    testing::internal::CaptureStderr();
    EXPECT_TRUE(told_config("").good());
    EXPECT_TRUE(told_config(write("good.toml", "[server]\nport = 1\n")).good());
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");

    testing::internal::CaptureStderr();
    EXPECT_FALSE(told_config(folder_ + "/nosuch.toml").understood("catalog"));
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("nosuch.toml"));
}

TEST_F(LanesFound, ListAndPlanSayWhatTheyDidNotUnderstand) {
    const std::string file = write("broken.toml", "[catalog]\ndirectories = 3\n");
    const std::string missing = "catalog.directories must be";
    ModelsOptions list;
    list.config_file = file;
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const auto listed = perform(list);
    testing::internal::GetCapturedStdout();
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr(missing));
    EXPECT_EQ(listed.value_or(-1), 0);
    PlanOptions plan;
    plan.config_file = file;
    plan.models = {TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf"};
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const auto planned = perform(plan);
    EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("trilane-nano"));
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr(missing));
    EXPECT_TRUE(planned.has_value());
}

TEST_F(LanesFound, PullAsksNoHubThatTheFileMayHaveNamedOtherwise) {
    PullVerbOptions pull;
    pull.reference = "o/m";
    pull.models_dir = folder_;
    pull.hub_endpoint = "no-address://h";
    pull.config_file = write("broken.toml", "[catalog]\nhub_endpont = \"http://127.0.0.1:2\"\n");
    testing::internal::CaptureStderr();
    const auto pulled = perform(pull);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("did you mean hub_endpoint?"));
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().fault, Fault::invalid);
    EXPECT_THAT(pulled.error().message, HasSubstr("which hub models come from"));
    pull.config_file = write("broken.toml", "[server]\nport = -1\n");
    testing::internal::CaptureStderr();
    const auto asked = perform(pull);
    ASSERT_FALSE(asked.has_value());
    EXPECT_THAT(asked.error().message, HasSubstr("no-address")) << "it went on";
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("server.port must be"));
}

TEST_F(LanesFound, FoldersWithoutModelsAreNamed) {
    write("models/some.gguf", "");
    EXPECT_TRUE(folders_without_models({folder_ + "/models"}).empty());
    write("empty/notes.txt", "");
    const std::string empty = folder_ + "/empty";
    const auto problems = folders_without_models({"/nosuch", empty});
    ASSERT_EQ(problems.size(), 2U);
    EXPECT_THAT(problems[0], HasSubstr("there is no folder /nosuch"));
    EXPECT_THAT(problems[1], HasSubstr("no model is in " + empty));
}

TEST(LoadingLine, SaysWhatTheModelWaitsFor) {
    const auto state = json::parse(
        R"({"lanes":[{"name":"gpu","models":[{"model":"coder","state":"warming"}]},
                     {"name":"cpu","models":[]}]})");
    EXPECT_EQ(loading_text(*state, "coder", std::chrono::seconds(12)),
              "coder: warming on gpu, 12 s");
    EXPECT_EQ(loading_text(*state, "gpu/coder", std::chrono::seconds(2)),
              "gpu/coder: warming on gpu, 2 s");
    EXPECT_EQ(loading_text(*state, "other", std::chrono::seconds(3)),
              "other: waiting for room, 3 s");
    json::Value known = *state;
    known["model"] = "coder";
    EXPECT_EQ(loading_text(known, "my/alias", std::chrono::seconds(4)),
              "my/alias: warming on gpu, 4 s");
    known["model"] = json::Value();
    EXPECT_EQ(loading_text(known, "coder", std::chrono::seconds(5)), "coder: warming on gpu, 5 s");
}

TEST(LoadingLine, SaysWhatTheLoadHasBrought) {
    const auto answer = json::parse(
        R"({"status":"ready","model":"coder","lane":"gpu","context_tokens":32768,
            "planned_bytes":169000000,"load_ms":1234.5})");
    EXPECT_EQ(loaded_text(*answer),
              "coder is ready on gpu: 32,768 tokens of context, 169 MB, after 1.2 s\n");
    json::Value cut = *answer;
    cut["context_tokens"] = 512;
    cut["note"] = "context cut";
    EXPECT_EQ(loaded_text(cut),
              "coder is ready on gpu: 512 tokens of context, 169 MB, after 1.2 s\ncontext cut\n");
    EXPECT_EQ(loaded_text(json::Value{{"status", "unloading"}, {"model", "coder"}}),
              "coder is unloading\n");
}

}  // namespace
}  // namespace trilane::app
