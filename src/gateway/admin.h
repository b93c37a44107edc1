// The administrators' endpoints: what is loaded, what children print, loading and unloading. JSON
// of Trilane's own; errors in the shape of the other endpoints.
#pragma once

#include <functional>

#include "catalog/library.h"
#include "net/http.h"
#include "plane/service.h"

namespace trilane::gateway {

/// Lines that one GET of a log answers at most.
inline constexpr std::size_t kLogLinesMax = 5000;

/// Answers a request whose path is below /trilane/v1/, at once or, for a load, when it has ended.
/// `respond` is called once, on any thread. `library`: whose pulls are shown; may be null.
void answer_admin(plane::Service& service, const catalog::Library* library,
                  const net::Request& request, std::function<void(net::Response)> respond);

}  // namespace trilane::gateway
