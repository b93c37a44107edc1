// Sanity: does what a model said look like text at all? For models that have just been loaded:
// broken drivers answer in time, in shape, and with one character over and over.
#pragma once

#include <string_view>

#include "base/result.h"

namespace trilane::lane::upstream {

/// What the model is asked, and for how many tokens.
inline constexpr std::string_view kSanityPrompt = "Reply with the single word: ready";
inline constexpr unsigned kSanityTokens = 8;

/// **Errors:** corrupt, with the beginning of what came: nothing printable, one character over and
/// over, mostly bytes that are no text.
Status judge_sanity(std::string_view text);

}  // namespace trilane::lane::upstream
