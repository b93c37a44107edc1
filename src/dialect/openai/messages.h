// The conversation half of a chat request: messages, tools and template variables → job::Chat.
// Private to this dialect.
#pragma once

#include "base/result.h"
#include "dialect/fields.h"
#include "job/job.h"

namespace trilane::dialect::openai {

/// **Errors:** invalid, as parse() says.
Result<job::Chat> read_chat(const Fields& body);

}  // namespace trilane::dialect::openai
