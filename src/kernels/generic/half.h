// F16 ⇄ float by bit arithmetic, equal to the F16C instructions for every input.
#pragma once

#include <bit>
#include <cstdint>

namespace trilane::kernels::generic {

/// Exact; signalling NaNs become quiet.
inline float float_from_half(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
    const std::uint32_t magnitude = half & 0x7FFFU;
    if (magnitude >= 0x7C00U) {
        const std::uint32_t quiet = magnitude > 0x7C00U ? 0x00400000U : 0U;
        return std::bit_cast<float>(sign | 0x7F800000U | quiet | (magnitude & 0x3FFU) << 13);
    }
    if (magnitude < 0x400U) {
        const float value = static_cast<float>(magnitude) * 0x1p-24F;
        return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
    }
    return std::bit_cast<float>(sign | ((magnitude << 13) + (112U << 23)));
}

/// Round to nearest even; overflow to infinity; NaNs stay NaNs and become quiet.
inline std::uint16_t half_from_float(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = bits >> 16 & 0x8000U;
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    std::uint32_t half = 0;
    if (magnitude > 0x7F800000U) {
        half = 0x7E00U | (magnitude >> 13 & 0x3FFU);
    } else if (magnitude >= 0x47800000U) {  // 65536 and above
        half = 0x7C00U;
    } else if (magnitude >=
               0x38800000U) {  // 2^-14: normal; a carry may reach infinity, as it should
        const std::uint32_t rounded = magnitude + 0xFFFU + (magnitude >> 13 & 1U);
        half = (rounded >> 13) - (112U << 10);
    } else {
        // The float addition rounds to multiples of 2^-24, the subnormal step.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
        half = std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U;
    }
    return static_cast<std::uint16_t>(sign | half);
}

}  // namespace trilane::kernels::generic
