// Arithmetic of byte counts that stops at the ends of its range instead of wrapping around.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace trilane::plan {

/// More than any machine has.
inline constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

inline std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
    return a > kAll - b ? kAll : a + b;
}

inline std::uint64_t less(std::uint64_t from, std::uint64_t what) {
    return from - std::min(from, what);
}

inline std::uint64_t times(std::uint64_t a, std::uint64_t b) {
    return b != 0 && a > kAll / b ? kAll : a * b;
}

inline std::uint64_t scaled(std::uint64_t bytes, double factor) {
    const double product = static_cast<double>(bytes) * factor;
    return product < 0x1p63 ? static_cast<std::uint64_t>(product) : kAll;
}

}  // namespace trilane::plan
