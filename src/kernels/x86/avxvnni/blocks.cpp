// GGUF's quantised blocks × int8 activations with AVX-VNNI.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/block_formats.h"
#include "kernels/unroll.h"
#include "kernels/x86/x86.h"

#define TRILANE_HAS_VNNI 1

namespace trilane::kernels::x86 {
namespace {

// The words come before the algorithm that is written over them.
// clang-format off
#include "kernels/x86/words_256.h"
#include "kernels/x86/blocks.h"
// clang-format on

}  // namespace

void q8_0_avxvnni(const MatmulArgs& args) {
    matmul<Q80>(args);
}
void q4_0_avxvnni(const MatmulArgs& args) {
    matmul<Q40>(args);
}
void q4_k_avxvnni(const MatmulArgs& args) {
    matmul<Q4k>(args);
}
void q5_k_avxvnni(const MatmulArgs& args) {
    matmul<Q5k>(args);
}
void q6_k_avxvnni(const MatmulArgs& args) {
    matmul<Q6k>(args);
}

}  // namespace trilane::kernels::x86
