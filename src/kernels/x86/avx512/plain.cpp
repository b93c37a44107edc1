// Products of rows of plain numbers with AVX-512: memory-bound at one token, several tokens share
// each weight read. One register of sums per (row, token), whatever the tile, so tiles cannot be
// told apart.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/unroll.h"
#include "kernels/x86/x86.h"

namespace trilane::kernels::x86 {
namespace {

#include "kernels/x86/float_512.h"

/// Rows from the one in work to those that are asked from memory: some 20 to 40 KB.
constexpr std::size_t kRowsAhead = 8;

/// A BF16 value is the upper half of a float.
struct Bf16 {
    std::uint16_t bits;
};
inline __m512 widened(__m256i upper) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16));
}
inline __m512 load16(const Bf16* p) {
    return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline __m512 load16(__mmask16 mask, const Bf16* p) {
    return widened(_mm256_maskz_loadu_epi16(mask, p));
}

template <class Stored, std::size_t rows, std::size_t tokens>
void tile(const MatmulArgs& args, std::size_t row, std::size_t first) {
    const Stored* w = static_cast<const Stored*>(args.weights) + row * args.k;
    const float* x = args.x + first * args.x_stride;
    const char* ahead = reinterpret_cast<const char*>(w + kRowsAhead * args.k);
    __m512 sums[rows][tokens];
    TRILANE_UNROLL
    for (std::size_t r = 0; r < rows; ++r) {
        TRILANE_UNROLL
        for (std::size_t t = 0; t < tokens; ++t) {
            sums[r][t] = _mm512_setzero_ps();
        }
    }
    const auto step = [&](auto load, std::size_t i) {
        __m512 xs[tokens];
        TRILANE_UNROLL
        for (std::size_t t = 0; t < tokens; ++t) {
            xs[t] = load(x + t * args.x_stride + i);
        }
        TRILANE_UNROLL
        for (std::size_t r = 0; r < rows; ++r) {
            const __m512 ws = load(w + r * args.k + i);
            TRILANE_UNROLL
            for (std::size_t t = 0; t < tokens; ++t) {
                sums[r][t] = _mm512_fmadd_ps(ws, xs[t], sums[r][t]);
            }
        }
    };
    std::size_t i = 0;
    for (; i + 16 <= args.k; i += 16) {
        // The next rows follow these in memory: fetched in order, whatever the number of rows at
        // once.
        constexpr std::size_t kStepBytes = rows * 16 * sizeof(Stored);
        TRILANE_UNROLL
        for (std::size_t line = 0; line < kStepBytes; line += 64) {
            _mm_prefetch(ahead + i * rows * sizeof(Stored) + line, _MM_HINT_T1);
        }
        step([](const auto* p) { return load16(p); }, i);
    }
    if (i < args.k) {
        const __mmask16 mask = first_lanes(args.k - i);
        step([mask](const auto* p) { return load16(mask, p); }, i);
    }
    TRILANE_UNROLL
    for (std::size_t r = 0; r < rows; ++r) {
        TRILANE_UNROLL
        for (std::size_t t = 0; t < tokens; ++t) {
            args.y[(first + t) * args.y_stride + row + r] = lane_sum(sums[r][t]);
        }
    }
}

/// `rows` rows × all tokens.
template <class Stored, std::size_t rows, std::size_t wide>
void all_tokens(const MatmulArgs& args, std::size_t row) {
    std::size_t t = 0;
    for (; t + wide <= args.n; t += wide) {
        tile<Stored, rows, wide>(args, row, t);
    }
    if constexpr (wide > 2) {
        for (; t + 2 <= args.n; t += 2) {
            tile<Stored, rows, 2>(args, row, t);
        }
    }
    for (; t < args.n; ++t) {
        tile<Stored, rows, 1>(args, row, t);
    }
}

/// Tiles of `rows` × `wide`, then single rows.
template <class Stored, std::size_t rows, std::size_t wide>
void all_rows(const MatmulArgs& args) {
    std::size_t row = args.row_begin;
    for (; row + rows <= args.row_end; row += rows) {
        all_tokens<Stored, rows, wide>(args, row);
    }
    for (; row < args.row_end; ++row) {
        all_tokens<Stored, 1, wide>(args, row);
    }
}

template <class Stored>
void matmul(const MatmulArgs& args) {
    if (args.n == 1) {
        all_rows<Stored, 2, 1>(args);  // few rows at once: memory likes to be read in order
    } else {
        all_rows<Stored, 8, 3>(args);
    }
}

}  // namespace

void f32_avx512(const MatmulArgs& args) {
    matmul<float>(args);
}
void f16_avx512(const MatmulArgs& args) {
    matmul<std::uint16_t>(args);
}
void bf16_avx512(const MatmulArgs& args) {
    matmul<Bf16>(args);
}

}  // namespace trilane::kernels::x86
