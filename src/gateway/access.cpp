#include "gateway/access.h"

#include <algorithm>

namespace trilane::gateway {
namespace {

constexpr std::string_view kPreflightSeconds = "600";

bool origin_allowed(const AccessRules& rules, std::string_view origin) {
    return std::any_of(rules.allowed_origins.begin(), rules.allowed_origins.end(),
                       [&](const std::string& allowed) {
                           return allowed == "*" || net::equal_ignoring_case(allowed, origin);
                       });
}

/// "name:8080" → "name"; "[::1]:8080" → "[::1]"; empty for what is no host and port.
std::string_view without_port(std::string_view authority) {
    const std::size_t end = authority.starts_with('[')
                                ? authority.find(']') + 1  // 0 when there is none
                                : std::min(authority.find(':'), authority.size());
    const std::string_view port = authority.substr(end);
    const bool good = port.empty() || (port.starts_with(':') &&
                                       port.find_first_not_of("0123456789", 1) == port.npos);
    return good ? authority.substr(0, end) : std::string_view();
}

/// "http://127.0.0.1:8080" → "127.0.0.1"; empty for what is no such thing ("null").
std::string_view host_of(std::string_view origin) {
    const std::size_t scheme = origin.find("://");
    if (scheme == std::string_view::npos) {
        return {};
    }
    return without_port(origin.substr(scheme + 3));
}

bool is_ipv4_loopback(std::string_view host) {
    return host.starts_with("127.") &&
           host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_loopback(std::string_view host) {
    constexpr std::string_view kLocal = ".localhost";
    return net::equal_ignoring_case(host, "localhost") || host == "[::1]" ||
           is_ipv4_loopback(host) ||
           (host.size() > kLocal.size() &&
            net::equal_ignoring_case(host.substr(host.size() - kLocal.size()), kLocal));
}

bool asks_for_a_key(const AccessRules& rules) {
    return rules.door != nullptr && !rules.door->is_open();
}

bool is_address(std::string_view host) {
    if (host.starts_with('[')) {
        return host.find_first_not_of("0123456789abcdefABCDEF:.", 1) == host.size() - 1;
    }
    return !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

std::string_view key_sent(const net::Request& request) {
    constexpr std::string_view kScheme = "Bearer ";
    const std::string* value = request.header("Authorization");
    if (value != nullptr && value->size() >= kScheme.size() &&
        net::equal_ignoring_case(std::string_view(*value).substr(0, kScheme.size()), kScheme)) {
        return std::string_view(*value).substr(kScheme.size());
    }
    const std::string* key = request.header("x-api-key");
    return key != nullptr ? std::string_view(*key) : std::string_view();
}

bool from_foreign_page(const AccessRules& rules, const net::Request& request) {
    const std::string* origin = request.header("Origin");
    return origin != nullptr && !asks_for_a_key(rules) && !origin_allowed(rules, *origin) &&
           !is_loopback(host_of(*origin));
}

bool under_foreign_name(const AccessRules& rules, const net::Request& request) {
    const std::string* sent = request.header("Host");
    if (sent == nullptr || asks_for_a_key(rules)) {
        return false;
    }
    const std::string_view host = without_port(*sent);
    return !is_address(host) && !is_loopback(host) &&
           std::ranges::none_of(rules.hosts, [&](const std::string& known) {
               return net::equal_ignoring_case(known, host);
           });
}

void add_cors_headers(const AccessRules& rules, const net::Request& request,
                      std::vector<net::Header>& headers) {
    if (rules.allowed_origins.empty()) {
        return;
    }
    headers.push_back({"Vary", "Origin"});
    const std::string* origin = request.header("Origin");
    if (origin != nullptr && origin_allowed(rules, *origin)) {
        headers.push_back({"Access-Control-Allow-Origin", *origin});
        headers.push_back(
            {"Access-Control-Expose-Headers", "x-request-id, request-id, retry-after"});
    }
}

void add_preflight_headers(const AccessRules& rules, const net::Request& request,
                           std::string_view methods, std::vector<net::Header>& headers) {
    const std::string* origin = request.header("Origin");
    if (origin == nullptr || !origin_allowed(rules, *origin)) {
        return;
    }
    headers.push_back({"Access-Control-Allow-Methods", std::string(methods)});
    // Clients send headers of their own making (x-stainless-…): what was asked for is granted.
    const std::string* wanted = request.header("Access-Control-Request-Headers");
    headers.push_back({"Access-Control-Allow-Headers",
                       wanted != nullptr ? *wanted : "authorization, content-type"});
    headers.push_back({"Access-Control-Max-Age", std::string(kPreflightSeconds)});
}

}  // namespace trilane::gateway
