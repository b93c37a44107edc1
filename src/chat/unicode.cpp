// UTF-8 walking and case mapping, over utf8proc's tables.
#include "chat/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

namespace trilane::chat {
namespace {

constexpr char32_t kBrokenByte = 0xDC00;

utf8proc_category_t category(char32_t c) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

char32_t upper_char(char32_t c) {
    if (c < 0x80) {
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    }
    return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}

char32_t lower_char(char32_t c) {
    if (c < 0x80) {
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

/// Sharp s is the one letter in everyday text whose capital is two letters.
void append_upper(std::string& out, char32_t c, bool title) {
    if (c == 0xDF) {
        out += title ? "Ss" : "SS";
        return;
    }
    append_char(out, upper_char(c));
}

bool is_line_break(char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

}  // namespace

char32_t next_char(std::string_view text, std::size_t& at) {
    const auto first = static_cast<unsigned char>(text[at]);
    if (first < 0x80) {
        ++at;
        return first;
    }
    utf8proc_int32_t c = -1;
    const auto rest = std::min<std::size_t>(text.size() - at, 4);
    const auto used = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                                       static_cast<utf8proc_ssize_t>(rest), &c);
    if (used <= 0) {
        ++at;
        return kBrokenByte + first;
    }
    at += static_cast<std::size_t>(used);
    return static_cast<char32_t>(c);
}

void append_char(std::string& out, char32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
        return;
    }
    if (c >= kBrokenByte + 0x80 && c <= kBrokenByte + 0xFF) {
        out += static_cast<char>(c - kBrokenByte);
        return;
    }
    utf8proc_uint8_t buffer[4];
    const auto used = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), buffer);
    out.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(used));
}

std::size_t char_count(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); ++count) {
        next_char(text, at);
    }
    return count;
}

std::size_t skip_chars(std::string_view text, std::size_t from, std::size_t count) {
    while (count > 0 && from < text.size()) {
        next_char(text, from);
        --count;
    }
    return from;
}

std::vector<std::size_t> char_offsets(std::string_view text) {
    std::vector<std::size_t> offsets;
    offsets.reserve(text.size() + 1);
    for (std::size_t at = 0; at < text.size();) {
        offsets.push_back(at);
        next_char(text, at);
    }
    offsets.push_back(text.size());
    return offsets;
}

bool is_space(char32_t c) {
    if (c < 0x80) {
        return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
    }
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_printable(char32_t c) {
    if (c < 0x80) {
        return c >= 0x20 && c < 0x7F;
    }
    switch (category(c)) {
        case UTF8PROC_CATEGORY_CN:
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP:
        case UTF8PROC_CATEGORY_ZS:
            return false;
        default:
            return true;
    }
}

bool is_alpha(char32_t c) {
    const auto kind = category(c);
    return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_upper(char32_t c) {
    return category(c) == UTF8PROC_CATEGORY_LU;
}

bool is_lower(char32_t c) {
    return category(c) == UTF8PROC_CATEGORY_LL;
}

std::string_view strip(std::string_view text, std::optional<std::string_view> chars, bool left,
                       bool right) {
    std::u32string set;
    for (std::size_t at = 0; chars && at < chars->size();) {
        set += next_char(*chars, at);
    }
    const auto drops = [&](char32_t c) {
        return chars ? set.find(c) != std::u32string::npos : is_space(c);
    };
    std::size_t begin = 0;
    while (left && begin < text.size()) {
        std::size_t next = begin;
        if (!drops(next_char(text, next))) {
            break;
        }
        begin = next;
    }
    std::size_t end = text.size();
    while (right && end > begin) {
        std::size_t start = end - 1;
        while (start > begin && end - start < 4 &&
               (static_cast<unsigned char>(text[start]) & 0xC0U) == 0x80) {
            --start;
        }
        std::size_t next = start;
        char32_t c = next_char(text, next);
        if (next != end) {  // not one whole character: the last byte stands alone
            start = end - 1;
            c = kBrokenByte + static_cast<unsigned char>(text[start]);
        }
        if (!drops(c)) {
            break;
        }
        end = start;
    }
    return text.substr(begin, end - begin);
}

std::string to_upper(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        append_upper(out, next_char(text, at), false);
    }
    return out;
}

std::string to_lower(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        append_char(out, lower_char(next_char(text, at)));
    }
    return out;
}

std::string to_capitalized(std::string_view text) {
    std::string out;
    std::size_t at = 0;
    if (!text.empty()) {
        append_upper(out, next_char(text, at), true);
    }
    return out + to_lower(text.substr(at));
}

std::string to_title(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    bool inside_word = false;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = next_char(text, at);
        if (inside_word) {
            append_char(out, lower_char(c));
        } else {
            append_upper(out, c, true);
        }
        inside_word = is_upper(c) || is_lower(c);
    }
    return out;
}

std::string_view take_line(std::string_view& rest) {
    for (std::size_t at = 0; at < rest.size();) {
        const std::size_t end = at;
        const char32_t c = next_char(rest, at);
        if (!is_line_break(c)) {
            continue;
        }
        if (c == '\r' && at < rest.size() && rest[at] == '\n') {
            ++at;
        }
        const auto line = rest.substr(0, end);
        rest.remove_prefix(at);
        return line;
    }
    return std::exchange(rest, {});
}

}  // namespace trilane::chat
