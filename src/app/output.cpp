#include "app/output.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/utf8.h"
#include "os/small_file.h"

namespace trilane::app {
namespace {

std::string reason_of(int error_number) {
    return std::generic_category().message(error_number);
}

void append_escaped(std::string& out, unsigned char byte) {
    switch (byte) {
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        default:
            out += fmt::format("\\x{:02x}", byte);
    }
}

/// Length of the well-formed character at the front of `text`, or 0.
std::size_t character_bytes(std::string_view text) {
    for (std::size_t n = 1; n <= 4 && n <= text.size(); ++n) {
        if (is_valid_utf8(text.substr(0, n))) {
            return n;
        }
    }
    return 0;
}

/// U+0080 … U+009F: controls in two bytes that terminals obey, too.
bool is_c1_control(std::string_view character) {
    return character.size() == 2 && character[0] == '\xC2' &&
           static_cast<unsigned char>(character[1]) < 0xA0;
}

struct Escaping {
    std::size_t bytes_max = std::string_view::npos;
    bool quotes = false;
    bool keep_layout = false;  // newlines and tabs stay
};

std::string escaped(std::string_view text, const Escaping& how) {
    std::string out;
    while (!text.empty()) {
        if (out.size() >= how.bytes_max) {
            out += "…";
            break;
        }
        const auto byte = static_cast<unsigned char>(text.front());
        const std::size_t n = character_bytes(text);
        const bool layout = how.keep_layout && (byte == '\n' || byte == '\t');
        if (!layout && (n == 0 || byte < 0x20 || byte == 0x7F)) {
            append_escaped(out, byte);
            text.remove_prefix(1);
            continue;
        }
        const std::string_view character = text.substr(0, n);
        if (is_c1_control(character)) {
            append_escaped(out, static_cast<unsigned char>(character[0]));
            append_escaped(out, static_cast<unsigned char>(character[1]));
        } else {
            if (how.quotes && (byte == '"' || byte == '\\')) {
                out += '\\';
            }
            out += character;
        }
        text.remove_prefix(n);
    }
    return out;
}

std::string scaled(std::uint64_t value, const std::array<std::string_view, 6>& units) {
    auto shown = static_cast<double>(value);
    std::size_t unit = 0;
    // 999.5 would print as "1000".
    while (shown >= 999.5 && unit + 1 < units.size()) {
        shown /= 1000.0;
        ++unit;
    }
    if (unit == 0) {
        return units[0].empty() ? fmt::format("{}", value) : fmt::format("{} {}", value, units[0]);
    }
    const int decimals = shown < 9.995 ? 2 : (shown < 99.95 ? 1 : 0);
    return fmt::format("{:.{}f} {}", shown, decimals, units[unit]);
}

Result<std::string> read_all(std::FILE* stream, std::string_view name, std::size_t bytes_max) {
    std::string text;
    std::array<char, 65'536> piece{};
    while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), stream)) {
        if (text.size() + got > bytes_max) {
            return fail(Fault::exhausted, "{} is longer than {}; cut it into parts", name,
                        human_bytes(bytes_max));
        }
        text.append(piece.data(), got);
    }
    if (std::ferror(stream) != 0) {
        return fail(Fault::unavailable, "cannot read {}: {}", name, reason_of(errno));
    }
    return text;
}

}  // namespace

Status print(std::string_view text) {
    errno = 0;
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
        std::fflush(stdout) != 0) {
        return fail(Fault::unavailable, "cannot write to standard output: {}", reason_of(errno));
    }
    return {};
}

void print_error(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string printable(std::string_view text, std::size_t bytes_max) {
    return escaped(text, {.bytes_max = bytes_max});
}

std::string in_quotes(std::string_view text, std::size_t bytes_max) {
    return '"' + escaped(text, {.bytes_max = bytes_max, .quotes = true}) + '"';
}

std::string terminal_safe(std::string_view text) {
    return escaped(text, {.keep_layout = true});
}

std::string human_bytes(std::uint64_t bytes) {
    return scaled(bytes, {"B", "kB", "MB", "GB", "TB", "PB"});
}

std::string human_count(std::uint64_t count) {
    return scaled(count, {"", "k", "M", "B", "T", "P"});
}

Result<std::string> read_stdin(std::size_t bytes_max) {
    return read_all(stdin, "standard input", bytes_max);
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
    return os::read_small_file(path, bytes_max);
}

bool stdin_is_terminal() {
    return ::isatty(STDIN_FILENO) == 1;
}
bool stdout_is_terminal() {
    return ::isatty(STDOUT_FILENO) == 1;
}
bool stderr_is_terminal() {
    return ::isatty(STDERR_FILENO) == 1;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    if (rows.empty()) {
        return {};
    }
    const std::vector<std::string>& heading = rows.front();
    std::vector<std::size_t> widths(heading.size(), 0);
    std::vector<bool> right(heading.size(), false);
    for (std::size_t c = 0; c < heading.size(); ++c) {
        right[c] = heading[c].starts_with('>');
    }
    const auto cell = [&](std::size_t r, std::size_t c) {
        return std::string_view(rows[r][c]).substr(r == 0 && right[c] ? 1 : 0);
    };
    for (std::size_t r = 0; r < rows.size(); ++r) {
        for (std::size_t c = 0; c < heading.size(); ++c) {
            widths[c] = std::max(widths[c], cell(r, c).size());
        }
    }
    std::string out;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string line;
        for (std::size_t c = 0; c < heading.size(); ++c) {
            line += right[c] ? fmt::format("{:>{}}", cell(r, c), widths[c])
                             : fmt::format("{:<{}}", cell(r, c), widths[c]);
            line += "  ";
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

}  // namespace trilane::app
