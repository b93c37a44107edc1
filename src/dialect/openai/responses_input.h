// The input of a response → messages. Private to this dialect.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/openai/responses.h"
#include "dialect/openai/tools.h"
#include "json/fwd.h"

namespace trilane::dialect::openai {

/// What `input` adds to a conversation.
struct Input {
    std::vector<job::Message> messages;
    std::vector<std::string> items;  ///< the same as items with ids, JSON each
};

/// A text or an array of items. `suffix` makes the ids of items that come without; `store` has the
/// items that are named only; `names` says how the model knows functions of namespaces.
/// **Errors:** invalid, as ask_response() says.
Result<Input> read_input(const json::Value* input, std::string_view suffix,
                         const SpacedNames& names, ResponseStore& store);

}  // namespace trilane::dialect::openai
