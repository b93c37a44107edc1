#include "lane/upstream/sanity.h"

#include <algorithm>
#include <string>

#include "base/utf8.h"

namespace trilane::lane::upstream {
namespace {

constexpr std::string_view kReplacementText = "\xEF\xBF\xBD";
/// "No." and "..." are answers; the same character more often than this, one after the other, is
/// the beginning of none, and text that is mostly made of such runs is no text.
constexpr std::size_t kRunMax = 3;
constexpr std::size_t kShownBytesMax = 80;

/// The first character of `text`, which is valid UTF-8 and not empty.
std::string_view first_character(std::string_view text) {
    std::size_t bytes = 1;
    while (bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) {
        ++bytes;
    }
    return text.substr(0, bytes);
}

std::string shown(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, kShownBytesMax)) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return utf8_clipped(utf8_repaired(out), kShownBytesMax);
}

}  // namespace

Status judge_sanity(std::string_view text) {
    const std::string repaired = utf8_repaired(text);
    std::string_view rest = repaired;
    std::string_view last;
    std::size_t run = 0;
    std::size_t in_runs = 0;  // characters of runs that are too long
    std::size_t printable = 0;
    std::size_t broken = 0;
    while (!rest.empty()) {
        const std::string_view character = first_character(rest);
        rest.remove_prefix(character.size());
        const auto byte = static_cast<unsigned char>(character.front());
        if (byte <= 0x20 || byte == 0x7F) {
            continue;
        }
        if (character == kReplacementText) {
            ++broken;
            continue;
        }
        ++printable;
        run = character == last ? run + 1 : 1;
        last = character;
        if (run > kRunMax) {
            in_runs += run == kRunMax + 1 ? run : 1;
        }
    }
    if (printable == 0) {
        return fail(Fault::corrupt, "a test question was answered with nothing printable: '{}'",
                    shown(repaired));
    }
    if (broken > printable) {
        return fail(Fault::corrupt, "a test question was answered with what is no text: '{}'",
                    shown(repaired));
    }
    if (in_runs * 4 >= printable * 3) {
        return fail(Fault::corrupt,
                    "a test question was answered with the same character over and over: '{}'",
                    shown(repaired));
    }
    return {};
}

}  // namespace trilane::lane::upstream
