#include "grammar/text_reader.h"

#include <algorithm>

#include "grammar/builder.h"

namespace trilane::grammar {
namespace {

int hex_value(char32_t c) {
    if (c >= '0' && c <= '9') {
        return static_cast<int>(c - '0');
    }
    c |= 0x20U;
    return c >= 'a' && c <= 'f' ? static_cast<int>(c - 'a') + 10 : -1;
}

bool is_digit(char32_t c) {
    return c >= '0' && c <= '9';
}

}  // namespace

char32_t TextReader::take() {
    if (done()) {
        return 0;
    }
    const auto lead = static_cast<unsigned char>(text_[at_++]);
    if (lead < 0x80) {
        return lead;
    }
    const unsigned more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    char32_t c = lead & (0x3FU >> more);
    for (unsigned i = 0; i < more && !done(); ++i) {
        c = (c << 6U) | (static_cast<unsigned char>(text_[at_++]) & 0x3FU);
    }
    return c;
}

bool TextReader::accept(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) {
        return false;
    }
    at_ += word.size();
    return true;
}

Result<std::uint32_t> TextReader::number(std::string_view what) {
    if (!is_digit(peek())) {
        return wrong(what, "a number is expected");
    }
    std::uint64_t value = 0;
    while (is_digit(peek())) {
        value = std::min<std::uint64_t>(value * 10 + (take() - '0'), kUnbounded);
    }
    return static_cast<std::uint32_t>(value);
}

Result<std::pair<std::uint32_t, std::uint32_t>> TextReader::bounds(std::string_view what) {
    take();
    const auto skip_spaces = [this] {
        while (peek() == ' ') {
            take();
        }
    };
    skip_spaces();
    std::uint32_t min = 0;
    if (peek() != ',') {
        TRILANE_TRY(min, number(what));
    }
    std::uint32_t max = min;
    skip_spaces();
    if (accept(",")) {
        skip_spaces();
        max = kUnbounded;
        if (peek() != '}') {
            TRILANE_TRY(max, number(what));
        }
    }
    skip_spaces();
    if (!accept("}")) {
        return wrong(what, "a repetition is written {m}, {m,} or {m,n}");
    }
    if (max < min) {
        return wrong(what, "a repetition's maximum is less than its minimum");
    }
    if (min >= kUnbounded) {
        return wrong(what, "a repetition asks for more than any answer holds");
    }
    return std::pair{min, max};
}

Result<char32_t> TextReader::hex(unsigned digits, std::string_view what) {
    char32_t value = 0;
    for (unsigned i = 0; i < digits; ++i) {
        const int digit = hex_value(peek());
        if (digit < 0) {
            return wrong(what, fmt::format("{} hexadecimal digits are expected", digits));
        }
        take();
        value = (value << 4U) | static_cast<char32_t>(digit);
    }
    return value;
}

tl::unexpected<Error> TextReader::wrong(std::string_view what, std::string_view why) const {
    const std::string_view before = text_.substr(0, at_);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t newline = before.rfind('\n');
    const std::size_t column = newline == std::string_view::npos ? at_ + 1 : at_ - newline;
    return fail(Fault::invalid, "the {} is wrong at line {}, column {}: {}", what, line, column,
                why);
}

bool append_utf8(std::string& text, char32_t c) {
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return false;
    }
    const auto byte = [&](char32_t value) { text += static_cast<char>(value); };
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
    return true;
}

}  // namespace trilane::grammar
