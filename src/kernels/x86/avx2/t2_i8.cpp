// Ternary panels × int8 activations with AVX2.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/block_formats.h"
#include "kernels/unroll.h"
#include "kernels/x86/x86.h"

namespace trilane::kernels::x86 {
namespace {

#include "kernels/x86/t2_i8_256.h"

/// Sums stay in 16 bits for a stretch of columns and are widened after it.
struct Dot16 {
    /// A step of 16 columns adds at most 4 planes × 2 products × 2 · 128 = 2048 to a 16-bit sum: 15
    /// steps fit.
    static constexpr std::size_t kColumnsMax = 15 * kPanelStep;
    static __m256i add(__m256i sum, __m256i u, __m256i s) {
        return _mm256_add_epi16(sum, _mm256_maddubs_epi16(u, s));
    }
    static __m256i widened(__m256i sum) { return _mm256_madd_epi16(sum, _mm256_set1_epi16(1)); }
};

}  // namespace

void t2_i8_avx2(const MatmulArgs& args) {
    matmul<Dot16, 4>(args);
}

}  // namespace trilane::kernels::x86
