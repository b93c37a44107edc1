// The table of kinds, and lanes that cannot be opened.
#include "lane/descriptor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lane/child/test_folder.h"
#include "lane/speech_server/speech_server.h"
#include "net/loops.h"
#include "os/child.h"

namespace trilane::lane {
namespace {

using namespace rig;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OpenLane : public ::testing::Test {
protected:
    Parts parts(const TestFolder& folder) {
        Parts parts;
        parts.children = &children_;
        parts.loops = &loops_;
        parts.path = {folder.path()};
        return parts;
    }
    static Settings settings(std::string kind) {
        Settings settings;
        settings.name = "lane1";
        settings.kind = std::move(kind);
        return settings;
    }

    os::ChildWatch children_;
    net::Loops loops_{1};
    TestFolder folder_;
};

TEST(Descriptors, AreComplete) {
    std::set<std::string_view> kinds;
    for (const Descriptor& each : descriptors()) {
        SCOPED_TRACE(each.kind);
        EXPECT_TRUE(kinds.insert(each.kind).second);
        EXPECT_FALSE(each.summary.empty());
        EXPECT_FALSE(each.purposes.empty());
        EXPECT_FALSE(each.options.empty());
        EXPECT_NE(each.open, nullptr);
        EXPECT_GT(each.residents_max, 0U);
        EXPECT_EQ(*descriptor_of(each.kind), &each);
    }
    EXPECT_EQ(kinds, (std::set<std::string_view>{"native", "llama-server", "flm", "whisper-server",
                                                 "sd-server", "kokoro", "espeak", "remote"}));
}

/// As OptionField's alternatives stand, with what a value in each of them can be.
bool fits(const Option& option) {
    using T = OptionType;
    switch (option.field.index()) {
        case 0:
            return option.type == T::text || option.type == T::device;
        case 1:
            return option.type == T::texts;
        case 2:
            return option.type == T::pairs;
        case 3:
            return option.type == T::count || option.type == T::seconds;
        case 4:
            return option.type == T::bytes;
        case 7:
            return option.type == T::flag;
        default:
            return option.type == T::count;
    }
}

TEST(Descriptors, OptionsAreComplete) {
    for (const Descriptor& each : descriptors()) {
        std::set<std::string_view> keys;
        for (const Option& option : each.options) {
            SCOPED_TRACE(fmt::format("{}.{}", each.kind, option.key));
            EXPECT_TRUE(keys.insert(option.key).second);
            EXPECT_TRUE(option.text.ends_with('.') || !option.usual.empty());
            EXPECT_TRUE(option.usual.empty() || !option.usual.ends_with('.'));
            EXPECT_TRUE(fits(option));
            const bool ranged =
                option.type == OptionType::count || option.type == OptionType::seconds;
            EXPECT_EQ(ranged, option.max > 0);
            if (option.key == "residents_max") {
                EXPECT_EQ(std::stoul(std::string(option.usual)), each.residents_max);
            }
            if (option.key == "program") {
                for (const std::string_view program : each.programs) {
                    EXPECT_THAT(std::string(option.usual), HasSubstr(std::string(program)));
                }
            }
        }
        EXPECT_EQ(keys.contains("program"), !each.programs.empty()) << each.kind;
    }
}

TEST(Descriptors, AnUnknownKindIsToldWhatThereIs) {
    const auto unknown = descriptor_of("vulkan");
    ASSERT_FALSE(unknown.has_value());
    EXPECT_EQ(unknown.error().fault, Fault::invalid);
    EXPECT_THAT(unknown.error().message, HasSubstr("'vulkan'"));
    EXPECT_THAT(unknown.error().message, HasSubstr("native, llama-server, flm"));
}

TEST_F(OpenLane, NamesMustFitBeforeASlash) {
    for (const auto* bad : {"", "a/b", "a b", "ä"}) {
        Settings named = settings("native");
        named.name = bad;
        EXPECT_FALSE(open_lane(named, parts(folder_)).has_value()) << bad;
    }
}

TEST_F(OpenLane, AMissingProgramIsNamed) {
    for (const Descriptor& each : descriptors()) {
        if (each.programs.empty()) {
            continue;
        }
        const auto opened = open_lane(settings(std::string(each.kind)), parts(folder_));
        ASSERT_FALSE(opened.has_value()) << each.kind;
        EXPECT_EQ(opened.error().fault, Fault::not_found);
        EXPECT_THAT(opened.error().message, HasSubstr(std::string(each.programs.front())));
        EXPECT_THAT(opened.error().message, HasSubstr(folder_.path()));
    }
}

TEST_F(OpenLane, DefaultsComeFromTheKind) {
    for (const Descriptor& each : descriptors()) {
        if (each.programs.empty()) {
            continue;
        }
        SCOPED_TRACE(each.kind);
        folder_.write_program(each.programs.front(), "exit 1\n");
        const auto opened = open_lane(settings(std::string(each.kind)), parts(folder_));
        ASSERT_TRUE(opened.has_value()) << opened.error().message;
        EXPECT_EQ((*opened)->name(), "lane1");
        EXPECT_EQ((*opened)->descriptor().kind, each.kind);
        EXPECT_EQ((*opened)->residents_max(), each.residents_max);
        EXPECT_FALSE((*opened)->device().empty());
        EXPECT_NE((*opened)->log(), nullptr);
        if (each.store == catalog::Store::program) {
            continue;  // what it serves it offers itself
        }
        catalog::Entry entry;
        entry.store = each.store;
        entry.purpose = each.purposes.front();
        entry.path = "file";
        EXPECT_TRUE((*opened)->can_serve(entry));
        entry.store =
            each.store == catalog::Store::flm ? catalog::Store::gguf : catalog::Store::flm;
        EXPECT_FALSE((*opened)->can_serve(entry)) << "tags and files are kept apart";
    }
}

TEST_F(OpenLane, SettingsThatCannotWorkAreRefused) {
    for (const auto* program : {"llama-server", "flm"}) {
        folder_.write_program(program, "exit 1\n");
    }
    Settings reserved = settings("llama-server");
    reserved.args = {"--port", "1"};
    const auto refused = open_lane(reserved, parts(folder_));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::invalid);
    EXPECT_THAT(refused.error().message, HasSubstr("--port"));

    Settings no_time = settings("llama-server");
    no_time.start_timeout_s = 0;
    EXPECT_FALSE(open_lane(no_time, parts(folder_)).has_value());

    Settings parallel = settings("flm");
    parallel.requests_max = 2;
    const auto corrupting = open_lane(parallel, parts(folder_));
    ASSERT_FALSE(corrupting.has_value());
    EXPECT_THAT(corrupting.error().message, HasSubstr("requests_max"));
}

TEST_F(OpenLane, TheCpuIsADeviceOfItsOwn) {
    folder_.write_program("llama-server", "exit 1\n");
    Settings on_cpu = settings("llama-server");
    on_cpu.engine_device = "none";
    EXPECT_EQ((*open_lane(on_cpu, parts(folder_)))->device(), "cpu");
    EXPECT_EQ((*open_lane(settings("llama-server"), parts(folder_)))->device(), "gpu0");
    on_cpu.device = "gpu1";
    EXPECT_EQ((*open_lane(on_cpu, parts(folder_)))->device(), "gpu1");
}

TEST_F(OpenLane, ItsSiliconIsThatOfItsDevice) {
    for (const auto* program : {"llama-server", "whisper-server", "flm"}) {
        folder_.write_program(program, "exit 1\n");
    }
    const auto silicon = [&](const Settings& settings) {
        return (*open_lane(settings, parts(folder_)))->descriptor().silicon;
    };
    Settings llama = settings("llama-server");
    EXPECT_EQ(silicon(llama), Silicon::gpu);
    llama.device = "cpu";
    EXPECT_EQ(silicon(llama), Silicon::cpu);
    llama.device = "gpu1";
    EXPECT_EQ(silicon(llama), Silicon::gpu);
    llama.engine_device = "none";
    EXPECT_EQ(silicon(llama), Silicon::cpu) << "its engine uses no GPU";
    Settings ear = settings("whisper-server");
    EXPECT_EQ(silicon(ear), Silicon::cpu);
    ear.device = "gpu0";
    EXPECT_EQ(silicon(ear), Silicon::gpu);
    Settings npu = settings("flm");
    npu.device = "cpu";
    EXPECT_EQ(silicon(npu), Silicon::npu) << "FLM has nothing else";
}

TEST(SpeechArguments, KokorosFormOrATemplate) {
    EXPECT_THAT(speech_arguments(std::vector<std::string>{"--data", "v.bin"}, "/m.onnx", 4711),
                ElementsAre("--data", "v.bin", "--model", "/m.onnx", "openai", "--ip", "127.0.0.1",
                            "--port", "4711"));
    EXPECT_THAT(speech_arguments(
                    std::vector<std::string>{"-m", "server", "--bind={host}:{port}", "{model}"},
                    "/m.onnx", 4711),
                ElementsAre("-m", "server", "--bind=127.0.0.1:4711", "/m.onnx"));
}

}  // namespace
}  // namespace trilane::lane
