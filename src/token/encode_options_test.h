// The two ways in which tests encode.
#pragma once

#include "token/tokenizer.h"

namespace trilane::token {

inline constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};
inline constexpr EncodeOptions kSpecial{.add_special = false, .parse_special = true};

}  // namespace trilane::token
