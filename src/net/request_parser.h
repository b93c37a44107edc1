// RequestParser: bytes of a connection → net::Request, within limits. Pure: no sockets, no clock,
// so that a fuzzer can drive it.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace trilane::net {

/// Why a request was not taken: the HTTP status and a sentence that says what to change.
struct Refusal {
    unsigned status = 400;
    std::string message;
};

/// Reads requests one after the other. After `refused` the byte stream has no known meaning any
/// more: answer, then close. **Threads:** one at a time.
/// **Source:** RFC 9112, RFC 9110; the grammar is Boost.Beast's basic_parser.
class RequestParser {
public:
    enum class Step { need_more, complete, refused };

    /// `reading_bytes`, if any, counts the body bytes that this and other parsers hold, of requests
    /// not yet taken; what would lift it over Limits::reading_bytes_max is refused with 503. Must
    /// outlive the parser.
    explicit RequestParser(const Limits& limits, std::atomic<std::size_t>* reading_bytes = nullptr);
    ~RequestParser();
    RequestParser(const RequestParser&) = delete;
    RequestParser& operator=(const RequestParser&) = delete;

    /// Reads from the front of `bytes` and sets `consumed`. Hand over what was not consumed again,
    /// with more behind it, in one piece. Reads no byte past the end of a request.
    Step feed(std::string_view bytes, std::size_t& consumed);

    /// True once the blank line after the headers has been read.
    [[nodiscard]] bool header_done() const;

    /// Of the request being read, once its first line is there; "" before.
    [[nodiscard]] std::string_view target() const;

    /// True when the client waits for "100 Continue" before it sends the body.
    [[nodiscard]] bool wants_continue() const;

    /// After `refused`.
    [[nodiscard]] const Refusal& refusal() const;

    /// After `complete`: the request; the parser is then ready for the next one.
    Request take();

private:
    class Machine;
    std::unique_ptr<Machine> machine_;
    Limits limits_;
    std::atomic<std::size_t>* reading_bytes_;
    Refusal refusal_;
};

/// The first request of `bytes`, which must hold all of it.
/// **Errors:** invalid, also for a request that is cut off.
Result<Request> parse_request(std::string_view bytes, const Limits& limits = {});

}  // namespace trilane::net
