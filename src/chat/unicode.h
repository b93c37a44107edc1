// Python's view of a string, code point by code point, over UTF-8 bytes. Broken bytes pass through
// unchanged, each as a character of its own.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trilane::chat {

/// Reads the character at `at` and moves past it. A byte that starts no valid character comes back
/// as U+DC00 + byte, which append_char() writes as that byte again.
char32_t next_char(std::string_view text, std::size_t& at);
void append_char(std::string& out, char32_t c);

std::size_t char_count(std::string_view text);
/// Byte offset of the character `count` places after the one at `from`, at most the end.
std::size_t skip_chars(std::string_view text, std::size_t from, std::size_t count);
/// Byte offset of each character, then the size of the text.
std::vector<std::size_t> char_offsets(std::string_view text);

/// What str.isspace() says of one character.
bool is_space(char32_t c);
/// What str.isprintable() says of one character.
bool is_printable(char32_t c);
bool is_alpha(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);

/// str.strip() and its halves: drops white space, or any of `chars` when given.
std::string_view strip(std::string_view text, std::optional<std::string_view> chars, bool left,
                       bool right);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_capitalized(std::string_view text);
/// str.title(): a capital after everything that is not a letter.
std::string to_title(std::string_view text);

/// The next line of `rest`, as str.splitlines() ends them; `rest` goes on after its end.
std::string_view take_line(std::string_view& rest);

}  // namespace trilane::chat
