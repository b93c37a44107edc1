// Random weights in the storage layouts of GGUF, written from the layouts and not with Trilane's
// own decoder, so that the oracle test has a second opinion on both. Seeded: the same everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "gguf/gguf.h"

namespace trilane::oracle {

/// SplitMix64: a few lines, and the same numbers with every standard library.
class Random {
public:
    explicit Random(std::string_view seed);
    std::uint64_t next();
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }
    /// [0, 1)
    double unit() { return static_cast<double>(next() >> 11U) * 0x1p-53; }
    double between(double low, double high) { return low + (high - low) * unit(); }
    /// Standard normal (sum of twelve uniforms: close enough, and exact arithmetic).
    double normal();

private:
    std::uint64_t state_ = 0;
};

/// How the scales of a ternary tensor are laid over its blocks.
enum class TernaryScales { one_per_tensor, one_per_block };

/// How a matrix is drawn.
struct Drawing {
    gguf::Type type = gguf::Type::f32;
    std::size_t rows = 0;
    std::size_t cols = 0;
    double deviation = 1.0;  ///< about the standard deviation of the weights; their mean is about 0
    TernaryScales scales = TernaryScales::one_per_tensor;
};

/// The stored bytes of random weights.
std::vector<std::byte> random_weights(const Drawing& drawing, Random& random);

}  // namespace trilane::oracle
