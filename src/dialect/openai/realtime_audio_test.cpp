// Turns of made-up recordings: tones are speech, what is quiet is none.
#include "dialect/openai/realtime_audio.h"

#include <gtest/gtest.h>

#include <cmath>

namespace trilane::dialect::openai {
namespace {

constexpr std::uint32_t kRate = 16'000;
constexpr VoiceSettings kVoice{0.01, 400, 100};

std::vector<std::int16_t> tone(std::uint32_t ms, double level = 0.1) {
    std::vector<std::int16_t> samples(std::size_t{kRate} * ms / 1000);
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const double wave = std::sin(static_cast<double>(i) * 0.3) * std::sqrt(2.0);
        samples[i] = static_cast<std::int16_t>(wave * level * 32767);
    }
    return samples;
}

/// Pushes in pieces of `step` samples; the borders of it all.
std::vector<SpeechBorder> pushed(SpeechCutter& cutter, const std::vector<std::int16_t>& samples,
                                 std::size_t step) {
    std::vector<SpeechBorder> borders;
    for (std::size_t at = 0; at < samples.size(); at += step) {
        const std::size_t count = std::min(step, samples.size() - at);
        EXPECT_TRUE(cutter.push({samples.data() + at, count}, borders));
    }
    return borders;
}

std::vector<std::int16_t> joined(std::initializer_list<std::vector<std::int16_t>> parts) {
    std::vector<std::int16_t> all;
    for (const auto& part : parts) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

TEST(SpeechCutter, FindsTurnsHoweverTheyArrive) {
    const auto recording = joined({tone(500, 0.001), tone(600), tone(500, 0.001), tone(2000, 0.001),
                                   tone(300), tone(400, 0)});
    for (const std::size_t step : {1U, 77U, 320U, 1365U, 1'000'000U}) {
        SpeechCutter cutter(kRate, kVoice);
        const auto borders = pushed(cutter, recording, step);
        ASSERT_EQ(borders.size(), 4U) << step;
        EXPECT_TRUE(borders[0].started);
        EXPECT_EQ(borders[0].at_ms, 400U);  // with its padding
        EXPECT_FALSE(borders[1].started);
        EXPECT_EQ(borders[1].at_ms, 1500U);  // with the silence that told
        EXPECT_EQ(borders[1].turn.size(), kRate * 1100U / 1000U);
        EXPECT_EQ(borders[2].at_ms, 3500U);
        EXPECT_EQ(borders[3].at_ms, 4300U);
        EXPECT_FALSE(cutter.speaking());
    }
}

TEST(SpeechCutter, KeepsTheTurnsSamplesAsTheyWere) {
    const auto recording = joined({tone(100, 0), tone(200, 0.5), tone(400, 0)});
    SpeechCutter cutter(kRate, kVoice);
    const auto borders = pushed(cutter, recording, 100);
    ASSERT_EQ(borders.size(), 2U);
    EXPECT_TRUE(borders[1].turn == recording);
}

TEST(SpeechCutter, TakesNoClickForSpeech) {
    SpeechCutter cutter(kRate, kVoice);
    EXPECT_TRUE(pushed(cutter, joined({tone(200, 0), tone(40, 0.9), tone(200, 0)}), 160).empty());
}

TEST(SpeechCutter, ForgetsSilence) {
    SpeechCutter cutter(kRate, kVoice);
    for (int minute = 0; minute < 10; ++minute) {
        EXPECT_TRUE(pushed(cutter, tone(60'000, 0.001), 4096).empty());
        EXPECT_LE(cutter.samples(), kRate * 120U / 1000U);
    }
    EXPECT_EQ(cutter.end_ms(), 600'000U);
}

TEST(SpeechCutter, CutsEndlessSpeech) {
    SpeechCutter cutter(kRate, kVoice);
    std::size_t turns = 0;
    const auto second = tone(1000);
    for (std::size_t s = 0; s < 3 * kTurnSamplesMax / kRate; ++s) {
        for (const SpeechBorder& border : pushed(cutter, second, second.size())) {
            turns += border.started ? 0U : 1U;
            EXPECT_LE(border.turn.size(), kTurnSamplesMax);
        }
        EXPECT_LE(cutter.samples(), kTurnSamplesMax);
    }
    EXPECT_EQ(turns, 2U);
}

TEST(SpeechCutter, LeavesTheCuttingToItsOwner) {
    SpeechCutter cutter(kRate, std::nullopt);
    EXPECT_TRUE(pushed(cutter, joined({tone(300), tone(2000, 0), tone(300)}), 999).empty());
    EXPECT_EQ(cutter.take().size(), kRate * 2600U / 1000U);
    EXPECT_TRUE(cutter.take().empty());
    std::vector<SpeechBorder> borders;
    const std::vector<std::int16_t> all(kTurnSamplesMax);
    EXPECT_TRUE(cutter.push(all, borders));
    EXPECT_FALSE(cutter.push(std::vector<std::int16_t>(1), borders));
    cutter.clear();
    EXPECT_TRUE(cutter.push(std::vector<std::int16_t>(1), borders));
}

TEST(SpeechCutter, ChangesBetweenTurns) {
    SpeechCutter cutter(kRate, kVoice);
    pushed(cutter, tone(300), 100);
    EXPECT_TRUE(cutter.speaking());
    cutter.change(24'000, kVoice);
    EXPECT_EQ(cutter.rate(), kRate);  // there is sound at the old one
    cutter.change(kRate, std::nullopt);
    EXPECT_FALSE(cutter.speaking());
    EXPECT_EQ(cutter.take().size(), kRate * 300U / 1000U);
    cutter.change(24'000, kVoice);
    EXPECT_EQ(cutter.rate(), 24'000U);
    EXPECT_EQ(cutter.end_ms(), 300U);
}

}  // namespace
}  // namespace trilane::dialect::openai
