// Template text → tokens, with Jinja2's white-space control already applied (trim_blocks and
// lstrip_blocks on, one trailing newline dropped). Knows no grammar beyond brackets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chat/syntax.h"

namespace trilane::chat {

enum class TokenKind {
    text,
    variable_begin,
    variable_end,
    block_begin,
    block_end,
    name,
    string,
    integer,
    real,
    op,
    end,
};

struct Token {
    TokenKind kind = TokenKind::end;
    std::string text;  ///< literal text, name, operator, unescaped string, or the digits
    Position at;
};

/// The tokens of `source`, ending with one `end`.
/// **Errors:** invalid, with line and column.
/// **Source:** Jinja 3.1 template designer documentation, "Whitespace Control".
Result<std::vector<Token>> tokenize(std::string_view source);

/// `template:3:14: …`, the form of every compile error.
std::string place(Position at);

}  // namespace trilane::chat
