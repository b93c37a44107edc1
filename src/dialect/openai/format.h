// The shape that an answer must have, in all the ways in which clients of this API ask for it:
// OpenAI's response_format, llama.cpp's and vLLM's fields. Private to this dialect.
#pragma once

#include <string>

#include "base/result.h"
#include "dialect/fields.h"
#include "job/chat.h"

namespace trilane::dialect::openai {

/// Of a chat or a completion.
/// **Errors:** invalid, as parse() says; more than one shape is one of them.
Result<job::Format> read_format(const Fields& body);

/// One object such as {"type": "json_schema", …}, whose parts may stand in it or in a
/// "json_schema" of its own. `path` is what it is called.
Result<job::Format> read_response_format(const json::Value& format, const std::string& path);

}  // namespace trilane::dialect::openai
