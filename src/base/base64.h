// Base64 (RFC 4648): how pictures, sounds and vectors travel inside JSON. No data URLs here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trilane {

/// The standard alphabet, padded.
std::string base64_encoded(std::string_view bytes);

/// The bytes of a base64 text. Takes both alphabets (with "+/" and with "-_"), padded or not, and
/// skips line breaks and spaces; absent when anything else is wrong with it.
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace trilane
