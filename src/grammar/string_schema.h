// Strings of a JSON schema: lengths, patterns and formats.
#pragma once

#include <string>

#include "base/result.h"
#include "grammar/builder.h"
#include "grammar/json_text.h"
#include "json/fwd.h"

namespace trilane::grammar {

/// A JSON string, quotes included, that the schema at `place` holds for.
Result<Part> read_string(Builder& builder, JsonText& text, const json::Value& schema,
                         const std::string& place);

}  // namespace trilane::grammar
