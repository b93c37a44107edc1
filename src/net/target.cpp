// Target: where a server is, read from a URL and written as one.
#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <charconv>

#include "net/client.h"

namespace trilane::net {
namespace {

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;
/// What a socket's address has room for, without the zero at its end.
constexpr std::size_t kUnixPathBytesMax = 107;

bool is_ipv6(std::string_view host) {
    boost::system::error_code ec;
    boost::asio::ip::make_address_v6(std::string(host), ec);
    return !ec;
}

bool is_name_character(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_';
}

Result<Target> parse_unix(std::string_view url, std::string_view path) {
    if (!path.starts_with('/') || path.size() > kUnixPathBytesMax) {
        return fail(Fault::invalid,
                    "'{}' names no socket: write unix:/path/to.sock, absolute and with at most {} "
                    "bytes",
                    url, kUnixPathBytesMax);
    }
    Target target;
    target.host = "localhost";
    target.unix_path = path;
    return target;
}

Status parse_port(std::string_view url, std::string_view text, Target& target) {
    std::uint16_t port = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, ec] = std::from_chars(text.data(), end, port);
    if (ec != std::errc() || stop != end || port == 0) {
        return fail(Fault::invalid, "the port '{}' in '{}' is not a number from 1 to 65535", text,
                    url);
    }
    target.port = port;
    return {};
}

/// "host", "host:port", "[::1]" or "[::1]:port".
Status parse_authority(std::string_view url, std::string_view text, Target& target) {
    if (text.find('@') != std::string_view::npos) {
        return fail(Fault::invalid,
                    "the URL holds a user name or password before '@'; leave it out: keys are "
                    "configured apart from the URL");
    }
    std::string_view host;
    std::string_view rest;
    bool valid = false;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        host = text.substr(1, end == std::string_view::npos ? end : end - 1);
        rest = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        valid = end != std::string_view::npos && is_ipv6(host);
    } else {
        host = text.substr(0, text.find(':'));
        rest = text.substr(host.size());
        valid = !host.empty() && std::all_of(host.begin(), host.end(), is_name_character);
    }
    if (!valid || (!rest.empty() && !rest.starts_with(':'))) {
        return fail(Fault::invalid,
                    "'{}' names no host: write a name, an IPv4 address, or an IPv6 address in "
                    "brackets",
                    url);
    }
    target.host = host;
    return rest.empty() ? Status{} : parse_port(url, rest.substr(1), target);
}

Status parse_base_path(std::string_view url, std::string_view path, Target& target) {
    const bool plain =
        std::all_of(path.begin(), path.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (!plain || path.find_first_of("?#") != std::string_view::npos) {
        return fail(Fault::invalid,
                    "the path in '{}' holds a query, a fragment, a blank or a character that is "
                    "not ASCII; write only http://host:port/path",
                    url);
    }
    const auto last = path.find_last_not_of('/');
    target.base_path = last == std::string_view::npos ? "" : path.substr(0, last + 1);
    return {};
}

}  // namespace

std::string Target::text() const {
    if (!unix_path.empty()) {
        return "unix:" + unix_path;
    }
    const std::string shown = is_ipv6(host) ? "[" + host + "]" : host;
    const bool usual = port == (tls ? kHttpsPort : kHttpPort);
    return fmt::format("{}://{}{}{}", tls ? "https" : "http", shown,
                       usual ? std::string() : fmt::format(":{}", port), base_path);
}

Result<Target> parse_url(std::string_view url) {
    constexpr std::string_view kUnix = "unix:";
    constexpr std::string_view kSchemeEnd = "://";
    if (url.starts_with(kUnix)) {
        return parse_unix(url, url.substr(kUnix.size()));
    }
    const auto scheme_end = url.find(kSchemeEnd);
    const std::string_view scheme =
        scheme_end == std::string_view::npos ? std::string_view{} : url.substr(0, scheme_end);
    Target target;
    target.tls = equal_ignoring_case(scheme, "https");
    target.port = target.tls ? kHttpsPort : kHttpPort;
    if (!target.tls && !equal_ignoring_case(scheme, "http")) {
        return fail(Fault::invalid,
                    "'{}' is no URL known here; write http://host:port, https://host:port or "
                    "unix:/path/to.sock",
                    url);
    }
    const std::string_view rest = url.substr(scheme_end + kSchemeEnd.size());
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    TRILANE_TRY_STATUS(parse_authority(url, authority, target));
    TRILANE_TRY_STATUS(parse_base_path(url, rest.substr(authority.size()), target));
    return target;
}

}  // namespace trilane::net
