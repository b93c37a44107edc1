// Query: what a request's target says beside its path. Knows no endpoint.
#pragma once

#include <string>
#include <string_view>

namespace trilane::gateway {

/// "%2F" → "/". A '%' without two hexadecimal digits stays as it is.
std::string percent_decoded(std::string_view text);

/// The value of the first `name=…` in the target's query, decoded; "" when there is none.
std::string query_text(std::string_view target, std::string_view name);

}  // namespace trilane::gateway
