// Letters that TOML takes only in quotes and comments, found before the library sees them: it does
// not say what it does with some of them (toml++ 3.3, a promise to the compiler that is not kept).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace trilane::config {

/// Both from 1; columns are counted in bytes.
struct TextPlace {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
};

/// The first byte of another alphabet than ASCII outside of quotes and comments; a byte order mark
/// at the beginning is none. What is no TOML is told by the parser: strings that do not end, end
/// with their line here.
std::optional<TextPlace> find_stray_letter(std::string_view text);

}  // namespace trilane::config
