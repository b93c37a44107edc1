// Kernels: the arithmetic of a CPU lane as tables of plain functions over pointers and sizes, one table
// per instruction set. Knows nothing of tensors, files or threads.
//
// Contract of every kernel here:
//  * The result for one (row, token) pair is the same whatever other rows and tokens the same call
//    computes: batched equals single, bit for bit. So accumulation order may depend on k only.
//  * Integer accumulation is exact, so the t2 and q8_0/q4_0 kernels of all tables equal the generic
//    ones bit for bit (float steps: one multiply-add per block, in block order, fused (std::fma)).
//  * No alignment beyond what is stated; no allocation; no global state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace trilane::kernels {

enum class Isa : std::uint8_t { generic, avx2, avxvnni, avx512 };

/// One matrix product: y[t][r] = Σ_k w[r][k] · x[t][k] for rows row_begin ≤ r < row_end, tokens t < n.
/// Which x fields are read depends on the kernel: float kernels read `x`, `t2_i8` reads the per-token
/// int8 form, block kernels the per-32 int8 form.
struct MatmulArgs {
    const void* weights = nullptr;  ///< row 0 of the matrix in the kernel's weight layout
    std::size_t k = 0;              ///< columns
    std::size_t row_begin = 0;
    std::size_t row_end = 0;
    float weight_scale = 1.0F;      ///< t2_i8 only: the one scale of the tensor

    std::size_t n = 0;                      ///< tokens
    const float* x = nullptr;               ///< [n][x_stride]
    std::size_t x_stride = 0;               ///< elements from one token to the next in x or xq
    const std::int8_t* xq = nullptr;        ///< [n][x_stride]
    const float* x_scale = nullptr;         ///< t2_i8: [n]; block kernels: [n][x_group_stride]
    const std::int32_t* x_sum = nullptr;    ///< Σ xq: same shape as x_scale
    std::size_t x_group_stride = 0;         ///< elements from one token's groups to the next's

    float* y = nullptr;                     ///< [n][y_stride], row r at y[t * y_stride + r]
    std::size_t y_stride = 0;
};
using Matmul = void (*)(const MatmulArgs&);

/// Attention of one query head over one KV head's cached positions.
/// out = Σ_p softmax_p(scale · q·K[p]) · V[p] for p < positions. Scores are float, V is summed in order.
struct AttendArgs {
    const float* q = nullptr;            ///< [head_dim]
    const std::uint16_t* k = nullptr;    ///< F16, position p at k + p * kv_stride
    const std::uint16_t* v = nullptr;    ///< F16, position p at v + p * kv_stride
    std::size_t kv_stride = 0;           ///< elements
    std::size_t positions = 0;           ///< ≥ 1
    std::size_t head_dim = 0;
    float scale = 1.0F;
    float* scores = nullptr;             ///< scratch [positions]
    float* out = nullptr;                ///< [head_dim]
};

struct KernelTable {
    Isa isa = Isa::generic;

    /// Ternary panels (see packed_t2_bytes) × per-token int8:
    /// y = (Σ code·xq − x_sum) · (weight_scale · x_scale), codes 0, 1, 2 for −1, 0, +1.
    /// k % 16 == 0; row_begin and row_end are multiples of 32 (the last panel may be padded; y has
    /// room for padded rows).
    Matmul t2_i8 = nullptr;

    // Rows in GGUF block layout, row-major, straight from the file; x in the per-32 int8 form.
    Matmul q8_0 = nullptr;
    Matmul q4_0 = nullptr;
    Matmul q4_k = nullptr;
    Matmul q5_k = nullptr;
    Matmul q6_k = nullptr;

    // Rows of plain numbers; x float. Accumulated in float lanes, lane sums reduced pairwise.
    Matmul f32 = nullptr;
    Matmul f16 = nullptr;
    Matmul bf16 = nullptr;

    /// BitNet's activation rounding: s = 127 / max(|x|, 1e-5), q = round-half-even(x·s) clamped to int8;
    /// *scale = 1/s (as max/127), *sum = Σ q.
    void (*quantize_token)(const float* x, std::size_t k, std::int8_t* q, float* scale, std::int32_t* sum) = nullptr;
    /// Per 32 values: d = max|x| / 127 (0 for an all-zero block), q = round-half-even(x / d); scales[k/32], sums[k/32].
    void (*quantize_blocks)(const float* x, std::size_t k, std::int8_t* q, float* scales, std::int32_t* sums) = nullptr;

    /// out[i] = x[i] · w[i] / sqrt(mean(x²) + eps). `out` may be `x`.
    void (*rms_norm)(const float* x, const float* w, float eps, std::size_t n, float* out) = nullptr;
    /// out[i] = silu(gate[i]) · up[i]; out[i] = max(gate[i], 0)² · up[i]. `out` may be either input.
    void (*silu_mul)(const float* gate, const float* up, std::size_t n, float* out) = nullptr;
    void (*relu2_mul)(const float* gate, const float* up, std::size_t n, float* out) = nullptr;
    /// y[i] += x[i]
    void (*add)(const float* x, std::size_t n, float* y) = nullptr;
    /// float ⇄ F16, round to nearest even.
    void (*to_f16)(const float* x, std::size_t n, std::uint16_t* out) = nullptr;
    void (*from_f16)(const std::uint16_t* x, std::size_t n, float* out) = nullptr;
    void (*attend)(const AttendArgs&) = nullptr;
};

/// Bytes of a ternary matrix in panel layout: rows rounded up to 32, 2 bits a weight, k % 16 == 0.
/// Layout: panel of 32 rows = k/16 steps; a step is two 64-byte blocks (rows 0–15, rows 16–31 of the
/// panel); byte 4·r + j of a block holds row r's weights 16·step + 4·p + j at bits 2p (p = 0…3).
std::size_t packed_t2_bytes(std::size_t rows, std::size_t k);

/// Packs one row of codes (0, 1, 2) into the panels at `packed`. Padding rows must be packed as 1 (zero).
void pack_t2_row(const std::uint8_t* codes, std::size_t k, std::size_t row, std::uint8_t* packed);

/// "generic", "avx2", "avxvnni", "avx512".
std::string_view isa_name(Isa isa);
/// **Errors:** invalid, listing the names that exist.
Result<Isa> isa_from_name(std::string_view name);

/// Whether this CPU (and operating system) can run the table.
bool isa_available(Isa isa);

/// The table of `isa`. **Errors:** unavailable when this CPU cannot run it.
Result<const KernelTable*> table_for(Isa isa);

/// The fastest table this CPU can run.
const KernelTable& best_table();

}  // namespace trilane::kernels
