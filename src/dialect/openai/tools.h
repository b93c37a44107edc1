// The tools of a request and which of them the model may or must call → job::Chat. Private to this
// dialect.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dialect/fields.h"
#include "job/chat.h"

namespace trilane::dialect::openai {

/// Where a function's name and parameters stand: in a "function" of its own (chat), or in the tool
/// itself (responses).
enum class ToolShape { nested, flat };

/// A function of a namespace as the model knows it: one name.
std::string joined_name(std::string_view space, std::string_view name);
struct SpacedName {
    std::string space;
    std::string name;
};
/// What the model calls → what the client does, of all functions in {"type": "namespace"} tools.
using SpacedNames = std::map<std::string, SpacedName, std::less<>>;
/// Of a body whose tools read_tools() has taken.
SpacedNames spaced_names(const Fields& body);

/// "tools", "tool_choice" and "parallel_tool_calls"; of a chat also "functions" and
/// "function_call", which they had before; of responses also namespaces of functions. Tools that
/// must not be called are left out.
/// **Errors:** invalid, as parse() says.
Status read_tools(const Fields& body, ToolShape shape, job::Chat& chat);

/// Whether a chat's body has tools in the old way only, and wants its answer in it.
bool has_old_functions(const Fields& body);

}  // namespace trilane::dialect::openai
