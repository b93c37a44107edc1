// The plain argument structs of the kernels. Apart from kernels.h because the files that are
// compiled for one instruction set may include nothing that could leave a shared inline function
// behind.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trilane::kernels {

/// One matrix product: y[t][r] = Σ_k w[r][k] · x[t][k] for rows row_begin ≤ r < row_end, tokens t <
/// n. Which x fields are read depends on the kernel: float kernels read `x`, `t2_i8` reads the
/// per-token int8 form, block kernels the per-32 int8 form, whose values lie within ±127.
struct MatmulArgs {
    const void* weights = nullptr;  ///< row 0 of the matrix in the kernel's weight layout
    std::size_t k = 0;              ///< columns
    std::size_t row_begin = 0;
    std::size_t row_end = 0;
    float weight_scale = 1.0F;  ///< t2_i8 only: the one scale of the tensor

    std::size_t n = 0;                    ///< tokens
    const float* x = nullptr;             ///< [n][x_stride]
    std::size_t x_stride = 0;             ///< elements from one token to the next in x or xq
    const std::int8_t* xq = nullptr;      ///< [n][x_stride]
    const float* x_scale = nullptr;       ///< t2_i8: [n]; block kernels: [n][x_group_stride]
    const std::int32_t* x_sum = nullptr;  ///< Σ xq: same shape as x_scale
    std::size_t x_group_stride = 0;       ///< elements from one token's groups to the next's

    float* y = nullptr;  ///< [n][y_stride], row r at y[t * y_stride + r]
    std::size_t y_stride = 0;
};
using Matmul = void (*)(const MatmulArgs&);

/// Attention of one query head over one KV head's cached positions.
/// out = Σ_p softmax_p(scale · q·K[p]) · V[p] for p < positions. Scores are float, V is summed in
/// order.
struct AttendArgs {
    const float* q = nullptr;          ///< [head_dim]
    const std::uint16_t* k = nullptr;  ///< F16, position p at k + p * kv_stride
    const std::uint16_t* v = nullptr;  ///< F16, position p at v + p * kv_stride
    std::size_t kv_stride = 0;         ///< elements
    std::size_t positions = 0;         ///< ≥ 1
    std::size_t head_dim = 0;
    float scale = 1.0F;
    float* scores = nullptr;  ///< scratch [positions]
    float* out = nullptr;     ///< [head_dim]
};

}  // namespace trilane::kernels
