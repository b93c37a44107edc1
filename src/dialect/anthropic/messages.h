// The conversation half of a request: system, messages, tools → job::Chat. Private to this
// dialect.
#pragma once

#include "base/result.h"
#include "dialect/fields.h"
#include "job/job.h"

namespace trilane::dialect::anthropic {

/// **Errors:** invalid, as parse() says.
Result<job::Chat> read_chat(const Fields& body);

}  // namespace trilane::dialect::anthropic
