// Regular expressions → parts: what ECMAScript writes, less what looks around or back. The writer
// of characters is a parameter: inside JSON strings some are spelled otherwise.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "grammar/builder.h"

namespace trilane::grammar {

struct RegexStyle {
    /// The part that matches one character of the set, as the answer spells it.
    std::function<Part(Builder&, const CharSet&)> write;
    /// Without ^ or $ the expression may match anywhere in the text, as schemas mean it; otherwise
    /// it is the whole text with or without them.
    bool search = false;
};

/// **Errors:** invalid, with the column.
Result<Part> add_regex(Builder& builder, std::string_view source, const RegexStyle& style);

}  // namespace trilane::grammar
