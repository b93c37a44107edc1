// Errors as whole answers: HTTP's own (401, 404, 405, 413 …) and those of jobs, in the words of the
// API that was spoken.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "dialect/dialect.h"
#include "net/http.h"

namespace trilane::gateway {

/// 429 and 503 say when to try again: what lets them pass is mostly an answer's end or a client's
/// leaving: soon, and nobody knows when.
net::Response http_error(const dialect::ErrorShape& shape, unsigned status,
                         std::string_view message, std::uint32_t retry_after_s = 1);

/// The response for a failed job or a refused body.
net::Response fault_response(const dialect::ErrorShape& shape, const Error& error,
                             std::uint32_t retry_after_s = 1);

/// Not in any API's list of faults: what the models folder has no room for. Later alone will not
/// do; somebody has to delete something.
inline constexpr unsigned kInsufficientStorage = 507;
/// The status of what became of the library's work. Its exhausted is a full disk or a full list of
/// names, where others' is too many requests.
unsigned library_status(const Error& error);

/// Puts the x-request-id among `headers` into the body of an error, where the API wants it there.
void name_request(const dialect::ErrorShape& shape, std::span<const net::Header> headers,
                  net::Response& response);

}  // namespace trilane::gateway
