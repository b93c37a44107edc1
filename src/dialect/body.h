// Body: the JSON object that a request brings, parsed within limits. Knows no fields.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "json/fwd.h"

namespace trilane::dialect {

/// Sum, over all fields of a body, of the fields before it in its object: one object of 8000
/// fields. Objects keep the order of their fields and are searched one by one, so that giant ones
/// cost quadratic time.
inline constexpr std::size_t kFieldWorkMax = 32'000'000;

/// The object of a request's body.
/// **Errors:** invalid, a sentence about "the body".
Result<json::Value> read_object(std::string_view body);

}  // namespace trilane::dialect
