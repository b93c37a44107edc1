// The tools of a request and which of them the model may or must call → job::Chat. Private to this
// dialect.
#pragma once

#include <string>

#include "base/result.h"
#include "dialect/fields.h"
#include "job/chat.h"

namespace trilane::dialect::openai {

/// Where a function's name and parameters stand: in a "function" of its own (chat), or in the tool
/// itself (responses).
enum class ToolShape { nested, flat };

/// "tools", "tool_choice" and "parallel_tool_calls"; of a chat also "functions" and
/// "function_call", which they had before. Tools that must not be called are left out.
/// **Errors:** invalid, as parse() says.
Status read_tools(const Fields& body, ToolShape shape, job::Chat& chat);

/// Whether a chat's body has tools in the old way only, and wants its answer in it.
bool has_old_functions(const Fields& body);

}  // namespace trilane::dialect::openai
