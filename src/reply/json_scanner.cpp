#include "reply/json_scanner.h"

#include <algorithm>
#include <array>

#include "json/json.h"
#include "json/text.h"

namespace trilane::reply {
namespace {

/// Longer numbers are no numbers that anybody means.
constexpr std::size_t kNumberBytesMax = 64;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// RFC 8259, section 6.
bool is_number(std::string_view text) {
    std::size_t i = text.starts_with('-') ? 1 : 0;
    const auto digits = [&] {
        const std::size_t begin = i;
        while (i < text.size() && is_digit(text[i])) {
            ++i;
        }
        return i - begin;
    };
    const bool zero = i < text.size() && text[i] == '0';
    const std::size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) {
        return false;
    }
    if (i < text.size() && text[i] == '.') {
        ++i;
        if (digits() == 0) {
            return false;
        }
    }
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        ++i;
        if (i < text.size() && (text[i] == '+' || text[i] == '-')) {
            ++i;
        }
        if (digits() == 0) {
            return false;
        }
    }
    return i == text.size();
}

bool is_word(std::string_view text) {
    return text == "true" || text == "false" || text == "null";
}

bool begins_word(std::string_view text) {
    constexpr std::array<std::string_view, 3> kWords{"true", "false", "null"};
    return std::ranges::any_of(kWords, [&](std::string_view w) { return w.starts_with(text); });
}

bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

JsonScanner::Step JsonScanner::push(char c) {
    if (in_string()) {
        return push_string(c);
    }
    if (in_scalar()) {
        return push_scalar(c);
    }
    if (is_space(c)) {
        return Step::more;
    }
    switch (state_) {
        case State::value:
            return begin_value(c);
        case State::first_value:
            return c == ']' ? close(c) : begin_value(c);
        case State::first_key:
        case State::key:
            if (c == '"') {
                key_ = true;
                state_ = State::string;
                return Step::more;
            }
            return c == '}' && state_ == State::first_key ? close(c) : Step::bad;
        case State::colon:
            state_ = State::value;
            return c == ':' ? Step::more : Step::bad;
        default:
            return push_after(c);
    }
}

JsonScanner::Step JsonScanner::begin_value(char c) {
    if (c == '{' || c == '[') {
        if (open_.size() >= json::kDepthMax) {
            return Step::bad;
        }
        open_ += c;
        state_ = c == '{' ? State::first_key : State::first_value;
        return Step::more;
    }
    if (c == '"') {
        key_ = false;
        state_ = State::string;
        return Step::more;
    }
    if (open_.empty()) {
        return Step::bad;  // a number alone has no end of its own
    }
    scalar_ = c;
    if (c == '-' || is_digit(c)) {
        state_ = State::number;
        return Step::more;
    }
    state_ = State::word;
    return begins_word(scalar_) ? Step::more : Step::bad;
}

JsonScanner::Step JsonScanner::push_string(char c) {
    switch (state_) {
        case State::escape:
            if (c == 'u') {
                digits_ = 4;
                state_ = State::unicode;
                return Step::more;
            }
            state_ = State::string;
            return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos ? Step::more
                                                                                    : Step::bad;
        case State::unicode:
            if (--digits_ == 0) {
                state_ = State::string;
            }
            return is_hex(c) ? Step::more : Step::bad;
        default:
            break;
    }
    if (c == '\\') {
        state_ = State::escape;
    } else if (c == '"') {
        if (key_) {
            key_ = false;
            state_ = State::colon;
            return Step::more;
        }
        return ended();
    }
    return Step::more;
}

JsonScanner::Step JsonScanner::push_scalar(char c) {
    if (is_space(c) || c == ',' || c == '}' || c == ']') {
        if (state_ == State::number ? !is_number(scalar_) : !is_word(scalar_)) {
            return Step::bad;
        }
        state_ = State::after;
        return is_space(c) ? Step::more : push_after(c);
    }
    scalar_ += c;
    if (state_ == State::word) {
        return begins_word(scalar_) ? Step::more : Step::bad;
    }
    const bool part = is_digit(c) || std::string_view("+-.eE").find(c) != std::string_view::npos;
    return part && scalar_.size() <= kNumberBytesMax ? Step::more : Step::bad;
}

JsonScanner::Step JsonScanner::push_after(char c) {
    if (open_.empty()) {
        return Step::bad;
    }
    if (c == ',') {
        state_ = open_.back() == '{' ? State::key : State::value;
        return Step::more;
    }
    return close(c);
}

JsonScanner::Step JsonScanner::close(char c) {
    if (c != (open_.back() == '{' ? '}' : ']')) {
        return Step::bad;
    }
    open_.pop_back();
    return ended();
}

JsonScanner::Step JsonScanner::ended() {
    state_ = State::after;
    return open_.empty() ? Step::done : Step::more;
}

void append_repaired(std::string& out, char c, bool in_string) {
    if (in_string && static_cast<unsigned char>(c) < 0x20) {
        json::append_escaped(out, std::string_view(&c, 1));
    } else {
        out += c;
    }
}

}  // namespace trilane::reply
