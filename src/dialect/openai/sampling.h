// How tokens are drawn and where they end, as the bodies of all generating endpoints say it.
// Private to this dialect.
#pragma once

#include "base/result.h"
#include "dialect/fields.h"
#include "job/job.h"

namespace trilane::dialect::openai {

/// **Errors:** of both: invalid, as parse() says.
Status read_sampling(const Fields& body, job::Sampling& sampling);
Status read_stop(const Fields& body, job::Request& request);

}  // namespace trilane::dialect::openai
