// Numbers between bounds as parts: digits that cannot leave the range, written without exponent.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "grammar/builder.h"

namespace trilane::grammar {

/// More than integers are written with: what a double holds exactly.
inline constexpr std::int64_t kIntegerMax = 999'999'999'999'999;

struct NumberBound {
    double value = 0;
    bool exclusive = false;
};

/// **Errors:** invalid when no integer of up to 15 digits lies between.
Result<Part> integer_between(Builder& builder, std::optional<NumberBound> min,
                             std::optional<NumberBound> max);
/// Decimals of up to 15 digits, so that reading them as doubles cannot carry them over a bound.
/// **Errors:** invalid when there are none, or for a bound that needs more digits itself.
Result<Part> decimal_between(Builder& builder, std::optional<NumberBound> min,
                             std::optional<NumberBound> max);

}  // namespace trilane::grammar
