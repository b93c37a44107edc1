// The lanes of servers that do not chat: whisper-server, sd-server and speech servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lane/child/sanity.h"
#include "lane/child/test_rig.h"

namespace trilane::lane {
namespace {

using namespace rig;

using ::testing::HasSubstr;

class OtherServersTest : public ChildRig {
protected:
    /// A program that answers --help as the real one does, and else is the fake.
    std::string install_with_help(const std::string& name, const std::string& kind,
                                  const std::string& script) {
        const std::string folder = install(kind, script);
        if (name != kind) {
            std::filesystem::remove(folder + "/" + name);
        }
        std::filesystem::rename(folder + "/" + kind, folder + "/" + kind + "-fake");
        folder_.write("bin" + std::to_string(folders_) + "/" + kind + "-fake.fake.json", script);
        folder_.write_program("bin" + std::to_string(folders_) + "/" + name,
                              "if [ \"$1\" = --help ]; then\n"
                              "  echo '  -ng,  --no-gpu    disable gpu'; exit 0\nfi\n"
                              "exec " +
                                  folder + "/" + kind + "-fake \"$@\"\n");
        return folder;
    }
    void expect_no_chat(Resident& resident) {
        const auto answer = ask(resident, "Hello");
        ASSERT_TRUE(answer->ended());
        ASSERT_TRUE(answer->error().has_value());
        EXPECT_EQ(answer->error()->fault, Fault::invalid);
        EXPECT_THAT(answer->message(), HasSubstr("is not made for chat"));
    }
};

TEST_F(OtherServersTest, WhisperHearsSilenceFirst) {
    const auto lane = open(settings("ears", "whisper-server"),
                           install_with_help("whisper-server", "whisper-server", "{}"));
    const auto loaded = lane->load(gguf("whisper", catalog::Purpose::transcribe));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_TRUE(has_line(*lane, "--no-gpu"));
    expect_no_chat(**loaded);
    (*loaded)->stop(0);
    EXPECT_TRUE(all_gone(*lane));
}

TEST_F(OtherServersTest, WhisperThatAnswersNonsenseIsNotReady) {
    const auto lane =
        open(settings("ears", "whisper-server"),
             install_with_help("whisper-server", "whisper-server", R"({"error_status": 500})"));
    const auto loaded = lane->load(gguf("whisper", catalog::Purpose::transcribe));
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().fault, Fault::corrupt);
    EXPECT_THAT(loaded.error().message, HasSubstr("a transcription of silence"));
    EXPECT_TRUE(all_gone(*lane));
}

TEST_F(OtherServersTest, SdServerIsReadyWhenItAnswers) {
    const auto lane = open(settings("paint", "sd-server"),
                           install_with_help("sd-server", "sd-server", R"({"load_ms": 100})"));
    const auto loaded = lane->load(gguf("flux", catalog::Purpose::image));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_TRUE(has_line(*lane, "--listen-ip 127.0.0.1 --listen-port"));
    expect_no_chat(**loaded);
    ::kill(processes(*lane).at(0), SIGKILL);
    ASSERT_TRUE(eventually([&] { return losses_->count() > 0; }));
}

TEST_F(OtherServersTest, SpeechServersSayAWordFirst) {
    const auto lane = open(settings("voice", "kokoro"), install("koko", "{}"));
    const auto loaded = lane->load(gguf("kokoro", catalog::Purpose::speak));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_TRUE(has_line(*lane, "openai --ip 127.0.0.1 --port"));
    expect_no_chat(**loaded);
}

TEST_F(OtherServersTest, AnySpeechServerByItsOwnCommandLine) {
    Settings own = settings("voice", "kokoro");
    const std::string folder = install("openai", "{}");
    own.program = folder + "/openai";
    own.args = {"serve", "{model}", "--host", "{host}", "--port", "{port}"};
    const auto lane = open(own, folder);
    const auto loaded = lane->load(gguf("kokoro", catalog::Purpose::speak));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_TRUE(has_line(*lane, "serve /models/kokoro.gguf --host 127.0.0.1 --port"));
}

TEST_F(OtherServersTest, NeedCountsFilesAndBuffers) {
    const auto lane = open(settings("voice", "kokoro"), install("koko", "{}"));
    catalog::Entry entry;
    entry.bytes = std::uint64_t{300} << 20U;
    const auto need = lane->need(entry, {});
    ASSERT_TRUE(need.has_value());
    EXPECT_GT(need->bytes(), entry.bytes);
}

TEST(SilentWav, IsHalfASecond) {
    const std::string wav = silent_wav();
    ASSERT_EQ(wav.size(), 44U + 16'000U);
    EXPECT_TRUE(wav.starts_with("RIFF"));
    EXPECT_EQ(wav.substr(8, 8), "WAVEfmt ");
    EXPECT_EQ(wav.substr(36, 4), "data");
    EXPECT_EQ(wav.find_first_not_of('\0', 44), std::string::npos);
}

}  // namespace
}  // namespace trilane::lane
