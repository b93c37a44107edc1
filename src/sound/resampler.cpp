#include "sound/resampler.h"

#include <soxr.h>

#include <algorithm>
#include <cmath>

#include "sound/sound.h"

namespace trilane::sound {
namespace {

constexpr std::size_t kSpareSamples = 64;
constexpr std::size_t kBlockSamples = 16'384;

/// What decode() makes of a sample of 16 bits becomes the same one again.
std::int16_t sample_of(float value) {
    constexpr float kScale = 32'768.0F;
    return static_cast<std::int16_t>(std::lround(std::clamp(value * kScale, -kScale, kScale - 1)));
}

void append(const float* from, std::size_t count, std::vector<std::int16_t>& into) {
    const std::size_t begin = into.size();
    into.resize(begin + count);
    std::transform(from, from + count, into.begin() + static_cast<std::ptrdiff_t>(begin),
                   sample_of);
}

}  // namespace

void Resampler::Closer::operator()(soxr* state) const {
    soxr_delete(state);
}

Result<Resampler> Resampler::open(std::uint32_t from, std::uint32_t to) {
    Resampler resampler;
    if (from == to) {
        return resampler;
    }
    resampler.ratio_ = static_cast<double>(to) / static_cast<double>(from);
    soxr_error_t error = nullptr;
    resampler.state_.reset(soxr_create(from, to, 1, &error, nullptr, nullptr, nullptr));
    if (resampler.state_ == nullptr) {
        return fail(Fault::internal, "sounds of {} Hz cannot be made into {} Hz ({})", from, to,
                    error == nullptr ? "no reason given" : error);
    }
    return resampler;
}

Status Resampler::run(const float* block, std::size_t count, std::vector<std::int16_t>& into) {
    std::size_t at = 0;
    for (;;) {
        const std::size_t left = count - at;
        out_.resize(static_cast<std::size_t>(static_cast<double>(left) * ratio_) + kSpareSamples);
        std::size_t read = 0;
        std::size_t made = 0;
        const soxr_error_t error =
            soxr_process(state_.get(), block == nullptr ? nullptr : block + at, left, &read,
                         out_.data(), out_.size(), &made);
        if (error != nullptr) {
            return fail(Fault::internal, "a sound cannot be resampled ({})", error);
        }
        append(out_.data(), made, into);
        at += read;
        if (block == nullptr ? made == 0 : at >= count || (read == 0 && made == 0)) {
            return {};
        }
    }
}

Status Resampler::push(const std::vector<float>& block, std::vector<std::int16_t>& into) {
    if (state_ == nullptr) {
        append(block.data(), block.size(), into);
        return {};
    }
    return run(block.data(), block.size(), into);
}

Status Resampler::finish(std::vector<std::int16_t>& into) {
    return state_ == nullptr ? Status() : run(nullptr, 0, into);
}

Result<Clip> resampled(const Clip& clip, std::uint32_t rate, const CancelToken& cancel) {
    if (clip.rate == rate) {
        return clip;
    }
    TRILANE_TRY(Resampler resampler, Resampler::open(clip.rate, rate));
    Clip out;
    out.rate = rate;
    std::vector<float> block;
    for (std::size_t at = 0; at < clip.samples.size(); at += kBlockSamples) {
        if (cancel.cancelled()) {
            return fail(Fault::cancelled, "the request was cancelled");
        }
        const std::size_t count = std::min(kBlockSamples, clip.samples.size() - at);
        block.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            block[i] = static_cast<float>(clip.samples[at + i]) / 32'768.0F;
        }
        TRILANE_TRY_STATUS(resampler.push(block, out.samples));
    }
    TRILANE_TRY_STATUS(resampler.finish(out.samples));
    return out;
}

}  // namespace trilane::sound
