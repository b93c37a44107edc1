// The espeak lane over a script in place of the program, and over the real one where it is
// installed.
#include "lane/espeak/espeak.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lane/child/test_rig.h"
#include "sound/sound.h"

namespace trilane::lane {
namespace {

using namespace rig;
using ::testing::HasSubstr;

job::Request speech(std::string text, std::string format = "wav", std::string voice = "") {
    job::Request request;
    request.id = "test";
    request.ask = job::Speak{std::move(text), std::move(voice), std::move(format), 1.0F, ""};
    return request;
}

class EspeakTest : public ChildRig {
protected:
    /// A program that notes its arguments and text, and "says" a second of noise.
    std::string install_script() {
        sound::Clip clip;
        clip.rate = 22'050;
        for (std::uint32_t i = 0; i < clip.rate; ++i) {
            clip.samples.push_back(static_cast<std::int16_t>(i * 7919 % 20'000));
        }
        folder_.write("voice.wav", sound::wav_of(clip));
        const std::string at = folder_.path();
        folder_.write_program(
            "bin/espeak-ng",
            "echo \"$@\" >> " + at +
                "/called\n"
                "while [ $# -gt 0 ]; do case \"$1\" in\n"
                "  -w) out=$2; shift;; -f) text=$2; shift;; -v) voice=$2; shift;;\n"
                "esac; shift; done\n"
                "if [ \"$voice\" = xx ]; then\n"
                "  echo 'Error: The specified espeak-ng voice does not exist.' >&2\n"
                "  exit 1; fi\n"
                "case $(cat $text) in hang) exec sleep 600;; crash) exit 7;; esac\n"
                "cp " +
                at + "/voice.wav $out\n");
        return at + "/bin";
    }
    std::shared_ptr<Resident> load(Lane& lane) {
        LoadRequest request;
        request.entry = lane.offers().at(0);
        EXPECT_TRUE(lane.can_serve(request.entry));
        auto loaded = lane.load(std::move(request));
        EXPECT_TRUE(loaded) << loaded.error().message;
        return loaded ? *loaded : nullptr;
    }
    std::string called() { return folder_.read("called"); }
};

TEST_F(EspeakTest, SpeaksInEveryFormat) {
    const auto lane = open(settings("voice", "espeak"), install_script());
    EXPECT_FALSE(lane->can_serve(gguf("kokoro", catalog::Purpose::speak).entry));
    const auto resident = load(*lane);
    EXPECT_TRUE(resident->card().abilities.speak);
    EXPECT_EQ(resident->card().id, "espeak-ng");
    for (const char* format : {"wav", "mp3", "flac", "opus"}) {
        const auto answer = ask(*resident, speech("Hello.", format, "nova"));
        ASSERT_TRUE(answer->ended());
        ASSERT_EQ(answer->message(), "") << format;
        EXPECT_EQ(answer->sound_type(), sound::media_type(format));
        EXPECT_NEAR(sound::decode(answer->sound(), 0)->seconds(), 1, 0.15) << format;
    }
    const auto pcm = ask(*resident, speech("Hello.", "pcm"));
    ASSERT_TRUE(pcm->ended());
    EXPECT_NEAR(static_cast<double>(pcm->sound().size()), 48'000, 200);
    EXPECT_THAT(called(), HasSubstr("-v en-us+f3 -s 175"));
    EXPECT_EQ(resident->snapshot().requests_total, 5U);
    const auto chat = ask(*resident, "Hello");
    ASSERT_TRUE(chat->ended());
    EXPECT_THAT(chat->message(), HasSubstr("not made for chat"));
}

TEST_F(EspeakTest, ItsFaultsAreToldInWords) {
    const auto lane = open(settings("voice", "espeak"), install_script());
    const auto resident = load(*lane);
    const auto error_of = [&](const job::Request& request) {
        const auto answer = ask(*resident, request);
        EXPECT_TRUE(answer->ended());
        return answer->error().value_or(Error{});
    };
    EXPECT_THAT(error_of(speech("a", "wav", "xx")).message, HasSubstr("has none called 'xx'"));
    EXPECT_EQ(error_of(speech("a", "wav", "-w /etc/passwd")).fault, Fault::invalid);
    EXPECT_EQ(error_of(speech("a", "midi")).fault, Fault::invalid);
    EXPECT_EQ(error_of(speech("crash")).fault, Fault::unavailable);
    EXPECT_EQ(error_of(speech(std::string(kEspeakTextBytesMax + 1, 'a'))).fault, Fault::invalid);
}

TEST_F(EspeakTest, ATextThatHangsIsCancelledAndGoesWithTheModel) {
    const auto lane = open(settings("voice", "espeak"), install_script());
    const auto resident = load(*lane);
    const CancelToken cancel;
    const auto first = ask(*resident, speech("hang"), cancel);
    cancel.cancel();
    resident->notice_cancel();
    ASSERT_TRUE(first->ended());
    EXPECT_EQ(first->error()->fault, Fault::cancelled);
    EXPECT_EQ(resident->snapshot().cancelled_total, 1U);
    std::vector<std::shared_ptr<Answer>> answers;
    for (int i = 0; i < 6; ++i) {
        answers.push_back(ask(*resident, speech("hang")));
    }
    const auto begin = std::chrono::steady_clock::now();
    resident->stop(0);
    EXPECT_LT(ms_since(begin), 30'000);
    for (const auto& answer : answers) {
        ASSERT_TRUE(answer->ended());
        EXPECT_EQ(answer->error()->fault, Fault::unavailable) << answer->message();
    }
}

TEST_F(EspeakTest, TheRealOneSpeaksLongerWhenItSpeaksSlower) {
    if (::access("/usr/bin/espeak-ng", X_OK) != 0) {
        GTEST_SKIP() << "espeak-ng is not installed";
    }
    const auto lane = open(settings("voice", "espeak"), "/usr/bin");
    const auto resident = load(*lane);
    double seconds[2] = {};
    for (const int slow : {0, 1}) {
        job::Request request =
            speech("-- Trilane speaks, at whatever speed it is asked to.", "mp3");
        std::get<job::Speak>(request.ask).speed = slow == 1 ? 0.5F : 2.0F;
        const auto answer = ask(*resident, request);
        ASSERT_TRUE(answer->ended());
        ASSERT_EQ(answer->message(), "");
        const auto clip = sound::decode(answer->sound(), sound::kHearingRate);
        ASSERT_TRUE(clip) << clip.error().message;
        seconds[slow] = clip->seconds();
    }
    EXPECT_GT(seconds[0], 0.5);
    EXPECT_GT(seconds[1], 2 * seconds[0]);
    const auto unknown = ask(*resident, speech("a", "wav", "zz-nowhere"));
    ASSERT_TRUE(unknown->ended());
    EXPECT_EQ(unknown->error()->fault, Fault::invalid) << unknown->message();
}

TEST(Espeak, VoicesAndSpeeds) {
    EXPECT_EQ(*espeak_voice(""), "en-us");
    EXPECT_EQ(*espeak_voice("alloy"), "en-us");
    EXPECT_EQ(*espeak_voice("bf_emma"), "en-gb+f3");
    EXPECT_EQ(*espeak_voice("zm_yunxi"), "cmn+m3");
    EXPECT_EQ(*espeak_voice("de+f2"), "de+f2");
    for (const char* bad : {"-x", "a b", "../x", "a;b"}) {
        EXPECT_FALSE(espeak_voice(bad)) << bad;
    }
    EXPECT_EQ(espeak_words_per_minute(1), 175U);
    EXPECT_EQ(espeak_words_per_minute(0.25F), 80U);
    EXPECT_EQ(espeak_words_per_minute(4), 450U);
}

}  // namespace
}  // namespace trilane::lane
