#include "dialect/openai/realtime_audio.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace trilane::dialect::openai {
namespace {

constexpr std::uint32_t kFrameMs = 20;
/// A click is no speech.
constexpr std::uint32_t kSpeechMsMin = 60;
constexpr std::uint64_t kMsPerSecond = 1000;
constexpr double kFullScale = 32768;

double loudness(std::span<const std::int16_t> frame) {
    double sum = 0;
    for (const std::int16_t sample : frame) {
        const double value = sample / kFullScale;
        sum += value * value;
    }
    return std::sqrt(sum / static_cast<double>(frame.size()));
}

}  // namespace

SpeechCutter::SpeechCutter(std::uint32_t rate, std::optional<VoiceSettings> voice)
    : rate_(std::clamp(rate, kRealtimeRateMin, kRealtimeRateMax)), voice_(voice) {}

std::size_t SpeechCutter::samples_of(std::uint32_t ms) const {
    return static_cast<std::size_t>(std::uint64_t{rate_} * ms / kMsPerSecond);
}

std::uint64_t SpeechCutter::ms_of(std::uint64_t samples) const {
    return samples * kMsPerSecond / rate_;
}

std::size_t SpeechCutter::frame_samples() const {
    return samples_of(kFrameMs);
}

void SpeechCutter::drop(std::size_t samples) {
    samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(samples));
    base_ += samples;
    heard_ -= std::min(heard_, samples);
}

bool SpeechCutter::push(std::span<const std::int16_t> samples, std::vector<SpeechBorder>& borders) {
    if (!voice_ && samples_.size() + samples.size() > kTurnSamplesMax) {
        return false;
    }
    samples_.insert(samples_.end(), samples.begin(), samples.end());
    if (voice_) {
        listen(borders);
    }
    return true;
}

void SpeechCutter::listen(std::vector<SpeechBorder>& borders) {
    const std::size_t frame = frame_samples();
    while (samples_.size() - heard_ >= frame) {
        const bool loud = loudness({samples_.data() + heard_, frame}) >= voice_->level;
        heard_ += frame;
        loud_run_ = loud ? loud_run_ + frame : 0;
        quiet_run_ = loud ? 0 : quiet_run_ + frame;
        if (!speaking_ && loud_run_ >= samples_of(kSpeechMsMin)) {
            const std::size_t wanted = loud_run_ + samples_of(voice_->padding_ms);
            drop(heard_ - std::min(heard_, wanted));
            speaking_ = true;
            borders.push_back({true, ms_of(base_), {}});
        } else if (speaking_ && (quiet_run_ >= samples_of(voice_->silence_ms) ||
                                 heard_ + frame > kTurnSamplesMax)) {
            const auto end = samples_.begin() + static_cast<std::ptrdiff_t>(heard_);
            SpeechBorder border{false, ms_of(base_ + heard_), {samples_.begin(), end}};
            drop(heard_);
            speaking_ = false;
            loud_run_ = 0;
            borders.push_back(std::move(border));
        }
    }
    if (!speaking_) {
        const std::size_t kept = loud_run_ + samples_of(voice_->padding_ms);
        drop(heard_ - std::min(heard_, kept));
    }
}

std::vector<std::int16_t> SpeechCutter::take() {
    base_ += samples_.size();
    heard_ = 0;
    loud_run_ = 0;
    quiet_run_ = 0;
    speaking_ = false;
    return std::exchange(samples_, {});
}

void SpeechCutter::change(std::uint32_t rate, std::optional<VoiceSettings> voice) {
    if (rate != rate_ && samples_.empty()) {
        base_ = ms_of(base_) * rate / kMsPerSecond;
        rate_ = std::clamp(rate, kRealtimeRateMin, kRealtimeRateMax);
    }
    if (!voice && voice_) {
        heard_ = 0;
        speaking_ = false;
        loud_run_ = 0;
        quiet_run_ = 0;
    }
    voice_ = voice;
}

}  // namespace trilane::dialect::openai
