#include "net/request_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace trilane::net {
namespace {

bool is_target(std::string_view text) {
    return text.starts_with('/') && std::all_of(text.begin(), text.end(), [](char c) {
               return static_cast<unsigned char>(c) > 0x20 && c != 0x7F;
           });
}

/// Headers that say how the message is framed: the client's own to write.
bool is_framing(std::string_view name) {
    return equal_ignoring_case(name, "Host") || equal_ignoring_case(name, "Content-Length") ||
           equal_ignoring_case(name, "Connection") ||
           equal_ignoring_case(name, "Transfer-Encoding");
}

bool may_lack_length(const Outgoing& request) {
    return request.body.empty() &&
           (request.method == "GET" || request.method == "HEAD" || request.method == "DELETE");
}

}  // namespace

std::string host_line(const Target& target) {
    const Target origin{target.tls, target.host, target.port, "", "", ""};
    const std::string url = origin.text();
    return "Host: " + url.substr(url.find("://") + 3) + "\r\n";
}

Status check_outgoing(const Outgoing& request) {
    if (!is_token(request.method)) {
        return fail(Fault::invalid, "'{}' is no HTTP method", request.method);
    }
    if (!is_target(request.target)) {
        return fail(Fault::invalid,
                    "the request target '{}' must begin with '/' and hold no blanks or control "
                    "characters; percent-encode them",
                    request.target);
    }
    for (const Header& header : request.headers) {
        constexpr std::string_view kBreaks("\r\n\0", 3);
        if (!is_token(header.name) || header.value.find_first_of(kBreaks) != std::string::npos) {
            return fail(Fault::invalid,
                        "the header '{}' cannot be sent: its name or value would break out of its "
                        "line",
                        header.name);
        }
    }
    return {};
}

void append_request_head(std::string& out, const Target& target, std::string_view host_line,
                         const Outgoing& request) {
    out.append(request.method).append(" ").append(target.base_path).append(request.target);
    out.append(" HTTP/1.1\r\n").append(host_line);
    for (const Header& header : request.headers) {
        if (!is_framing(header.name)) {
            out.append(header.name).append(": ").append(header.value).append("\r\n");
        }
    }
    if (!may_lack_length(request)) {
        fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", request.body.size());
    }
    out.append("\r\n");
}

}  // namespace trilane::net
