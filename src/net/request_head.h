// What a client puts before a request's body. Pure text; refuses what would break out of its line.
#pragma once

#include <string>

#include "net/client.h"

namespace trilane::net {

/// "Host: …\r\n" of a target.
std::string host_line(const Target& target);

/// **Errors:** invalid: a method, target or header that cannot be sent, by name.
Status check_outgoing(const Outgoing& request);

/// Appends the request line and the headers, to the blank line, of a request that was checked.
void append_request_head(std::string& out, const Target& target, std::string_view host_line,
                         const Outgoing& request);

}  // namespace trilane::net
