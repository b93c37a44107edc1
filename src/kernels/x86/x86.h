// The x86 kernels, named operation_isa. A table may use another instruction set's kernel where the
// wider one would gain nothing (kernels.cpp says which).
#pragma once

#include "kernels/args.h"

namespace trilane::kernels::x86 {

void t2_i8_avx2(const MatmulArgs& args);
void q8_0_avx2(const MatmulArgs& args);
void q4_0_avx2(const MatmulArgs& args);
void q4_k_avx2(const MatmulArgs& args);
void q5_k_avx2(const MatmulArgs& args);
void q6_k_avx2(const MatmulArgs& args);
void f32_avx2(const MatmulArgs& args);
void f16_avx2(const MatmulArgs& args);
void bf16_avx2(const MatmulArgs& args);
void attend_avx2(const AttendArgs& args);
void quantize_token_avx2(const float* x, std::size_t k, std::int8_t* q, float* scale,
                         std::int32_t* sum);
void quantize_blocks_avx2(const float* x, std::size_t k, std::int8_t* q, float* scales,
                          std::int32_t* sums);
void rms_norm_avx2(const float* x, const float* w, float eps, std::size_t n, float* out);
void silu_mul_avx2(const float* gate, const float* up, std::size_t n, float* out);
void relu2_mul_avx2(const float* gate, const float* up, std::size_t n, float* out);
void add_avx2(const float* x, std::size_t n, float* y);
void to_f16_avx2(const float* x, std::size_t n, std::uint16_t* out);
void from_f16_avx2(const std::uint16_t* x, std::size_t n, float* out);

void t2_i8_avxvnni(const MatmulArgs& args);
void q8_0_avxvnni(const MatmulArgs& args);
void q4_0_avxvnni(const MatmulArgs& args);
void q4_k_avxvnni(const MatmulArgs& args);
void q5_k_avxvnni(const MatmulArgs& args);
void q6_k_avxvnni(const MatmulArgs& args);

void t2_i8_avx512(const MatmulArgs& args);
void q8_0_avx512(const MatmulArgs& args);
void q4_0_avx512(const MatmulArgs& args);
void q4_k_avx512(const MatmulArgs& args);
void q5_k_avx512(const MatmulArgs& args);
void q6_k_avx512(const MatmulArgs& args);
void f32_avx512(const MatmulArgs& args);
void f16_avx512(const MatmulArgs& args);
void bf16_avx512(const MatmulArgs& args);
void attend_avx512(const AttendArgs& args);

}  // namespace trilane::kernels::x86
