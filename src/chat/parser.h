// Tokens → Program. Every construct that is not known is refused here, with its place, so that a
// compiled template holds only what the interpreter can do.
#pragma once

#include <string_view>

#include "base/result.h"
#include "chat/syntax.h"

namespace trilane::chat {

/// Brackets, blocks and prefix operators nest at most this deep in a source.
inline constexpr unsigned kSourceNestingMax = 60;
/// The longest way down one expression, chains like a + b + c included.
inline constexpr unsigned kExprHeightMax = 250;

/// **Errors:** invalid, with line and column.
Result<Program> parse(std::string_view source);

}  // namespace trilane::chat
