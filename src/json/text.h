// JSON text written by hand: for answers that are sent piece by piece, where building a Value first
// would cost more than the rest of the request.
#pragma once

#include <string>
#include <string_view>

namespace trilane::json {

/// Appends `text` as the inside of a JSON string, without the quotes. `text` must be valid UTF-8.
void append_escaped(std::string& out, std::string_view text);

/// Appends `text` as a JSON string with its quotes. Ill-formed UTF-8 becomes U+FFFD.
void append_string(std::string& out, std::string_view text);

}  // namespace trilane::json
