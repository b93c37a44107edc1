// SpeechCutter: the samples of a live recording, cut into turns: where its client says so, or where
// somebody has stopped speaking, which it tells by loudness alone. Pure; no JSON, no base64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace trilane::dialect::openai {

/// Of a turn: about three minutes at 24,000 samples per second.
inline constexpr std::size_t kTurnSamplesMax = 4U << 20U;
inline constexpr std::uint32_t kRealtimeRateMin = 8'000;
inline constexpr std::uint32_t kRealtimeRateMax = 48'000;
/// A shorter turn is refused: nobody says anything in it.
inline constexpr std::uint32_t kTurnMsMin = 100;

struct VoiceSettings {
    double level = 0.01;  ///< as loud as this (RMS of full scale) is speech
    std::uint32_t silence_ms = 500;
    std::uint32_t padding_ms = 300;  ///< what a turn has of before its first word

    bool operator==(const VoiceSettings&) const = default;
};

/// Speech began, or ended: then with all of it.
struct SpeechBorder {
    bool started = false;
    std::uint64_t at_ms = 0;  ///< of all that was ever pushed
    std::vector<std::int16_t> turn;
};

class SpeechCutter {
public:
    /// Without `voice`, turns are cut by take() alone.
    explicit SpeechCutter(std::uint32_t rate, std::optional<VoiceSettings> voice);

    /// Adds samples; what they begin and end, in order. False (and nothing is added) when a turn
    /// that nobody cuts would become longer than kTurnSamplesMax.
    [[nodiscard]] bool push(std::span<const std::int16_t> samples,
                            std::vector<SpeechBorder>& borders);
    /// Takes what has been collected, whether somebody speaks or not.
    std::vector<std::int16_t> take();
    void clear() { take(); }

    /// Goes on with what is there. The rate can change while nothing is.
    void change(std::uint32_t rate, std::optional<VoiceSettings> voice);

    [[nodiscard]] bool speaking() const { return speaking_; }
    [[nodiscard]] std::size_t samples() const { return samples_.size(); }
    [[nodiscard]] std::uint32_t rate() const { return rate_; }
    [[nodiscard]] const std::optional<VoiceSettings>& voice() const { return voice_; }
    [[nodiscard]] std::uint64_t end_ms() const { return ms_of(base_ + samples_.size()); }

private:
    void listen(std::vector<SpeechBorder>& borders);
    [[nodiscard]] std::size_t frame_samples() const;
    [[nodiscard]] std::size_t samples_of(std::uint32_t ms) const;
    [[nodiscard]] std::uint64_t ms_of(std::uint64_t samples) const;
    void drop(std::size_t samples);

    std::uint32_t rate_;
    std::optional<VoiceSettings> voice_;
    std::vector<std::int16_t> samples_;
    std::uint64_t base_ = 0;     // how many were before samples_
    std::size_t heard_ = 0;      // of samples_, how many have been listened to
    std::size_t loud_run_ = 0;   // samples in a row that are speech
    std::size_t quiet_run_ = 0;  // … that are none
    bool speaking_ = false;
};

}  // namespace trilane::dialect::openai
