// Marks in a text that comes in pieces: where one is, and how much of the end may be the beginning
// of one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace trilane::reply {

/// Before each call of DeepSeek's models.
inline constexpr std::string_view kDeepseekCall = "<\uFF5Ctool\u2581call\u2581begin\uFF5C>";

/// Length of the longest end of `text` that is a beginning of `mark`, but not all of it.
inline std::size_t begun(std::string_view text, std::string_view mark) {
    for (std::size_t n = std::min(text.size(), mark.size() - 1); n > 0; --n) {
        if (text.ends_with(mark.substr(0, n))) {
            return n;
        }
    }
    return 0;
}

}  // namespace trilane::reply
