// Resampler: samples of one rate → of another, block by block, over soxr. Part of sound.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

struct soxr;

namespace trilane::sound {

class Resampler {
public:
    /// **Errors:** internal.
    static Result<Resampler> open(std::uint32_t from, std::uint32_t to);

    /// Appends what a block becomes.
    Status push(const std::vector<float>& block, std::vector<std::int16_t>& into);
    /// Appends what is still inside.
    Status finish(std::vector<std::int16_t>& into);

private:
    struct Closer {
        void operator()(soxr* state) const;
    };
    Status run(const float* block, std::size_t count, std::vector<std::int16_t>& into);

    std::unique_ptr<soxr, Closer> state_;  // null: the rates are the same
    double ratio_ = 1;
    std::vector<float> out_;
};

}  // namespace trilane::sound
