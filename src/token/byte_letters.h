// The alphabet of byte-level BPE: every byte has one printable letter that stands for it in entries
// and merges (a space is "Ġ"). Only the table and its two directions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trilane::token {

/// The letter of a byte, in UTF-8 (one or two bytes).
/// **Source:** GPT-2's encoder: printable Latin-1 bytes are their own letter, the other 68 follow
/// from U+0100 in byte order.
std::string_view letter_of_byte(std::uint8_t byte);

/// The byte that the character U+`code_point` stands for, if it is one of the alphabet.
std::optional<std::uint8_t> byte_of_letter(char32_t code_point);

/// Appends the bytes that an entry in letters stands for. Characters outside the alphabet (added
/// entries have some) stand for themselves.
void append_bytes_of_letters(std::string_view letters, std::string& text);

}  // namespace trilane::token
