#include "lane/upstream/json_cursor.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace trilane::lane::upstream {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

void append_utf8(std::string& out, std::uint32_t c) {
    const auto byte = [&out](std::uint32_t value) { out += static_cast<char>(value); };
    if (c < 0x80) {
        byte(c);
    } else if (c < 0x800) {
        byte(0xC0U | (c >> 6U));
        byte(0x80U | (c & 0x3FU));
    } else if (c < 0x10000) {
        byte(0xE0U | (c >> 12U));
        byte(0x80U | ((c >> 6U) & 0x3FU));
        byte(0x80U | (c & 0x3FU));
    } else {
        byte(0xF0U | (c >> 18U));
        byte(0x80U | ((c >> 12U) & 0x3FU));
        byte(0x80U | ((c >> 6U) & 0x3FU));
        byte(0x80U | (c & 0x3FU));
    }
}

bool is_high_surrogate(std::uint32_t unit) {
    return unit >= 0xD800 && unit < 0xDC00;
}
bool is_low_surrogate(std::uint32_t unit) {
    return unit >= 0xDC00 && unit < 0xE000;
}

}  // namespace

JsonCursor::Kind JsonCursor::kind() {
    skip_space();
    if (at_ == end_) {
        return Kind::none;
    }
    switch (*at_) {
        case '{':
            return Kind::object;
        case '[':
            return Kind::array;
        case '"':
            return Kind::string;
        case 't':
        case 'f':
            return Kind::boolean;
        case 'n':
            // "nan" is a number that is none.
            return end_ - at_ >= 2 && at_[1] == 'a' ? Kind::number : Kind::null;
        case '-':
        case 'N':
        case 'I':
        case 'i':
            return Kind::number;
        default:
            return *at_ >= '0' && *at_ <= '9' ? Kind::number : Kind::none;
    }
}

bool JsonCursor::plain(std::string_view& into) {
    if (!take('"')) {
        return false;
    }
    const char* const begin = at_;
    while (at_ != end_) {
        const char c = *at_;
        if (c == '"') {
            into = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
            ++at_;
            return true;
        }
        if (static_cast<unsigned char>(c) < 0x20) {
            return false;
        }
        if (c == '\\' && ++at_ == end_) {
            return false;
        }
        ++at_;
    }
    return false;
}

bool JsonCursor::string(std::string& into) {
    if (!take('"')) {
        return false;
    }
    const char* run = at_;  // start of the bytes that stand for themselves
    while (at_ != end_) {
        const char c = *at_;
        if (c == '"') {
            into.append(run, at_);
            ++at_;
            return true;
        }
        if (static_cast<unsigned char>(c) < 0x20) {
            return false;
        }
        if (c != '\\') {
            ++at_;
            continue;
        }
        into.append(run, at_);
        ++at_;
        if (!escape(into)) {
            return false;
        }
        run = at_;
    }
    return false;
}

/// Reads what stands behind a backslash.
bool JsonCursor::escape(std::string& into) {
    if (at_ == end_) {
        return false;
    }
    switch (const char c = *at_++) {
        case '"':
        case '\\':
        case '/':
            into += c;
            return true;
        case 'b':
            into += '\b';
            return true;
        case 'f':
            into += '\f';
            return true;
        case 'n':
            into += '\n';
            return true;
        case 'r':
            into += '\r';
            return true;
        case 't':
            into += '\t';
            return true;
        case 'u':
            break;
        default:
            return false;
    }
    std::uint32_t unit = 0;
    if (!code_unit(unit)) {
        return false;
    }
    while (is_high_surrogate(unit)) {
        std::uint32_t second = 0;
        if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') {
            append_utf8(into, kReplacement);
            return true;
        }
        at_ += 2;
        if (!code_unit(second)) {
            return false;
        }
        if (is_low_surrogate(second)) {
            append_utf8(into, 0x10000 + ((unit - 0xD800) << 10U) + (second - 0xDC00));
            return true;
        }
        append_utf8(into, kReplacement);
        unit = second;
    }
    append_utf8(into, is_low_surrogate(unit) ? kReplacement : unit);
    return true;
}

bool JsonCursor::code_unit(std::uint32_t& into) {
    if (end_ - at_ < 4) {
        return false;
    }
    constexpr int kHexBase = 16;
    const auto [stop, error] = std::from_chars(at_, at_ + 4, into, kHexBase);
    if (error != std::errc() || stop != at_ + 4) {
        return false;
    }
    at_ += 4;
    return true;
}

bool JsonCursor::word(std::string_view word) {
    if (std::string_view(at_, static_cast<std::size_t>(end_ - at_)).substr(0, word.size()) !=
        word) {
        return false;
    }
    at_ += word.size();
    return true;
}

bool JsonCursor::number(double& into) {
    skip_space();
    const char* const begin = at_;
    const auto [stop, error] = std::from_chars(at_, end_, into);
    if (stop != begin) {
        at_ = stop;
        if (error == std::errc::result_out_of_range || !std::isfinite(into)) {
            into = std::numeric_limits<double>::quiet_NaN();
        }
        return true;
    }
    return false;
}

bool JsonCursor::skip() {
    switch (kind()) {
        case Kind::object:
            return object([this](std::string_view) { return skip(); });
        case Kind::array:
            return array([this] { return skip(); });
        case Kind::string: {
            std::string_view ignored;
            return plain(ignored);
        }
        case Kind::number: {
            double ignored = 0;
            return number(ignored);
        }
        case Kind::boolean:
            return word("true") || word("false");
        case Kind::null:
            return word("null");
        case Kind::none:
            break;
    }
    return false;
}

bool JsonCursor::raw(std::string_view& into) {
    skip_space();
    const char* const begin = at_;
    if (!skip()) {
        return false;
    }
    into = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
    return true;
}

bool JsonCursor::at_end() {
    skip_space();
    return at_ == end_;
}

}  // namespace trilane::lane::upstream
