// Reference of the kernels that walk one vector: rounding to int8, norms, gates, F16 conversion.
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/block_formats.h"
#include "kernels/generic/generic.h"
#include "kernels/generic/half.h"

namespace trilane::kernels::generic {
namespace {

/// Round half to even for |value| < 2^22, without a library call: the addition drops the fraction.
/// A NaN gives some value.
std::int8_t rounded(float value) {
    constexpr float kMagic = 0x1.8p23F;
    return static_cast<std::int8_t>(std::bit_cast<std::uint32_t>(value + kMagic) & 0xFFU);
}

float clamped(float value, float low, float high) {
    return std::min(std::max(value, low), high);
}

float max_magnitude(const float* x, std::size_t k) {
    float max = 0.0F;
    for (std::size_t i = 0; i < k; ++i) {
        max = std::max(max, std::fabs(x[i]));
    }
    return max;
}

}  // namespace

void quantize_token(const float* x, std::size_t k, std::int8_t* q, float* scale,
                    std::int32_t* sum) {
    const float max = std::max(max_magnitude(x, k), 1e-5F);
    const float s = 127.0F / max;
    std::int32_t total = 0;
    for (std::size_t i = 0; i < k; ++i) {
        q[i] = rounded(clamped(x[i] * s, -128.0F, 127.0F));
        total += q[i];
    }
    *scale = max / 127.0F;
    *sum = total;
}

void quantize_blocks(const float* x, std::size_t k, std::int8_t* q, float* scales,
                     std::int32_t* sums) {
    for (std::size_t g = 0; g < k / kGroup; ++g, x += kGroup, q += kGroup) {
        const float d = max_magnitude(x, kGroup) / 127.0F;
        std::int32_t total = 0;
        for (std::size_t i = 0; i < kGroup; ++i) {
            q[i] = d > 0.0F ? rounded(clamped(x[i] / d, -127.0F, 127.0F)) : std::int8_t{0};
            total += q[i];
        }
        scales[g] = d;
        sums[g] = total;
    }
}

void rms_norm(const float* x, const float* w, float eps, std::size_t n, float* out) {
    double squares = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    const float mean = static_cast<float>(squares / static_cast<double>(n));
    const float factor = 1.0F / std::sqrt(mean + eps);
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = x[i] * factor * w[i];
    }
}

void silu_mul(const float* gate, const float* up, std::size_t n, float* out) {
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
    }
}

void relu2_mul(const float* gate, const float* up, std::size_t n, float* out) {
    for (std::size_t i = 0; i < n; ++i) {
        const float positive = std::max(gate[i], 0.0F);
        out[i] = positive * positive * up[i];
    }
}

void add(const float* x, std::size_t n, float* y) {
    for (std::size_t i = 0; i < n; ++i) {
        y[i] += x[i];
    }
}

void to_f16(const float* x, std::size_t n, std::uint16_t* out) {
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = half_from_float(x[i]);
    }
}

void from_f16(const std::uint16_t* x, std::size_t n, float* out) {
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = float_from_half(x[i]);
    }
}

}  // namespace trilane::kernels::generic
