// LineAssembler: the bytes that a program prints, in pieces of any size, as lines that are safe to
// show: valid UTF-8 without control characters and terminal escapes. Keeps no lines itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trilane::os {

/// Longer lines are cut into several.
inline constexpr std::size_t kLogLineBytesMax = 4096;
/// A longer terminal escape is given up: what follows counts as text again.
inline constexpr std::size_t kEscapeBytesMax = 256;

/// One stream's. **Threads:** one at a time.
class LineAssembler {
public:
    /// Takes bytes and appends the lines that they complete. "\n", "\r" and both end a line; empty
    /// lines are left out. A tab becomes a space.
    void take(std::string_view bytes, std::vector<std::string>& lines);
    /// Appends what is unfinished, as the stream has closed.
    void finish(std::vector<std::string>& lines);

private:
    // Source: ECMA-48, 5th edition, 5.4 and 5.6.
    enum class Place : std::uint8_t { text, escape, sequence, string, string_escape };

    void take_byte(char byte, std::vector<std::string>& lines);
    bool take_escape(unsigned char byte);
    void take_text(char byte, std::vector<std::string>& lines);
    void end_line(std::vector<std::string>& lines);

    std::string text_;  // of the unfinished line, at most kLogLineBytesMax bytes; not yet repaired
    Place place_ = Place::text;
    std::size_t escape_bytes_ = 0;
};

}  // namespace trilane::os
