// The one façade over the JSON library: what the rest of the house may use of it, without its
// exceptions. Include json/fwd.h in headers; this one only in .cpp files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/fwd.h"

namespace trilane::json {

/// Nesting deeper than this is refused: nobody needs it, and recursion has a price.
inline constexpr unsigned kDepthMax = 128;

/// Parses one JSON text (RFC 8259, UTF-8, keys keep their order).
/// Errors: invalid, with the byte position and what was expected there.
Result<Value> parse(std::string_view text);

/// Compact JSON text. Strings that are not valid UTF-8 are repaired with U+FFFD, never thrown on.
std::string dump(const Value& value);

/// The same, indented by two spaces, for people.
std::string dump_pretty(const Value& value);

/// "an object", "a string" …: the type of a value as an error message names it.
std::string_view type_name(const Value& value);

}  // namespace trilane::json
