// Errors that are HTTP's rather than a job's (401, 404, 405, 413 …), in OpenAI's error shape.
#pragma once

#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace trilane::gateway {

/// {"error": {"message", "type", "param": null, "code"}} with a code that follows from the status;
/// 429 and 503 say when to try again.
net::Response http_error(unsigned status, std::string_view message);

/// The response for a failed job or a refused body: the dialect's status and words.
net::Response fault_response(const Error& error);

}  // namespace trilane::gateway
