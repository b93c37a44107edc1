// Dequantize: stored weights of the readable GGUF types → float, and ternary types → codes and
// scales. The plain definition of each layout, once; the fast paths live in kernels/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"

namespace trilane::tensor {

/// The weights that `bytes` store, in order.
/// **Shapes:** whole blocks of `type` (a row, some rows, a tensor), out one float per weight. I2_S
/// takes the whole tensor with its trailer, because its scale stands there.
/// **Errors:** invalid: a type that Trilane cannot read; corrupt: bytes and weights do not match.
/// **Source:** ggml's block layouts (ggml-common.h, 2024–2026); I2_S as bitnet.cpp packs it on x86.
Status dequantize(std::uint32_t type_id, std::span<const std::byte> bytes, std::span<float> out);

/// True for the types whose weights are −1, 0, +1 times a scale: TQ1_0, TQ2_0, I2_S.
bool is_ternary(std::uint32_t type_id);

/// Scales that `weights` weights of a ternary type have: one per 256, or one for an I2_S tensor.
std::size_t ternary_scales(std::uint32_t type_id, std::size_t weights);

/// Splits stored ternary weights into codes 0, 1, 2 for −1, 0, +1 and their scales.
/// **Shapes:** bytes as for dequantize; codes one per weight; scales ternary_scales() long.
/// **Errors:** invalid: not a ternary type; corrupt: sizes do not match, a code 3, or a scale that
/// is not finite.
Status ternary_codes(std::uint32_t type_id, std::span<const std::byte> bytes,
                     std::span<std::uint8_t> codes, std::span<float> scales);

/// The one scale that all blocks share, blocks of zero weights left out (quantizers give those any
/// scale); 0 when every weight is zero; nullopt when two scales differ.
/// **Shapes:** codes and scales of one tensor as ternary_codes made them.
std::optional<float> uniform_ternary_scale(std::span<const std::uint8_t> codes,
                                           std::span<const float> scales);

/// IEEE binary16 → float, exactly.
float half_to_float(std::uint16_t half);

}  // namespace trilane::tensor
