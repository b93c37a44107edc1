// Ternary tensors of GGUF files → what the kernels run: panels of 2-bit codes with one scale, or
// Q8_0 blocks that hold the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "gguf/gguf.h"
#include "tensor/buffer.h"

namespace trilane::tensor {

/// How a file's ternary tensors are to be run.
enum class TernaryPolicy : std::uint8_t {
    token_i8,  ///< panels × per-token int8 activations, where one scale serves the whole tensor
    exact,     ///< as Q8_0 blocks holding the same numbers: for models not trained with int8
               ///< activations
};

struct PackedTernary {
    Buffer buffer;
    /// Set: kernels' panel layout with this one scale. Absent: rows of Q8_0 blocks.
    std::optional<float> scale;
};

/// Packs a TQ1_0, TQ2_0 or I2_S matrix. Tensors whose blocks have different scales become Q8_0
/// blocks under either policy. **Errors:** corrupt, naming the tensor, for a code 3 or a scale that
/// is no number; invalid for rows that the layout does not allow.
Result<PackedTernary> pack_ternary(const gguf::Tensor& tensor, std::span<const std::byte> bytes,
                                   TernaryPolicy policy);

}  // namespace trilane::tensor
