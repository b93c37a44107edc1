// Ternary panels × int8 activations with AVX-512 VNNI. A panel's 32 rows are two registers of sums
// per token; activations come as embedded broadcasts, so a 12-token tile needs no shuffle at all.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/block_formats.h"
#include "kernels/unroll.h"
#include "kernels/x86/x86.h"

namespace trilane::kernels::x86 {
namespace {

/// Ahead of a single token's walk: about what memory latency × one core's bandwidth covers.
constexpr std::size_t kPrefetchBytes = 4096;

__m512i broadcast4(const std::int8_t* x) {
    int word = 0;
    std::memcpy(&word, x, sizeof word);
    return _mm512_set1_epi32(word);
}

template <int plane>
__m512i codes(__m512i packed) {
    return _mm512_and_si512(plane == 0 ? packed : _mm512_srli_epi16(packed, 2 * plane),
                            _mm512_set1_epi8(3));
}

void finish(const MatmulArgs& args, std::size_t row, std::size_t t, __m512i low, __m512i high) {
    const __m512i bias = _mm512_set1_epi32(args.x_sum[t]);
    const __m512 scale = _mm512_set1_ps(args.weight_scale * args.x_scale[t]);
    float* y = args.y + t * args.y_stride + row;
    _mm512_storeu_ps(y, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(low, bias)), scale));
    _mm512_storeu_ps(y + 16,
                     _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(high, bias)), scale));
}

template <int plane, std::size_t tokens>
void multiply_plane(__m512i w0, __m512i w1, const std::int8_t* x, std::size_t stride, __m512i* low,
                    __m512i* high) {
    const __m512i u0 = codes<plane>(w0);
    const __m512i u1 = codes<plane>(w1);
    TRILANE_UNROLL
    for (std::size_t t = 0; t < tokens; ++t) {
        const __m512i s = broadcast4(x + t * stride + std::ptrdiff_t{4} * plane);
        low[t] = _mm512_dpbusd_epi32(low[t], u0, s);
        high[t] = _mm512_dpbusd_epi32(high[t], u1, s);
    }
}

/// One panel × tokens first … first + tokens − 1.
template <std::size_t tokens>
void panel(const MatmulArgs& args, const std::uint8_t* w, std::size_t row, std::size_t first) {
    __m512i low[tokens];
    __m512i high[tokens];
    TRILANE_UNROLL
    for (std::size_t t = 0; t < tokens; ++t) {
        low[t] = high[t] = _mm512_setzero_si512();
    }
    const std::int8_t* x = args.xq + first * args.x_stride;
    for (std::size_t k = 0; k < args.k; k += kPanelStep, w += 128, x += kPanelStep) {
        const __m512i w0 = _mm512_loadu_si512(w);
        const __m512i w1 = _mm512_loadu_si512(w + 64);
        multiply_plane<0, tokens>(w0, w1, x, args.x_stride, low, high);
        multiply_plane<1, tokens>(w0, w1, x, args.x_stride, low, high);
        multiply_plane<2, tokens>(w0, w1, x, args.x_stride, low, high);
        multiply_plane<3, tokens>(w0, w1, x, args.x_stride, low, high);
    }
    TRILANE_UNROLL
    for (std::size_t t = 0; t < tokens; ++t) {
        finish(args, row, first + t, low[t], high[t]);
    }
}

/// One panel × one token: a chain of sums per plane, and the memory asked for ahead of time.
void panel_streamed(const MatmulArgs& args, const std::uint8_t* w, std::size_t row, std::size_t t) {
    __m512i low[4];
    __m512i high[4];
    TRILANE_UNROLL
    for (int p = 0; p < 4; ++p) {
        low[p] = high[p] = _mm512_setzero_si512();
    }
    const std::int8_t* x = args.xq + t * args.x_stride;
    for (std::size_t k = 0; k < args.k; k += kPanelStep, w += 128, x += kPanelStep) {
        _mm_prefetch(reinterpret_cast<const char*>(w) + kPrefetchBytes, _MM_HINT_T0);
        _mm_prefetch(reinterpret_cast<const char*>(w) + kPrefetchBytes + 64, _MM_HINT_T0);
        const __m512i w0 = _mm512_loadu_si512(w);
        const __m512i w1 = _mm512_loadu_si512(w + 64);
        multiply_plane<0, 1>(w0, w1, x, 0, low, high);
        multiply_plane<1, 1>(w0, w1, x, 0, low + 1, high + 1);
        multiply_plane<2, 1>(w0, w1, x, 0, low + 2, high + 2);
        multiply_plane<3, 1>(w0, w1, x, 0, low + 3, high + 3);
    }
    finish(
        args, row, t,
        _mm512_add_epi32(_mm512_add_epi32(low[0], low[1]), _mm512_add_epi32(low[2], low[3])),
        _mm512_add_epi32(_mm512_add_epi32(high[0], high[1]), _mm512_add_epi32(high[2], high[3])));
}

/// The fewest tiles of few sizes that cover any number of tokens.
void panel_any(const MatmulArgs& args, const std::uint8_t* w, std::size_t row) {
    std::size_t t = 0;
    for (; t + 12 <= args.n; t += 12) {
        panel<12>(args, w, row, t);
    }
    for (; t + 8 <= args.n; t += 8) {
        panel<8>(args, w, row, t);
    }
    for (; t + 4 <= args.n; t += 4) {
        panel<4>(args, w, row, t);
    }
    switch (args.n - t) {
        case 3:
            panel<3>(args, w, row, t);
            break;
        case 2:
            panel<2>(args, w, row, t);
            break;
        case 1:
            panel_streamed(args, w, row, t);
            break;
        default:
            break;
    }
}

}  // namespace

void t2_i8_avx512(const MatmulArgs& args) {
    const auto* weights = static_cast<const std::uint8_t*>(args.weights);
    // Panels outside, tokens inside: each weight comes from memory once, whatever the batch.
    for (std::size_t row = args.row_begin; row < args.row_end; row += kPanelRows) {
        panel_any(args, weights + row * (args.k / 4), row);
    }
}

}  // namespace trilane::kernels::x86
