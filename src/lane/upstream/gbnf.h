// Formats that llama-server knows only as grammars, in its language (GBNF): a list of texts, and
// regular expressions as clients write them. Text in, text out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trilane::lane::upstream {

/// Longer expressions, deeper groups and larger counts than these are refused.
inline constexpr std::size_t kRegexBytesMax = 16'384;
inline constexpr unsigned kRegexDepthMax = 64;
inline constexpr unsigned kRegexRepeatMax = 1'000;

/// Exactly one of these texts.
std::string grammar_of_choices(const std::vector<std::string>& choices);

/// The whole answer must match the expression: alternatives, groups, classes, the usual escapes
/// and counts. **Errors:** invalid, naming what it does not know (look-around, back references …).
Result<std::string> grammar_of_regex(std::string_view regex);

}  // namespace trilane::lane::upstream
