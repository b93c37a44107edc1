// Who may ask: the API key, and which web pages a browser lets read the answers (CORS).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace trilane::gateway {

struct AccessRules {
    std::string api_key;                       ///< empty = no key is asked for
    std::vector<std::string> allowed_origins;  ///< empty = CORS off; "*" = every page
};

/// True when the texts are equal; takes as long for a wrong text as for a right one of its length.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// True when the request carries `Authorization: Bearer <api_key>`, or none is asked for.
bool has_key(const AccessRules& rules, const net::Request& request);

/// True when a browser sends the request for a page of another site: its Origin is neither allowed
/// nor a loopback address or name. Such a page could not read the answer, but it could make this
/// machine work, or reach it under a name of its own that it points at the loopback. Where a key is
/// asked for, that protects already.
bool from_foreign_page(const AccessRules& rules, const net::Request& request);

/// The CORS headers of an answer to `request`; none when its Origin is absent or not allowed.
void add_cors_headers(const AccessRules& rules, const net::Request& request,
                      std::vector<net::Header>& headers);

/// The same for the OPTIONS request by which a browser asks first.
/// **Source:** https://fetch.spec.whatwg.org/#http-cors-protocol
void add_preflight_headers(const AccessRules& rules, const net::Request& request,
                           std::string_view methods, std::vector<net::Header>& headers);

}  // namespace trilane::gateway
