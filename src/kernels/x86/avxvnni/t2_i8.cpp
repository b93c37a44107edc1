// Ternary panels × int8 activations with AVX-VNNI (256 bits).
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

struct DotVnni {
    static constexpr std::size_t kColumnsMax = static_cast<std::size_t>(-1);
    static __m256i add(__m256i sum, __m256i u, __m256i s) {
        return _mm256_dpbusd_avx_epi32(sum, u, s);
    }
    static __m256i widened(__m256i sum) { return sum; }
};

}  // namespace

void t2_i8_avxvnni(const MatmulArgs& args) {
    matmul<DotVnni, 4>(args);
}

}  // namespace trilane::kernels::x86
