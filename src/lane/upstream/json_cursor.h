// JsonCursor: reads one JSON text from front to back, without building values: the pieces of a
// streamed answer are small and many, and most of each is not wanted. Lenient only about numbers
// that are none (NaN, Infinity), which some servers write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trilane::lane::upstream {

/// Every function that returns bool says false when the text is broken there; then nothing else of
/// the cursor may be used.
class JsonCursor {
public:
    static constexpr unsigned kDepthMax = 64;

    enum class Kind : std::uint8_t { object, array, string, number, boolean, null, none };

    /// The text must outlive the cursor.
    explicit JsonCursor(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

    /// What comes next; `none` at the end and before what cannot begin a value.
    [[nodiscard]] Kind kind();

    /// Reads an object: calls field(key) for each, which must read or skip the value and return
    /// whether that went well. Keys come as they stand in the text, escapes included.
    template <class Field>
    [[nodiscard]] bool object(Field field) {
        if (!take('{') || ++depth_ > kDepthMax) {
            return false;
        }
        if (!take('}')) {
            do {
                std::string_view key;
                if (!plain(key) || !take(':') || !field(key)) {
                    return false;
                }
            } while (take(','));
            if (!take('}')) {
                return false;
            }
        }
        --depth_;
        return true;
    }

    /// Reads an array: calls element() before each, which must read or skip it.
    template <class Element>
    [[nodiscard]] bool array(Element element) {
        if (!take('[') || ++depth_ > kDepthMax) {
            return false;
        }
        if (!take(']')) {
            do {
                if (!element()) {
                    return false;
                }
            } while (take(','));
            if (!take(']')) {
                return false;
            }
        }
        --depth_;
        return true;
    }

    /// Appends a string's text. Halves of surrogate pairs become U+FFFD; bytes are not checked.
    [[nodiscard]] bool string(std::string& into);
    /// A string's inside as it stands in the text, escapes included.
    [[nodiscard]] bool plain(std::string_view& into);
    /// NaN for what is none.
    [[nodiscard]] bool number(double& into);
    [[nodiscard]] bool skip();
    /// Skips a value and says what its text was.
    [[nodiscard]] bool raw(std::string_view& into);

    /// Whether only white space is left.
    [[nodiscard]] bool at_end();

private:
    void skip_space() {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) {
            ++at_;
        }
    }
    bool take(char c) {
        skip_space();
        if (at_ == end_ || *at_ != c) {
            return false;
        }
        ++at_;
        return true;
    }
    bool word(std::string_view word);
    bool escape(std::string& into);
    bool code_unit(std::uint32_t& into);

    const char* at_;
    const char* end_;
    unsigned depth_ = 0;
};

}  // namespace trilane::lane::upstream
