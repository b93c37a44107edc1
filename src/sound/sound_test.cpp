#include "sound/sound.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace trilane::sound {
namespace {

using testing::HasSubstr;

constexpr double kPi = 3.14159265358979;

/// A sine of that frequency, at half of full scale.
Clip tone(double hertz, std::uint32_t rate, double seconds) {
    Clip clip;
    clip.rate = rate;
    const auto count = static_cast<std::size_t>(seconds * rate);
    for (std::size_t i = 0; i < count; ++i) {
        const double phase = 2 * kPi * hertz * static_cast<double>(i) / rate;
        clip.samples.push_back(static_cast<std::int16_t>(std::lround(16'384 * std::sin(phase))));
    }
    return clip;
}

/// How strong a frequency is in a clip: 1 = a sine at half of full scale.
double strength(const Clip& clip, double hertz) {
    double re = 0;
    double im = 0;
    for (std::size_t i = 0; i < clip.samples.size(); ++i) {
        const double phase = 2 * kPi * hertz * static_cast<double>(i) / clip.rate;
        re += clip.samples[i] * std::cos(phase);
        im += clip.samples[i] * std::sin(phase);
    }
    return 2 * std::hypot(re, im) / 16'384 / static_cast<double>(clip.samples.size());
}

TEST(SoundTest, EveryFormatComesBackAsTheToneItWas) {
    const Clip clip = tone(440, 22'050, 1);
    for (const std::string_view format : {"wav", "flac", "mp3", "opus"}) {
        const auto file = encode(clip, format);
        ASSERT_TRUE(file) << format << ": " << file.error().message;
        EXPECT_EQ(container_of(*file), Container::readable) << format;
        const auto heard = decode(*file, kHearingRate);
        ASSERT_TRUE(heard) << format << ": " << heard.error().message;
        EXPECT_EQ(heard->rate, kHearingRate);
        EXPECT_NEAR(heard->seconds(), 1, 0.15) << format;
        EXPECT_GT(strength(*heard, 440), 0.8) << format;
        EXPECT_LT(strength(*heard, 1000), 0.05) << format;
    }
    EXPECT_LT(encode(clip, "mp3")->size(), wav_of(clip).size() / 3);
}

TEST(SoundTest, PcmIsBareSamplesOfItsRate) {
    const auto bytes = encode(tone(440, 22'050, 1), "pcm");
    ASSERT_TRUE(bytes);
    EXPECT_NEAR(static_cast<double>(bytes->size()), 2.0 * kPcmRate, 64);
    EXPECT_EQ(media_type("pcm"), "audio/pcm");
    EXPECT_EQ(media_type("mp3"), "audio/mpeg");
    EXPECT_EQ(media_type("doc"), "");
}

TEST(SoundTest, ResamplingKeepsTonesAndLength) {
    for (const std::uint32_t rate : {8'000U, 44'100U, 48'000U}) {
        const auto out = resampled(tone(700, rate, 2), kHearingRate);
        ASSERT_TRUE(out);
        EXPECT_NEAR(out->seconds(), 2, 0.01);
        EXPECT_NEAR(strength(*out, 700), 1, 0.05);
    }
    const auto same = resampled(tone(700, 16'000, 1), 16'000);
    EXPECT_EQ(same->samples, tone(700, 16'000, 1).samples);
}

TEST(SoundTest, WavOfHoldsTheSamplesAsTheyAre) {
    const Clip clip = tone(100, 16'000, 0.1);
    const std::string wav = wav_of(clip);
    EXPECT_EQ(wav.size(), 44 + clip.samples.size() * 2);
    const auto back = decode(wav, 0);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->rate, 16'000U);
    EXPECT_EQ(back->samples, clip.samples);
}

/// A WAV header by hand, for what wav_of() does not write.
std::string wav_header(std::uint32_t rate, std::uint16_t channels, std::uint32_t data_bytes) {
    std::string wav = wav_of({rate, {}});
    wav[22] = static_cast<char>(channels);
    wav[32] = static_cast<char>(channels * 2);
    const std::uint32_t per_second = rate * channels * 2;
    for (unsigned i = 0; i < 4; ++i) {
        wav[28 + i] = static_cast<char>(per_second >> (8 * i));
        wav[40 + i] = static_cast<char>(data_bytes >> (8 * i));
        wav[4 + i] = static_cast<char>((data_bytes + 36) >> (8 * i));
    }
    return wav;
}

TEST(SoundTest, ChannelsAreMixed) {
    std::string wav = wav_header(16'000, 2, 4'000);
    for (int i = 0; i < 1'000; ++i) {
        wav += std::string("\x00\x40\x00\xC0", 4);  // +½ and −½
    }
    const auto clip = decode(wav, 0);
    ASSERT_TRUE(clip) << clip.error().message;
    ASSERT_EQ(clip->samples.size(), 1'000U);
    EXPECT_EQ(*std::max_element(clip->samples.begin(), clip->samples.end()), 0);
}

TEST(SoundTest, WhatIsNoSoundIsRefusedInWords) {
    const std::pair<std::string, const char*> rows[] = {
        {"", "it is empty"},
        {"hello, this is text", "no recording that can be read"},
        {std::string("\0\0\0\x20"
                     "ftypM4A ",
                     12),
         "MP4 or M4A cannot be read here without ffmpeg"},
        {"\x1A\x45\xDF\xA3webm", "WebM cannot be read here without ffmpeg"},
        {"\xFF\xF1\x50\x80", "AAC cannot be read here without ffmpeg"},
        {wav_header(16'000, 1, 0), "no samples"},
        {wav_of(tone(10, 16'000, 0.1)).substr(0, 30), "no recording"},
    };
    for (const auto& [bytes, words] : rows) {
        const auto clip = decode(bytes, kHearingRate);
        ASSERT_FALSE(clip) << words;
        EXPECT_EQ(clip.error().fault, Fault::invalid) << words;
        EXPECT_THAT(clip.error().message, HasSubstr(words));
    }
    EXPECT_THAT(encode(tone(10, 16'000, 0.1), "aac").error().message,
                HasSubstr("use mp3, opus, flac, wav or pcm"));
}

TEST(SoundTest, OnesThatAreTooLongAreNotReadToTheirEnd) {
    // Silence at the lowest rate: small as FLAC, hours as samples.
    Clip silence;
    silence.rate = kRateMin;
    silence.samples.resize(static_cast<std::size_t>((kSecondsMax + 60) * kRateMin));
    const auto file = encode(silence, "flac");
    ASSERT_TRUE(file) << file.error().message;
    const auto clip = decode(*file, 0);
    ASSERT_FALSE(clip);
    EXPECT_THAT(clip.error().message, HasSubstr("longer than 120 minutes"));
}

TEST(SoundTest, CancelledWorkEnds) {
    const CancelToken cancel;
    cancel.cancel();
    const Clip clip = tone(440, 22'050, 1);
    EXPECT_EQ(decode(wav_of(clip), kHearingRate, cancel).error().fault, Fault::cancelled);
    EXPECT_EQ(encode(clip, "flac", cancel).error().fault, Fault::cancelled);
    EXPECT_EQ(resampled(clip, 8'000, cancel).error().fault, Fault::cancelled);
}

}  // namespace
}  // namespace trilane::sound
