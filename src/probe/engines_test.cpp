// Tests of the engines' discovery: parsers on outputs as the programs print them, and programs that
// are shell scripts.
#include "probe/engines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "probe/test_tree.h"

namespace trilane::probe {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;

constexpr const char* kDeviceList =
    "ggml_vulkan: Found 1 Vulkan devices:\n"
    "ggml_vulkan: 0 = Radeon 8060S Graphics (RADV GFX1151) (radv) | uma: 1 | fp16: 1 | warp size: "
    "64\n"
    "load_backend: loaded Vulkan backend from /opt/llama/libggml-vulkan.so\n"
    "Available devices:\n"
    "  Vulkan0: Radeon 8060S Graphics (RADV GFX1151) (120320 MiB, 118912 MiB free)\n"
    "ggml_cuda_init: found 1 ROCm devices:\n"
    "  ROCm0: AMD Radeon Graphics (119808 MiB, 118400 MiB free)\n"
    "  RPC[localhost]: strange\n"
    "  BLAS: OpenBLAS\n";

TEST(EngineTexts, DeviceList) {
    const auto devices = parse_device_list(kDeviceList);
    ASSERT_EQ(devices.size(), 3U);
    EXPECT_EQ(devices[0].name, "Vulkan0");
    EXPECT_EQ(devices[0].description, "Radeon 8060S Graphics (RADV GFX1151)");
    EXPECT_EQ(devices[0].total_bytes, 120320 * kMebibyte);
    EXPECT_EQ(devices[0].free_bytes, 118912 * kMebibyte);
    EXPECT_EQ(devices[1].name, "ROCm0");
    EXPECT_EQ(devices[1].description, "AMD Radeon Graphics");
    EXPECT_EQ(devices[2].name, "BLAS");
    EXPECT_EQ(devices[2].description, "OpenBLAS");
    EXPECT_EQ(devices[2].total_bytes, 0U);
}

TEST(EngineTexts, DeviceListOfABuildForTheCpu) {
    EXPECT_TRUE(parse_device_list("Available devices:\n  (none)\n").empty());
    EXPECT_TRUE(parse_device_list("").empty());
    EXPECT_TRUE(parse_device_list("  Vulkan0: not in a list (1 MiB, 1 MiB free)\n").empty());
}

TEST(EngineTexts, FlagsOfHelp) {
    const auto flags = parse_flags(
        "-h,    --help, --usage                  print usage and exit\n"
        "-cram, --cache-ram N                    set the maximum cache size in MiB (see "
        "--cache-ram)\n"
        "-kvu,  --kv-unified, -no-kvu, --no-kv-unified\n"
        "--spec-draft-n-max N   ------ and a rule -- of its own, a--b\n");
    EXPECT_THAT(flags, ElementsAre("--help", "--usage", "--cache-ram", "--kv-unified",
                                   "--no-kv-unified", "--spec-draft-n-max"));
}

TEST(EngineTexts, Versions) {
    EXPECT_EQ(
        parse_llama_version("ggml_vulkan: Found 1\nversion: 6795 (cd708029)\nbuilt with cc\n"),
        "6795 (cd708029)");
    EXPECT_EQ(parse_llama_version("llama-server"), "");
    EXPECT_EQ(parse_flm_version("{\"version\": \"0.9.43\"}\n"), "0.9.43");
    EXPECT_EQ(parse_flm_version("[FLM] checking\n{\n  \"version\": \"v1.0.11\"\n}\n"), "1.0.11");
    EXPECT_EQ(parse_flm_version("FLM v0.9.43\n"), "0.9.43");
    EXPECT_EQ(parse_flm_version("{\"version\": 3}"), "");
    EXPECT_EQ(parse_flm_version("no such option"), "");
}

class EnginesTest : public TestTree {
protected:
    std::vector<Engine> find(std::vector<std::pair<std::string, std::string>> programs) {
        EngineSearch search;
        search.programs = std::move(programs);
        search.directories = {(root_ / "bin").string(), (root_ / "opt").string(), "/nonexistent"};
        search.environment = {"PATH=/usr/bin:/bin", "SAID=hello"};
        search.patience = std::chrono::seconds(20);
        return find_engines(search);
    }
    std::string llama(const std::string& name, const std::string& version) {
        return script(name, "case \"$1\" in\n--version) echo \"version: " + version +
                                "\" >&2;;\n--list-devices) cat <<'END'\n" + kDeviceList +
                                "END\n;;\n--help) echo '--port N  --cache-ram N';;\nesac\n");
    }
};

TEST_F(EnginesTest, EveryBuildIsAskedWithTheGivenEnvironment) {
    llama("bin/llama-server", "6795 (cd708029)");
    llama("opt/llama-server", "$SAID");
    const auto engines = find({{"llama-server", "llama-server"}});
    ASSERT_EQ(engines.size(), 2U);
    EXPECT_EQ(engines[0].path, (root_ / "bin/llama-server").string());
    EXPECT_EQ(engines[0].version, "6795 (cd708029)");
    EXPECT_EQ(engines[0].devices.size(), 3U);
    EXPECT_THAT(engines[0].flags, ElementsAre("--port", "--cache-ram"));
    EXPECT_EQ(engines[0].problem, "");
    EXPECT_EQ(engines[1].path, (root_ / "opt/llama-server").string());
    EXPECT_EQ(engines[1].version, "hello");
}

TEST_F(EnginesTest, OneFileUnderTwoNamesIsOneEngine) {
    const std::string path = llama("bin/llama-server", "1 (a)");
    link("opt/llama-server", path);
    EXPECT_EQ(find({{"llama-server", "llama-server"}, {"llama-server", path}}).size(), 1U);
}

TEST_F(EnginesTest, FlmIsAskedForItsVersionAndTheNpu) {
    script("bin/flm",
           "case \"$1\" in\nversion) echo '{\"version\":\"1.0.11\"}';;\n"
           "validate) echo '[Linux] note'; echo '{\"ready\": false, \"devices\": []}'; exit 1;;\n"
           "--help) echo ' --ctx-len, -c';;\nesac\n");
    write("lib/libxrt_driver_xdna.so.2", "");
    const auto engines = find({{"flm", "flm"}});
    ASSERT_EQ(engines.size(), 1U);
    EXPECT_EQ(engines[0].version, "1.0.11");
    EXPECT_EQ(engines[0].validation, "{\"ready\": false, \"devices\": []}");
    EXPECT_THAT(engines[0].flags, Contains("--ctx-len"));
    EXPECT_EQ(engines[0].xrt_plugin,
              std::filesystem::canonical(root_ / "lib/libxrt_driver_xdna.so.2").string());
    EXPECT_EQ(engines[0].problem, "");
}

TEST_F(EnginesTest, OlderFlmSaysItsVersionElsewhere) {
    script("bin/flm",
           "case \"$1\" in\n--version) echo 'FLM v0.9.34';;\n*) echo bad; exit 1;;\nesac\n");
    const auto engines = find({{"flm", "flm"}});
    ASSERT_EQ(engines.size(), 1U);
    EXPECT_EQ(engines[0].version, "0.9.34");
    EXPECT_EQ(engines[0].validation, "");
}

TEST_F(EnginesTest, WhatWentWrongIsSaid) {
    script("bin/llama-server",
           "echo \"$0: error while loading shared libraries: libggml.so: cannot open shared object "
           "file\" >&2; exit 127");
    script("bin/sd-server", "kill -SEGV $$");
    script("bin/whisper-server", "exit 1");
    write("bin/flm", "not executable");
    const auto engines = find({{"llama-server", "llama-server"},
                               {"sd-server", "sd-server"},
                               {"whisper-server", "whisper-server"},
                               {"flm", "flm"}});
    ASSERT_EQ(engines.size(), 3U);
    EXPECT_THAT(engines[0].problem, HasSubstr("libggml.so"));
    EXPECT_EQ(engines[1].problem, "asked for `--help`, it was ended by signal 11");
    EXPECT_THAT(engines[2].problem, HasSubstr("status 1 and said nothing"));
}

TEST_F(EnginesTest, NothingInstalledIsNothingFound) {
    EXPECT_TRUE(find({{"llama-server", "llama-server"}, {"flm", "/nonexistent/flm"}}).empty());
}

}  // namespace
}  // namespace trilane::probe
