// TextReader: a cursor over the characters of a grammar or an expression, which knows its line and
// column for messages. The text must be valid UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace trilane::grammar {

/// Groups within groups, in GBNF and in regular expressions: reading them recurses.
inline constexpr unsigned kGroupDepthMax = 100;

class TextReader {
public:
    explicit TextReader(std::string_view text) : text_(text) {}

    [[nodiscard]] bool done() const { return at_ >= text_.size(); }
    /// The byte `ahead` of here, 0 at the end: for the ASCII that a syntax is made of.
    [[nodiscard]] char32_t peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? static_cast<unsigned char>(text_[at_ + ahead]) : 0;
    }
    /// The next character; 0 at the end.
    char32_t take();
    /// Takes `word` when it stands here.
    bool accept(std::string_view word);

    /// "{m}", "{m,}", "{,n}", "{m,n}" with the cursor on its brace: min and max.
    Result<std::pair<std::uint32_t, std::uint32_t>> bounds(std::string_view what);
    /// Decimal digits; large ones are kUnbounded.
    Result<std::uint32_t> number(std::string_view what);
    /// Exactly `digits` hexadecimal digits.
    Result<char32_t> hex(unsigned digits, std::string_view what);

    /// "the grammar is wrong at line 3, column 7: …".
    [[nodiscard]] tl::unexpected<Error> wrong(std::string_view what, std::string_view why) const;

private:
    std::string_view text_;
    std::size_t at_ = 0;
};

/// Appends the character; false when there is none of this number.
bool append_utf8(std::string& text, char32_t c);

}  // namespace trilane::grammar
