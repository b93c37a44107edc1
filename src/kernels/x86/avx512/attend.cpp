// Attention of one head over an F16 cache with AVX-512.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/unroll.h"
#include "kernels/x86/x86.h"

namespace trilane::kernels::x86 {
namespace {

#include "kernels/x86/float_512.h"

/// Scores of `count` positions from p on. Element i of a product goes to lane i % 16.
template <std::size_t count>
void score(const AttendArgs& args, std::size_t p) {
    const std::uint16_t* k = args.k + p * args.kv_stride;
    __m512 sums[count];
    TRILANE_UNROLL
    for (std::size_t j = 0; j < count; ++j) {
        sums[j] = _mm512_setzero_ps();
    }
    std::size_t i = 0;
    for (; i + 16 <= args.head_dim; i += 16) {
        const __m512 q = load16(args.q + i);
        TRILANE_UNROLL
        for (std::size_t j = 0; j < count; ++j) {
            sums[j] = _mm512_fmadd_ps(load16(k + j * args.kv_stride + i), q, sums[j]);
        }
    }
    if (i < args.head_dim) {
        const __mmask16 mask = first_lanes(args.head_dim - i);
        const __m512 q = load16(mask, args.q + i);
        TRILANE_UNROLL
        for (std::size_t j = 0; j < count; ++j) {
            sums[j] = _mm512_fmadd_ps(load16(mask, k + j * args.kv_stride + i), q, sums[j]);
        }
    }
    TRILANE_UNROLL
    for (std::size_t j = 0; j < count; ++j) {
        args.scores[p + j] = lane_sum(sums[j]) * args.scale;
    }
}

float max_score(const AttendArgs& args) {
    __m512 max = _mm512_set1_ps(args.scores[0]);
    std::size_t p = 0;
    for (; p + 16 <= args.positions; p += 16) {
        max = _mm512_max_ps(max, load16(args.scores + p));
    }
    if (p < args.positions) {
        const __mmask16 mask = first_lanes(args.positions - p);
        max = _mm512_mask_max_ps(max, mask, max, load16(mask, args.scores + p));
    }
    return _mm512_reduce_max_ps(max);
}

/// Replaces the scores by e^(score − max) and returns their sum.
float exponentiate(const AttendArgs& args, float max) {
    const __m512 shift = _mm512_set1_ps(max);
    __m512 sums = _mm512_setzero_ps();
    std::size_t p = 0;
    for (; p + 16 <= args.positions; p += 16) {
        const __m512 e = exp16(_mm512_sub_ps(load16(args.scores + p), shift));
        _mm512_storeu_ps(args.scores + p, e);
        sums = _mm512_add_ps(sums, e);
    }
    if (p < args.positions) {
        const __mmask16 mask = first_lanes(args.positions - p);
        const __m512 e = exp16(_mm512_sub_ps(load16(mask, args.scores + p), shift));
        _mm512_mask_storeu_ps(args.scores + p, mask, e);
        sums = _mm512_mask_add_ps(sums, mask, sums, e);
    }
    return lane_sum(sums);
}

/// out[i … i + 16 · registers) = Σ_p score[p] · V[p], in order of p.
template <std::size_t registers>
void mix(const AttendArgs& args, std::size_t i, float inverse) {
    __m512 sums[registers];
    TRILANE_UNROLL
    for (std::size_t j = 0; j < registers; ++j) {
        sums[j] = _mm512_setzero_ps();
    }
    const std::uint16_t* v = args.v + i;
    for (std::size_t p = 0; p < args.positions; ++p, v += args.kv_stride) {
        const __m512 weight = _mm512_set1_ps(args.scores[p]);
        TRILANE_UNROLL
        for (std::size_t j = 0; j < registers; ++j) {
            sums[j] = _mm512_fmadd_ps(load16(v + 16 * j), weight, sums[j]);
        }
    }
    TRILANE_UNROLL
    for (std::size_t j = 0; j < registers; ++j) {
        _mm512_storeu_ps(args.out + i + 16 * j, _mm512_mul_ps(sums[j], _mm512_set1_ps(inverse)));
    }
}

/// The last head_dim % 16 elements.
void mix_tail(const AttendArgs& args, std::size_t i, float inverse) {
    const __mmask16 mask = first_lanes(args.head_dim - i);
    __m512 sum = _mm512_setzero_ps();
    for (std::size_t p = 0; p < args.positions; ++p) {
        const __m512 v = load16(mask, args.v + p * args.kv_stride + i);
        sum = _mm512_fmadd_ps(v, _mm512_set1_ps(args.scores[p]), sum);
    }
    _mm512_mask_storeu_ps(args.out + i, mask, _mm512_mul_ps(sum, _mm512_set1_ps(inverse)));
}

}  // namespace

void attend_avx512(const AttendArgs& args) {
    std::size_t p = 0;
    for (; p + 4 <= args.positions; p += 4) {
        score<4>(args, p);
    }
    for (; p < args.positions; ++p) {
        score<1>(args, p);
    }
    const float inverse = 1.0F / exponentiate(args, max_score(args));
    std::size_t i = 0;
    for (; i + 128 <= args.head_dim; i += 128) {
        mix<8>(args, i, inverse);
    }
    for (; i + 64 <= args.head_dim; i += 64) {
        mix<4>(args, i, inverse);
    }
    for (; i + 16 <= args.head_dim; i += 16) {
        mix<1>(args, i, inverse);
    }
    if (i < args.head_dim) {
        mix_tail(args, i, inverse);
    }
}

}  // namespace trilane::kernels::x86
