// HTTP/1.1 messages as plain structs, and the named limits of a connection. No sockets, and no
// meaning: what a path or a body says is somebody else's business.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace trilane::net {

struct Header {
    std::string name;
    std::string value;
};

/// A whole request, body included (chunked bodies arrive joined).
struct Request {
    std::string method;  ///< as sent, e.g. "GET"
    std::string target;  ///< origin form: "/path?query", or "*"
    std::vector<Header> headers;
    std::string body;
    std::uint8_t minor = 1;  ///< of HTTP/1.minor
    bool keep_alive = true;  ///< the client would use the connection again
    std::string peer;        ///< the client's address, "127.0.0.1"; "" when it has left already

    /// The target up to its query. Not percent-decoded.
    [[nodiscard]] std::string_view path() const;

    /// The value of the first header of that name (any case), or null.
    [[nodiscard]] const std::string* header(std::string_view name) const;
};

/// A whole answer. Content-Length, Date and Connection are the server's to write. A header whose
/// name or value holds a line break is left out.
struct Response {
    unsigned status = 200;
    std::string content_type = "application/json";  ///< empty = no such header
    std::vector<Header> headers;
    std::string body;
};

/// What one server grants its clients. Every wait and every buffer has its bound here.
struct Limits {
    /// Below the usual soft limit of 1024 file descriptors, so that files can still be opened.
    std::size_t connections_max = 768;
    std::size_t header_bytes_max = 32U << 10U;
    std::size_t headers_max = 100;
    std::size_t body_bytes_max = 16U << 20U;
    /// Of all bodies of the server that are still arriving, so that many clients with half a body
    /// each cannot take the memory of the machine. At least body_bytes_max.
    std::size_t reading_bytes_max = 256U << 20U;
    std::size_t pending_bytes_max = 1U << 20U;  ///< of one stream, queued and not yet written
    std::chrono::milliseconds header_timeout{10'000};  ///< from the first byte to the blank line
    std::chrono::milliseconds body_timeout{60'000};    ///< from the blank line to the last byte
    std::chrono::milliseconds idle_timeout{75'000};    ///< before the first request and between two
    std::chrono::milliseconds write_timeout{30'000};   ///< without the client taking a byte
    std::chrono::milliseconds linger_timeout{2'000};   ///< for the client to read a last answer

    std::size_t sockets_max = 256;  ///< WebSockets; they count among the connections, too
    std::size_t socket_queue_bytes_max = 1U << 20U;  ///< of one, sent and not yet read
    /// Without a byte from the client; it is pinged after half of it.
    std::chrono::milliseconds socket_idle_timeout{60'000};
};

/// How an answer of the server's own looks (400, 408, 413, 431, 500, 503 …): status and a sentence
/// for a person → the response. `target` is the request's, as far as it was understood; else "".
/// **Threads:** any, also several at once.
using ErrorPage =
    std::function<Response(unsigned status, std::string_view message, std::string_view target)>;

/// "Not Found" of 404; "Unknown" for a number without a name.
std::string_view reason_phrase(unsigned status);

/// True when the texts differ only in the case of ASCII letters.
bool equal_ignoring_case(std::string_view a, std::string_view b);

/// A token of RFC 9110 §5.6.2: what methods and header names are made of.
bool is_token(std::string_view text);

}  // namespace trilane::net
