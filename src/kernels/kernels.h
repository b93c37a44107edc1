// Kernels: the arithmetic of a CPU lane as tables of plain functions over pointers and sizes, one
// table per instruction set. Knows nothing of tensors, files or threads.
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
#include "kernels/args.h"

namespace trilane::kernels {

enum class Isa : std::uint8_t { generic, avx2, avxvnni, avx512 };

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

    /// BitNet's activation rounding: s = 127 / max(|x|, 1e-5), q = round-half-even(x·s) clamped to
    /// int8; *scale = 1/s (as max/127), *sum = Σ q.
    void (*quantize_token)(const float* x, std::size_t k, std::int8_t* q, float* scale,
                           std::int32_t* sum) = nullptr;
    /// Per 32 values: d = max|x| / 127 (0 for an all-zero block), q = round-half-even(x / d);
    /// scales[k/32], sums[k/32].
    void (*quantize_blocks)(const float* x, std::size_t k, std::int8_t* q, float* scales,
                            std::int32_t* sums) = nullptr;

    /// out[i] = x[i] · w[i] / sqrt(mean(x²) + eps). `out` may be `x`.
    void (*rms_norm)(const float* x, const float* w, float eps, std::size_t n,
                     float* out) = nullptr;
    /// out[i] = silu(gate[i]) · up[i]; out[i] = max(gate[i], 0)² · up[i]. `out` may be either
    /// input.
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
/// Layout: panel of 32 rows = k/16 steps; a step is two 64-byte blocks (rows 0–15, rows 16–31 of
/// the panel); byte 4·r + j of a block holds row r's weights 16·step + 4·p + j at bits 2p (p =
/// 0…3).
std::size_t packed_t2_bytes(std::size_t rows, std::size_t k);

/// Packs one row of codes (0, 1, 2) into the panels at `packed`. Padding rows must be packed as 1
/// (zero).
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
