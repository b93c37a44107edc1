// What `trilane config check` says of files, programs, devices and models that a file names.
#include "app/config_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace trilane::app {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class ConfigCheck : public ::testing::Test {
protected:
    ConfigCheck()
        : machine_(probe::read_machine(TRILANE_SOURCE_DIR "/tests/boxes/strix-halo-128")) {
        fs::create_directories(folder_);
        options_.path = {folder_};
        options_.keys_file = folder_ + "/keys.json";
        options_.model_dirs = {TRILANE_SOURCE_DIR "/models"};
    }
    ~ConfigCheck() override { fs::remove_all(folder_); }

    std::string write(const std::string& name, std::string_view text) {
        std::ofstream(folder_ + "/" + name) << text;
        return folder_ + "/" + name;
    }
    void install(const std::string& program) {
        fs::permissions(write(program, "#!/bin/sh\nexit 1\n"), fs::perms::owner_all);
    }
    /// "3:1 error: …" each.
    std::vector<std::string> remarks(const std::string& text) {
        const config::Checked checked = config::read_config(text, "test.toml");
        EXPECT_TRUE(checked.good()) << text;
        std::vector<std::string> out;
        for (const config::Remark& one : machine_remarks(checked, text, options_, machine_)) {
            out.push_back(fmt::format("{}:{} {}: {}", one.line, one.column,
                                      one.error ? "error" : "warning", one.text));
        }
        return out;
    }

    probe::Machine machine_;
    std::string folder_ =
        ::testing::TempDir() + "trilane-config-check-" + std::to_string(::getpid());
    ServeOptions options_;
};

TEST_F(ConfigCheck, WhatIsThereIsGood) {
    install("llama-server");
    EXPECT_THAT(remarks(""), IsEmpty());
    EXPECT_THAT(remarks("[lane.gpu]\nkind = \"llama-server\"\ndevice = \"gpu0\"\n"
                        "[lane.cpu]\nkind = \"native\"\n"
                        "[model.trilane-nano]\npin = true\nlanes = [\"cpu\"]\n"
                        "[model.\"*\"]\npreload = false\nargs = [\"--threads\", \"2\"]\n"
                        "[memory]\nreserve = \"4 GiB\"\n"
                        "[telemetry]\notlp_url = \"http://127.0.0.1:4318\"\n"
                        "[catalog]\ndirectories = [\"" +
                        folder_ + "\"]\n"),
                IsEmpty());
}

TEST_F(ConfigCheck, WhatServeWouldNotStartWithIsAnError) {
    EXPECT_THAT(remarks("[server]\nport = 1\nhost = \"0.0.0.0\"\n"),
                ElementsAre(AllOf(StartsWith("3:8 error: "), HasSubstr("a key is needed"))));
    EXPECT_THAT(remarks("[server]\napi_key_file = \"/nosuch/key\"\n"),
                ElementsAre(AllOf(StartsWith("2:16 error: "), HasSubstr("/nosuch/key"))));
    EXPECT_THAT(remarks("[server]\nkeys_file = \"" + write("bad.json", "{") + "\"\n"),
                ElementsAre(AllOf(StartsWith("2:13 error: "), HasSubstr("bad.json"))));
    EXPECT_THAT(remarks("[server]\ntls_key = \"/nosuch/key.pem\"\n"),
                ElementsAre(AllOf(StartsWith("2:11 error: "), HasSubstr("the certificate"))));
    EXPECT_THAT(remarks("[server]\ntls_certificate = \"/nosuch/c.pem\"\ntls_key = \"/k.pem\"\n"),
                ElementsAre(AllOf(StartsWith("2:19 error: "), HasSubstr("/nosuch/c.pem"))));
    options_.api_key = "secret";
    EXPECT_THAT(remarks("[server]\nhost = \"0.0.0.0\"\n"), IsEmpty());
}

TEST_F(ConfigCheck, WhatServeWouldLeaveOutIsAWarning) {
    EXPECT_THAT(remarks("[memory]\nreserve = \"900 TiB\"\n"),
                ElementsAre(AllOf(StartsWith("2:11 warning: "), HasSubstr("this machine has"))));
    EXPECT_THAT(remarks("[catalog]\ndirectories = [\"/nosuch\"]\n"),
                ElementsAre(AllOf(StartsWith("2:15 warning: "), HasSubstr("no folder /nosuch"))));
    EXPECT_THAT(remarks("[telemetry]\notlp_url = \"nowhere\"\n"),
                ElementsAre(AllOf(StartsWith("2:12 warning: "), HasSubstr("otlp_url"))));
}

TEST_F(ConfigCheck, LanesThatCannotBeOpenedAreNamed) {
    EXPECT_THAT(remarks("[lane.gpu]\nkind = \"llama-server\"\n"),
                ElementsAre(AllOf(StartsWith("1:1 warning: lane.gpu cannot be used"),
                                  HasSubstr("there is no program llama-server"),
                                  ::testing::Not(HasSubstr("lane gpu: ")))));
    install("llama-server");
    EXPECT_THAT(remarks("[lane.gpu]\nkind = \"llama-server\"\ndevice = \"gpu7\"\n"),
                ElementsAre(HasSubstr("this machine has no device gpu7; it has: ")));
    EXPECT_THAT(remarks("[lane.gpu]\nkind = \"llama-server\"\nargs = [\"--port\", \"1\"]\n"),
                ElementsAre(HasSubstr("--port is Trilane's to set")));
}

TEST_F(ConfigCheck, ModelsThatAreNotThereAreNamed) {
    const std::string cpu = "[lane.cpu]\nkind = \"native\"\n";
    EXPECT_THAT(remarks(cpu + "[model.nosuch]\npreload = true\n"),
                ElementsAre(AllOf(StartsWith("4:11 warning: model.\"nosuch\".preload: "),
                                  HasSubstr("no model of that name"))));
    EXPECT_THAT(remarks(cpu + "[model.nosuch]\npriority = 1\n"), IsEmpty()) << "it may come";
    EXPECT_THAT(remarks(cpu + "[lane.far]\nkind = \"remote\"\nurl = \"http://127.0.0.1:9\"\n"
                              "[model.nosuch]\npin = true\n"),
                IsEmpty())
        << "the server has not been asked";
    EXPECT_THAT(remarks("[model.trilane-nano]\nlanes = [\"gpu9\"]\n"),
                ElementsAre(HasSubstr("this machine has no lane gpu9; it has: cpu")));
}

TEST_F(ConfigCheck, ArgumentsOfModelsAreLookedAtAsThoseOfLanes) {
    install("llama-server");
    EXPECT_THAT(remarks("[lane.gpu]\nkind = \"llama-server\"\n"
                        "[model.\"*\"]\nargs = [\"--port\", \"1\"]\n"),
                ElementsAre(AllOf(StartsWith("4:8 warning: "), HasSubstr("--port"))));
}

}  // namespace
}  // namespace trilane::app
