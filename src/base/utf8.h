// UTF-8 at the borders of the house: is this text valid, and where may a stream be cut.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace trilane {

/// True when `text` is well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF).
/// Source: Unicode 15, table 3-7.
bool is_valid_utf8(std::string_view text);

/// The length of the longest prefix of `text` that does not end inside a character: the bytes that
/// a stream may send now. Bytes that can never become a character count as complete.
std::size_t utf8_complete_prefix(std::string_view text);

/// `text`, or its beginning of at most bytes_max bytes, cut between characters, with "…" behind it:
/// how foreign text stands in messages.
std::string utf8_clipped(std::string_view text, std::size_t bytes_max);

/// `text` with each ill-formed sequence replaced by U+FFFD (maximal-subpart practice), so that the
/// result is valid.
std::string utf8_repaired(std::string_view text);

}  // namespace trilane
