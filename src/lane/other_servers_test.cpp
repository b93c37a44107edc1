// The lanes of servers that do not chat: whisper-server, sd-server and speech servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lane/child/sanity.h"
#include "lane/child/test_rig.h"
#include "sound/sound.h"

namespace trilane::lane {
namespace {

using namespace rig;

using ::testing::HasSubstr;

class OtherServersTest : public ChildRig {
protected:
    void expect_no_chat(Resident& resident) {
        const auto answer = ask(resident, "Hello");
        ASSERT_TRUE(answer->ended());
        ASSERT_TRUE(answer->error().has_value());
        EXPECT_EQ(answer->error()->fault, Fault::invalid);
        EXPECT_THAT(answer->message(), HasSubstr("is not made for chat"));
    }
};

TEST_F(OtherServersTest, WhisperHearsSilenceFirst) {
    const auto lane = open(settings("ears", "whisper-server"), install("whisper-server", "{}"));
    const auto loaded = lane->load(gguf("whisper", catalog::Purpose::transcribe));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_TRUE(has_line(*lane, "--no-gpu"));
    expect_no_chat(**loaded);
    (*loaded)->stop(0);
    EXPECT_TRUE(all_gone(*lane));
}

TEST_F(OtherServersTest, WhisperThatAnswersNonsenseIsNotReady) {
    const auto lane = open(settings("ears", "whisper-server"),
                           install("whisper-server", R"({"error_status": 500})"));
    const auto loaded = lane->load(gguf("whisper", catalog::Purpose::transcribe));
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().fault, Fault::unavailable);
    EXPECT_THAT(loaded.error().message, HasSubstr("a transcription of silence"));
    EXPECT_TRUE(all_gone(*lane));
}

TEST_F(OtherServersTest, SdServerIsReadyWhenItAnswers) {
    const auto lane =
        open(settings("paint", "sd-server"), install("sd-server", R"({"load_ms": 100})"));
    const auto loaded = lane->load(gguf("flux", catalog::Purpose::image));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_TRUE(has_line(*lane, "--listen-ip 127.0.0.1 --listen-port"));
    expect_no_chat(**loaded);
    ::kill(processes(*lane).at(0), SIGKILL);
    ASSERT_TRUE(eventually([&] { return losses_->count() > 0; }));
}

TEST_F(OtherServersTest, SdServerThatDrawsNothingIsNotReady) {
    const auto lane =
        open(settings("paint", "sd-server"), install("sd-server", R"({"error_status": 500})"));
    const auto loaded = lane->load(gguf("flux", catalog::Purpose::image));
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().fault, Fault::unavailable);
    EXPECT_THAT(loaded.error().message, HasSubstr("a drawing came back as HTTP 500"));
    EXPECT_TRUE(all_gone(*lane));
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

/// A second of a rising tone.
sound::Clip clip(std::uint32_t rate) {
    sound::Clip clip;
    clip.rate = rate;
    for (std::uint32_t i = 0; i < rate; ++i) {
        clip.samples.push_back(static_cast<std::int16_t>(8'000 * std::sin(i * (0.01 + i * 1e-6))));
    }
    return clip;
}

job::Request recording(std::string_view format, std::uint32_t rate) {
    job::Transcribe ask;
    ask.sound.kind = job::Media::Kind::audio;
    ask.sound.bytes = sound::encode(clip(rate), format).value();
    ask.file_name = "talk." + std::string(format);
    job::Request request;
    request.id = "test";
    request.ask = std::move(ask);
    return request;
}

TEST_F(OtherServersTest, WhisperHearsAnyFormatAsTheWavItWants) {
    const auto lane = open(settings("ears", "whisper-server"),
                           install("whisper-server", R"({"text": "Hello there."})"));
    const auto loaded = lane->load(gguf("whisper", catalog::Purpose::transcribe));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    for (const char* format : {"flac", "mp3", "opus", "wav"}) {
        const auto answer = ask(**loaded, recording(format, 24'000));
        ASSERT_TRUE(answer->ended());
        ASSERT_EQ(answer->message(), "") << format;
        EXPECT_EQ(answer->transcript().text, "Hello there.");
        EXPECT_EQ(answer->transcript().language, "english");
        EXPECT_EQ(answer->segments(), 1U);
    }
    const json::Value seen = fake_page(*lane, "/fake/requests");
    const auto body = seen.back()["body"].get<std::string>();
    EXPECT_THAT(body, HasSubstr("name=\"language\"\r\n\r\nauto"));
    EXPECT_THAT(body, HasSubstr("filename=\"sound.wav\""));
    EXPECT_THAT(body, HasSubstr("WAVEfmt "));
    job::Request text = recording("wav", 16'000);
    std::get<job::Transcribe>(text.ask).sound.bytes = "this is no sound";
    const auto refused = ask(**loaded, std::move(text));
    ASSERT_TRUE(refused->ended());
    EXPECT_EQ(refused->error()->fault, Fault::invalid);
    EXPECT_THAT(refused->message(), HasSubstr("send wav, flac, mp3 or ogg"));
    EXPECT_EQ((*loaded)->snapshot().failed_total, 1U);
    EXPECT_EQ((*loaded)->snapshot().requests_total, 5U);
}

TEST_F(OtherServersTest, WhisperThatHangsIsReplacedAndCanBeCancelled) {
    Settings own = settings("ears", "whisper-server");
    own.hang_timeout_s = 1;
    const auto lane = open(
        own, install("whisper-server", R"({"rules":[{"path":"/inference","from":2,"hang":true},)"
                                       R"({"path":"/health","from":2,"hang":true}]})"));
    const auto loaded = lane->load(gguf("whisper", catalog::Purpose::transcribe));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    const CancelToken cancel;
    const auto first = ask(**loaded, recording("wav", 16'000), cancel);
    cancel.cancel();
    (*loaded)->notice_cancel();
    ASSERT_TRUE(first->ended());
    EXPECT_EQ(first->error()->fault, Fault::cancelled);
    const auto second = ask(**loaded, recording("wav", 16'000));
    ASSERT_TRUE(second->ended());
    EXPECT_THAT(second->message(), HasSubstr("no sign of life"));
    ASSERT_TRUE(eventually([&] { return losses_->count() > 0; }));
    EXPECT_TRUE(eventually([&] { return all_gone(*lane); }));
}

TEST_F(OtherServersTest, SoundsThatWaitAreRefusedWhenTheModelGoes) {
    const auto lane = open(
        settings("ears", "whisper-server"),
        install("whisper-server", R"({"rules":[{"path":"/inference","from":2,"hang":true}]})"));
    const auto loaded = lane->load(gguf("whisper", catalog::Purpose::transcribe));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    std::vector<std::shared_ptr<Answer>> answers;
    for (int i = 0; i < 20; ++i) {
        answers.push_back(ask(**loaded, recording("flac", 48'000)));
    }
    (*loaded)->stop(0);
    for (const auto& answer : answers) {
        ASSERT_TRUE(answer->ended());
        EXPECT_EQ(answer->ends(), 1);
        EXPECT_EQ(answer->error()->fault, Fault::unavailable) << answer->message();
    }
    EXPECT_TRUE(all_gone(*lane));
}

TEST_F(OtherServersTest, SdServerDrawsAndChangesPictures) {
    const auto lane = open(settings("paint", "sd-server"), install("sd-server", "{}"));
    const auto loaded = lane->load(gguf("flux", catalog::Purpose::image));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    job::Draw draw;
    draw.prompt = "a cat";
    draw.count = 2;
    job::Request request;
    request.ask = draw;
    const auto drawn = ask(**loaded, request);
    ASSERT_TRUE(drawn->ended());
    ASSERT_EQ(drawn->message(), "");
    ASSERT_EQ(drawn->pictures().size(), 2U);
    EXPECT_EQ(drawn->pictures()[1].type, "image/png");
    EXPECT_TRUE(drawn->pictures()[1].bytes.starts_with("\x89PNG"));
    draw.count = 1;
    draw.images = {{job::Media::Kind::image, "image/jpeg", "\xFF\xD8\xFFmine", "", 0}};
    request.ask = draw;
    const auto changed = ask(**loaded, request);
    ASSERT_TRUE(changed->ended());
    ASSERT_EQ(changed->message(), "");
    EXPECT_EQ(changed->pictures().at(0).bytes, "\xFF\xD8\xFFmine");
    EXPECT_EQ(changed->pictures().at(0).type, "image/jpeg");
}

TEST_F(OtherServersTest, SpeechComesInEveryFormat) {
    const auto lane = open(settings("voice", "kokoro"), install("koko", "{}"));
    const auto loaded = lane->load(gguf("kokoro", catalog::Purpose::speak));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    const std::pair<const char*, const char*> rows[] = {{"wav", "audio/wav"},
                                                        {"flac", "audio/flac"},
                                                        {"mp3", "audio/mpeg"},
                                                        {"opus", "audio/ogg"},
                                                        {"", "audio/mpeg"}};
    for (const auto& [format, type] : rows) {
        job::Speak ask_for;
        ask_for.text = std::string(60, 'a');
        ask_for.voice = "alloy";
        ask_for.format = format;
        job::Request request;
        request.ask = ask_for;
        const auto answer = ask(**loaded, request);
        ASSERT_TRUE(answer->ended());
        ASSERT_EQ(answer->message(), "") << format;
        EXPECT_EQ(answer->sound_type(), type);
        const auto heard = sound::decode(answer->sound(), 0);
        ASSERT_TRUE(heard) << heard.error().message;
        EXPECT_NEAR(heard->seconds(), 0.6, 0.1) << format;
    }
    const json::Value seen = fake_page(*lane, "/fake/requests");
    const json::Value asked = *json::parse(seen.back()["body"].get<std::string>());
    EXPECT_EQ(asked["voice"], "af_heart");
    EXPECT_EQ(asked["response_format"], "wav");
    job::Request request;
    request.ask = job::Speak{"a", "", "midi", 1.0F, ""};
    const auto refused = ask(**loaded, request);
    ASSERT_TRUE(refused->ended());
    EXPECT_THAT(refused->message(), HasSubstr("use mp3, opus, flac, wav or pcm"));
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
