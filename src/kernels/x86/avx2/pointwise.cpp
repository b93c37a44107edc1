// The kernels that walk one vector, with AVX2. They live in the first-level cache, so every x86
// table uses these. The int8 roundings equal the generic ones bit for bit.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/block_formats.h"
#include "kernels/unroll.h"
#include "kernels/x86/x86.h"

namespace trilane::kernels::x86 {
namespace {

#include "kernels/x86/float_256.h"

inline __m256 magnitude(__m256 x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), x);
}

float max_magnitude(const float* x, std::size_t k) {
    __m256 max = _mm256_setzero_ps();
    std::size_t i = 0;
    for (; i + 8 <= k; i += 8) {
        max = _mm256_max_ps(magnitude(load8(x + i)), max);  // a NaN leaves max as it is
    }
    if (i < k) {
        max = _mm256_max_ps(magnitude(load_tail(x + i, k - i)), max);
    }
    return lane_max(max);
}

/// Eight values, clamped to [low, 127] and rounded half to even.
inline __m256i rounded(__m256 x, float low) {
    const __m256 clamped =
        _mm256_min_ps(_mm256_set1_ps(127.0F), _mm256_max_ps(_mm256_set1_ps(low), x));
    return _mm256_cvtps_epi32(clamped);
}

/// 32 integers in order → 32 bytes, each of which fits.
inline __m256i narrowed(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

inline std::int32_t lane_sum(__m256i v) {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

/// 32 values: q = rounded(x ∘ factor); returns the lane sums of q. `scaled` applies the factor.
template <class Scaled>
__m256i quantize_32(const float* x, std::int8_t* q, float low, Scaled scaled) {
    const __m256i a = rounded(scaled(load8(x)), low);
    const __m256i b = rounded(scaled(load8(x + 8)), low);
    const __m256i c = rounded(scaled(load8(x + 16)), low);
    const __m256i d = rounded(scaled(load8(x + 24)), low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), narrowed(a, b, c, d));
    return _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d));
}

}  // namespace

void quantize_token_avx2(const float* x, std::size_t k, std::int8_t* q, float* scale,
                         std::int32_t* sum) {
    const float found = max_magnitude(x, k);
    const float max = found > 1e-5F ? found : 1e-5F;
    const __m256 s = _mm256_set1_ps(127.0F / max);
    const auto scaled = [s](__m256 v) { return _mm256_mul_ps(v, s); };
    __m256i total = _mm256_setzero_si256();
    std::size_t i = 0;
    for (; i + 32 <= k; i += 32) {
        total = _mm256_add_epi32(total, quantize_32(x + i, q + i, -128.0F, scaled));
    }
    if (i < k) {
        float padded[32] = {};
        std::int8_t bytes[32];
        std::memcpy(padded, x + i, (k - i) * sizeof(float));
        total = _mm256_add_epi32(total, quantize_32(padded, bytes, -128.0F, scaled));
        std::memcpy(q + i, bytes, k - i);
    }
    *scale = max / 127.0F;
    *sum = lane_sum(total);
}

void quantize_blocks_avx2(const float* x, std::size_t k, std::int8_t* q, float* scales,
                          std::int32_t* sums) {
    for (std::size_t g = 0; g < k / kGroup; ++g, x += kGroup, q += kGroup) {
        const float d = max_magnitude(x, kGroup) / 127.0F;
        scales[g] = d;
        if (d > 0.0F) {
            const __m256 divisor = _mm256_set1_ps(d);
            const auto scaled = [divisor](__m256 v) { return _mm256_div_ps(v, divisor); };
            sums[g] = lane_sum(quantize_32(x, q, -127.0F, scaled));
        } else {
            sums[g] = 0;
            std::memset(q, 0, kGroup);
        }
    }
}

void rms_norm_avx2(const float* x, const float* w, float eps, std::size_t n, float* out) {
    __m256 lanes[4] = {};
    std::size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        TRILANE_UNROLL
        for (std::size_t j = 0; j < 4; ++j) {
            const __m256 v = load8(x + i + 8 * j);
            lanes[j] = _mm256_fmadd_ps(v, v, lanes[j]);
        }
    }
    float squares = lane_sum(
        _mm256_add_ps(_mm256_add_ps(lanes[0], lanes[1]), _mm256_add_ps(lanes[2], lanes[3])));
    for (; i < n; ++i) {
        squares += x[i] * x[i];
    }
    const float mean = squares / static_cast<float>(n);
    const float root = _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(mean + eps)));
    const float factor = 1.0F / root;
    for (i = 0; i + 8 <= n; i += 8) {
        const __m256 scaled = _mm256_mul_ps(load8(x + i), _mm256_set1_ps(factor));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(scaled, load8(w + i)));
    }
    for (; i < n; ++i) {
        out[i] = x[i] * factor * w[i];
    }
}

namespace {

inline __m256 silu(__m256 gate) {
    const __m256 one = _mm256_set1_ps(1.0F);
    const __m256 minus = _mm256_xor_ps(gate, _mm256_set1_ps(-0.0F));
    return _mm256_div_ps(gate, _mm256_add_ps(one, exp8(minus)));
}

/// out[i] = op(a[i]) · b[i]. The tail goes through the same instructions as the rest.
template <class Op>
void gate_mul(const float* a, const float* b, std::size_t n, float* out, Op op) {
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(out + i, _mm256_mul_ps(op(load8(a + i)), load8(b + i)));
    }
    if (i < n) {
        float last[8];
        _mm256_storeu_ps(last, _mm256_mul_ps(op(load_tail(a + i, n - i)), load_tail(b + i, n - i)));
        std::memcpy(out + i, last, (n - i) * sizeof(float));
    }
}

}  // namespace

void silu_mul_avx2(const float* gate, const float* up, std::size_t n, float* out) {
    gate_mul(gate, up, n, out, [](__m256 g) { return silu(g); });
}

void relu2_mul_avx2(const float* gate, const float* up, std::size_t n, float* out) {
    gate_mul(gate, up, n, out, [](__m256 g) {
        const __m256 positive = _mm256_max_ps(g, _mm256_setzero_ps());
        return _mm256_mul_ps(positive, positive);
    });
}

void add_avx2(const float* x, std::size_t n, float* y) {
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(y + i, _mm256_add_ps(load8(y + i), load8(x + i)));
    }
    for (; i < n; ++i) {
        y[i] += x[i];
    }
}

void to_f16_avx2(const float* x, std::size_t n, std::uint16_t* out) {
    constexpr int kRound = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                         _mm256_cvtps_ph(load8(x + i), kRound));
    }
    for (; i < n; ++i) {
        out[i] = static_cast<std::uint16_t>(
            _mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x[i]), kRound), 0));
    }
}

void from_f16_avx2(const std::uint16_t* x, std::size_t n, float* out) {
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(out + i, load8(x + i));
    }
    for (; i < n; ++i) {
        out[i] = _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(x[i])));
    }
}

}  // namespace trilane::kernels::x86
