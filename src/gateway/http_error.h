// Errors as whole answers: HTTP's own (401, 404, 405, 413 …) and those of jobs, in the words of the
// API that was spoken.
#pragma once

#include <string_view>

#include "base/result.h"
#include "dialect/dialect.h"
#include "net/http.h"

namespace trilane::gateway {

/// 429 and 503 say when to try again.
net::Response http_error(const dialect::ErrorShape& shape, unsigned status,
                         std::string_view message);

/// The response for a failed job or a refused body.
net::Response fault_response(const dialect::ErrorShape& shape, const Error& error);

}  // namespace trilane::gateway
