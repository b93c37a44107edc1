// GGUF's quantised blocks × int8 activations with AVX-512 VNNI.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/block_formats.h"
#include "kernels/unroll.h"
#include "kernels/x86/x86.h"

namespace trilane::kernels::x86 {
namespace {

// The words come before the algorithm that is written over them.
// clang-format off
#include "kernels/x86/words_512.h"
#include "kernels/x86/blocks.h"
// clang-format on

}  // namespace

void q8_0_avx512(const MatmulArgs& args) {
    matmul<Q80>(args);
}
void q4_0_avx512(const MatmulArgs& args) {
    matmul<Q40>(args);
}
void q4_k_avx512(const MatmulArgs& args) {
    matmul<Q4k>(args);
}
void q5_k_avx512(const MatmulArgs& args) {
    matmul<Q5k>(args);
}
void q6_k_avx512(const MatmulArgs& args) {
    matmul<Q6k>(args);
}

}  // namespace trilane::kernels::x86
