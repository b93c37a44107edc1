// JsonScanner: one JSON value read byte by byte: is it well-formed so far, has it ended. Keeps no
// values. One leniency: control characters inside strings pass, which models write and parsers
// refuse; append_repaired() spells them as JSON does.
#pragma once

#include <string>
#include <string_view>

namespace trilane::reply {

class JsonScanner {
public:
    enum class Step {
        more,
        done,  ///< the value, an object, array or string, ended with this byte
        bad,   ///< no JSON; the scanner is of no further use
    };

    Step push(char c);

    /// Objects and arrays that are open.
    [[nodiscard]] std::size_t depth() const { return open_.size(); }
    /// A value may begin with the next byte (or white space before it).
    [[nodiscard]] bool at_value() const { return state_ == State::value; }
    [[nodiscard]] bool in_string() const { return state_ == State::string || in_escape(); }
    /// The string that is being read is a key.
    [[nodiscard]] bool in_key() const { return key_ && in_string(); }
    /// A value has just ended; a comma or the end of what holds it follows.
    [[nodiscard]] bool after_value() const { return state_ == State::after; }
    /// Inside a number or a word (true, false, null), which only the next byte can end.
    [[nodiscard]] bool in_scalar() const {
        return state_ == State::number || state_ == State::word;
    }

private:
    enum class State {
        value,
        first_value,
        first_key,
        key,
        colon,
        after,
        string,
        escape,
        unicode,
        number,
        word
    };

    [[nodiscard]] bool in_escape() const {
        return state_ == State::escape || state_ == State::unicode;
    }
    Step begin_value(char c);
    Step push_string(char c);
    Step push_scalar(char c);
    Step push_after(char c);
    Step close(char c);
    Step ended();

    State state_ = State::value;
    std::string open_;    // '{' and '[' of what is open
    std::string scalar_;  // the number or word so far
    bool key_ = false;
    int digits_ = 0;  // of \uXXXX that are still to come
};

/// Appends a byte of a JSON text; inside a string, control characters as their escapes.
void append_repaired(std::string& out, char c, bool in_string);

/// Whether the byte is JSON's white space.
constexpr bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

}  // namespace trilane::reply
