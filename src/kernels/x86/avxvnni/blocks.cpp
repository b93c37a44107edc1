// GGUF's quantised blocks × int8 activations with AVX-VNNI.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/block_formats.h"
#include "kernels/generic/generic.h"
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
    matmul<Q80>(args, generic::q8_0);
}
void q4_0_avxvnni(const MatmulArgs& args) {
    matmul<Q40>(args, generic::q4_0);
}
void q4_k_avxvnni(const MatmulArgs& args) {
    matmul<Q4k>(args, generic::q4_k);
}
void q5_k_avxvnni(const MatmulArgs& args) {
    matmul<Q5k>(args, generic::q5_k);
}
void q6_k_avxvnni(const MatmulArgs& args) {
    matmul<Q6k>(args, generic::q6_k);
}

}  // namespace trilane::kernels::x86
