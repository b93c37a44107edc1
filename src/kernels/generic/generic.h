// The reference kernels in plain C++: what every other table is tested against.
#pragma once

#include "kernels/args.h"

namespace trilane::kernels::generic {

void t2_i8(const MatmulArgs& args);
void q8_0(const MatmulArgs& args);
void q4_0(const MatmulArgs& args);
void q4_k(const MatmulArgs& args);
void q5_k(const MatmulArgs& args);
void q6_k(const MatmulArgs& args);
void f32(const MatmulArgs& args);
void f16(const MatmulArgs& args);
void bf16(const MatmulArgs& args);

void quantize_token(const float* x, std::size_t k, std::int8_t* q, float* scale, std::int32_t* sum);
void quantize_blocks(const float* x, std::size_t k, std::int8_t* q, float* scales,
                     std::int32_t* sums);
void rms_norm(const float* x, const float* w, float eps, std::size_t n, float* out);
void silu_mul(const float* gate, const float* up, std::size_t n, float* out);
void relu2_mul(const float* gate, const float* up, std::size_t n, float* out);
void add(const float* x, std::size_t n, float* y);
void to_f16(const float* x, std::size_t n, std::uint16_t* out);
void from_f16(const std::uint16_t* x, std::size_t n, float* out);
void attend(const AttendArgs& args);

}  // namespace trilane::kernels::generic
