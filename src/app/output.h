// What the verbs write to the terminal: checked writes, and numbers and strange bytes as people
// read them. Not a log: the daemon's is daemon_log.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trilane::app {

/// Writes to standard output, at once. **Errors:** unavailable (disk full, closed).
Status print(std::string_view text);

/// Writes to standard error; failures have nowhere to go.
void print_error(std::string_view text);

/// Text that is safe on a terminal: control characters and ill-formed UTF-8 become escapes. At most
/// about `bytes_max` bytes, then "…".
std::string printable(std::string_view text, std::size_t bytes_max = std::string_view::npos);

/// Text for a terminal as it stands, lines and tabs included, but no other control characters.
std::string terminal_safe(std::string_view text);

/// As printable() in double quotes, with quotes and backslashes escaped.
std::string in_quotes(std::string_view text, std::size_t bytes_max = std::string_view::npos);

/// "24.3 MB": decimal units, three digits.
std::string human_bytes(std::uint64_t bytes);

/// "81.8 M": decimal units, three digits.
std::string human_count(std::uint64_t count);

/// All of standard input, or of a regular file. **Errors:** not_found, unavailable; exhausted
/// beyond `bytes_max`.
Result<std::string> read_stdin(std::size_t bytes_max);
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);
/// Of a configuration file.
inline constexpr std::size_t kConfigBytesMax = std::size_t{1} << 20U;

/// Whether the stream is a terminal with a person at it.
bool stdin_is_terminal();
bool stdout_is_terminal();
bool stderr_is_terminal();

/// Rows of cells as columns, two spaces apart; the first row is the heading. A column whose heading
/// begins with ">" (not shown) is aligned to the right.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace trilane::app
