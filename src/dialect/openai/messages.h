// The conversation half of a chat request: messages, tools and template variables → job::Chat.
// Private to this dialect.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/fields.h"
#include "job/job.h"

namespace trilane::dialect::openai {

/// **Errors:** of all of them: invalid, as parse() says.
Result<job::Chat> read_chat(const Fields& body);

/// What a message's content becomes.
struct Content {
    std::string text;
    std::vector<job::Media> media;
    bool after_text = false;  ///< its last part was text
};
/// An array of content parts.
Result<Content> read_parts(const json::Value& parts, const std::string& path);

/// "chat_template_kwargs" and "enable_thinking".
Status read_template_variables(const Fields& body, job::Chat& chat);
/// How much the model is to think: one of OpenAI's words in the field `name`.
Status read_effort(const Fields& fields, std::string_view name, job::Chat& chat);

}  // namespace trilane::dialect::openai
