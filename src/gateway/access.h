// Who may ask: the API key, and which web pages a browser lets read the answers (CORS).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "access/door.h"
#include "net/http.h"

namespace trilane::gateway {

struct AccessRules {
    /// Keys and their limits; null = no key is asked for.
    std::shared_ptr<access::Door> door;
    std::vector<std::string> allowed_origins;  ///< empty = CORS off; "*" = every page
    /// Names by which browsers may reach this machine while no key is asked for, beside loopback
    /// names and addresses.
    std::vector<std::string> hosts;
};

/// The key that a request carries: `Authorization: Bearer KEY`, or `x-api-key: KEY`; "" = none.
std::string_view key_sent(const net::Request& request);

/// True when a browser sends the request for a page of another site: its Origin is neither allowed
/// nor a loopback address or name. Such a page could not read the answer, but it could make this
/// machine work. Where a key is asked for, that protects already.
bool from_foreign_page(const AccessRules& rules, const net::Request& request);

/// True when the request's Host is a name that somebody may have pointed at this machine: a page
/// from there could read answers as if it were ours (DNS rebinding). Addresses, loopback names and
/// `rules.hosts` are none. Where a key is asked for, that protects already.
bool under_foreign_name(const AccessRules& rules, const net::Request& request);

/// The CORS headers of an answer to `request`; none when its Origin is absent or not allowed.
void add_cors_headers(const AccessRules& rules, const net::Request& request,
                      std::vector<net::Header>& headers);

/// The same for the OPTIONS request by which a browser asks first.
/// **Source:** https://fetch.spec.whatwg.org/#http-cors-protocol
void add_preflight_headers(const AccessRules& rules, const net::Request& request,
                           std::string_view methods, std::vector<net::Header>& headers);

}  // namespace trilane::gateway
