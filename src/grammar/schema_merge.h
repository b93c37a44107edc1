// What several JSON schemas ask together, as one schema; and whether two of them can hold for the
// same value. Internal to the schema reader.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "json/fwd.h"

namespace trilane::grammar {

/// The value behind a reference within `root`: "#", "#/$defs/x".
/// **Errors:** invalid for other documents, anchors, and places that are not there.
Result<const json::Value*> resolve(const json::Value& root, std::string_view reference);

/// `schema` with its "$ref" and "allOf" worked into it.
/// **Errors:** invalid for what contradicts itself or cannot be said in one schema.
Result<json::Value> flattened(const json::Value& root, const json::Value& schema,
                              const std::string& place);

/// A schema that holds where both hold; both flattened.
Result<json::Value> merged(const json::Value& a, const json::Value& b, const std::string& place);

/// Whether no answer written for one of them holds for the other as well. False = cannot tell.
bool never_both(const json::Value& root, const json::Value& a, const json::Value& b);

/// Keywords that tell a reader something but bind no value.
bool is_annotation(std::string_view keyword);

}  // namespace trilane::grammar
