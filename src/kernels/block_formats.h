// Sizes of the GGUF weight blocks that kernels read in place. Constants only, no code.
// Source: the GGUF block layouts (ggml, 2025).
#pragma once

#include <cstddef>

namespace trilane::kernels {

constexpr std::size_t kGroup = 32;        ///< activations that share one scale
constexpr std::size_t kSuperBlock = 256;  ///< weights in a K-quant block

constexpr std::size_t kQ80Bytes = 34;   ///< d F16, 32 × int8
constexpr std::size_t kQ40Bytes = 18;   ///< d F16, 16 bytes: byte j = weight j | weight j+16 << 4
constexpr std::size_t kQ4kBytes = 144;  ///< d, dmin F16, 12 bytes of 6-bit scales, 128 of nibbles
constexpr std::size_t kQ5kBytes = 176;  ///< as Q4_K with 32 bytes of fifth bits before the nibbles
constexpr std::size_t kQ6kBytes = 210;  ///< 128 low nibbles, 64 high bits, 16 int8 scales, d F16

constexpr std::size_t kPanelRows = 32;  ///< rows of a ternary panel
constexpr std::size_t kPanelStep = 16;  ///< columns of a ternary panel's step (128 bytes)

}  // namespace trilane::kernels
