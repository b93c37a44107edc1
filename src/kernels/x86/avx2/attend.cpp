// Attention of one head over an F16 cache with AVX2.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/unroll.h"
#include "kernels/x86/x86.h"

namespace trilane::kernels::x86 {
namespace {

#include "kernels/x86/float_256.h"

/// Scores of `count` positions from p on. Element i of a product goes to lane i % 8.
template <std::size_t count>
void score(const AttendArgs& args, std::size_t p) {
    const std::uint16_t* k = args.k + p * args.kv_stride;
    __m256 sums[count];
    TRILANE_UNROLL
    for (std::size_t j = 0; j < count; ++j) {
        sums[j] = _mm256_setzero_ps();
    }
    std::size_t i = 0;
    for (; i + 8 <= args.head_dim; i += 8) {
        const __m256 q = load8(args.q + i);
        TRILANE_UNROLL
        for (std::size_t j = 0; j < count; ++j) {
            sums[j] = _mm256_fmadd_ps(load8(k + j * args.kv_stride + i), q, sums[j]);
        }
    }
    if (i < args.head_dim) {
        const __m256 q = load_tail(args.q + i, args.head_dim - i);
        TRILANE_UNROLL
        for (std::size_t j = 0; j < count; ++j) {
            const __m256 tail = load_tail(k + j * args.kv_stride + i, args.head_dim - i);
            sums[j] = _mm256_fmadd_ps(tail, q, sums[j]);
        }
    }
    TRILANE_UNROLL
    for (std::size_t j = 0; j < count; ++j) {
        args.scores[p + j] = lane_sum(sums[j]) * args.scale;
    }
}

float max_score(const AttendArgs& args) {
    float max = args.scores[0];
    std::size_t p = 0;
    if (args.positions >= 8) {
        __m256 lanes = load8(args.scores);
        for (p = 8; p + 8 <= args.positions; p += 8) {
            lanes = _mm256_max_ps(lanes, load8(args.scores + p));
        }
        max = lane_max(lanes);
    }
    for (; p < args.positions; ++p) {
        max = args.scores[p] > max ? args.scores[p] : max;
    }
    return max;
}

/// Replaces the scores by e^(score − max) and returns their sum.
float exponentiate(const AttendArgs& args, float max) {
    const __m256 shift = _mm256_set1_ps(max);
    __m256 sums = _mm256_setzero_ps();
    std::size_t p = 0;
    for (; p + 8 <= args.positions; p += 8) {
        const __m256 e = exp8(_mm256_sub_ps(load8(args.scores + p), shift));
        _mm256_storeu_ps(args.scores + p, e);
        sums = _mm256_add_ps(sums, e);
    }
    float sum = lane_sum(sums);
    if (p < args.positions) {
        float e[8];
        _mm256_storeu_ps(
            e, exp8(_mm256_sub_ps(load_tail(args.scores + p, args.positions - p), shift)));
        for (std::size_t j = 0; p < args.positions; ++j, ++p) {
            args.scores[p] = e[j];
            sum += e[j];
        }
    }
    return sum;
}

/// out[i … i + 8 · registers) = Σ_p score[p] · V[p], in order of p.
template <std::size_t registers>
void mix(const AttendArgs& args, std::size_t i, float inverse) {
    __m256 sums[registers];
    TRILANE_UNROLL
    for (std::size_t j = 0; j < registers; ++j) {
        sums[j] = _mm256_setzero_ps();
    }
    const std::uint16_t* v = args.v + i;
    for (std::size_t p = 0; p < args.positions; ++p, v += args.kv_stride) {
        const __m256 weight = _mm256_set1_ps(args.scores[p]);
        TRILANE_UNROLL
        for (std::size_t j = 0; j < registers; ++j) {
            sums[j] = _mm256_fmadd_ps(load8(v + 8 * j), weight, sums[j]);
        }
    }
    TRILANE_UNROLL
    for (std::size_t j = 0; j < registers; ++j) {
        _mm256_storeu_ps(args.out + i + 8 * j, _mm256_mul_ps(sums[j], _mm256_set1_ps(inverse)));
    }
}

/// The last head_dim % 8 elements.
void mix_tail(const AttendArgs& args, std::size_t i, float inverse) {
    __m256 sum = _mm256_setzero_ps();
    const std::size_t count = args.head_dim - i;
    for (std::size_t p = 0; p < args.positions; ++p) {
        sum = _mm256_fmadd_ps(load_tail(args.v + p * args.kv_stride + i, count),
                              _mm256_set1_ps(args.scores[p]), sum);
    }
    float out[8];
    _mm256_storeu_ps(out, _mm256_mul_ps(sum, _mm256_set1_ps(inverse)));
    std::memcpy(args.out + i, out, count * sizeof(float));
}

}  // namespace

void attend_avx2(const AttendArgs& args) {
    std::size_t p = 0;
    for (; p + 4 <= args.positions; p += 4) {
        score<4>(args, p);
    }
    for (; p < args.positions; ++p) {
        score<1>(args, p);
    }
    const float inverse = 1.0F / exponentiate(args, max_score(args));
    std::size_t i = 0;
    for (; i + 64 <= args.head_dim; i += 64) {
        mix<8>(args, i, inverse);
    }
    for (; i + 8 <= args.head_dim; i += 8) {
        mix<1>(args, i, inverse);
    }
    if (i < args.head_dim) {
        mix_tail(args, i, inverse);
    }
}

}  // namespace trilane::kernels::x86
