// Client: an asynchronous HTTP/1.1 client of one server, with a pool of connections that are used
// again. Bodies arrive piece by piece. Knows nothing of JSON or of what the server is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"
#include "net/loops.h"

namespace trilane::net {

/// Where a server is. `parse_url` reads "http://host:port/base", "https://…", "unix:/path/to.sock".
struct Target {
    bool tls = false;
    std::string host;         ///< name or address; the Host header
    std::uint16_t port = 80;  ///< unused with unix_path
    std::string unix_path;    ///< not empty = a UNIX socket instead of TCP
    std::string base_path;    ///< "/v1" …, put before every request's target; no '/' at its end
    std::string ca_file;  ///< with tls: PEM file of authorities to trust instead of the system's
    [[nodiscard]] std::string text() const;  ///< as a person would write it
};
Result<Target> parse_url(std::string_view url);

struct ClientLimits {
    std::size_t connections_max = 64;  ///< at once; further calls wait their turn
    std::size_t waiting_max = 256;     ///< calls that may wait for a connection
    std::size_t head_bytes_max = 64U << 10U;
    std::size_t body_bytes_max = 64U << 20U;  ///< of fetch(); streams have no bound in sum
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds head_timeout{
        600'000};  ///< from the request's end to the answer's head
    std::chrono::milliseconds silence_timeout{600'000};  ///< between two pieces of a body
    std::chrono::milliseconds idle_timeout{
        30'000};  ///< a connection that is kept for the next call
};

/// What a client asks. Host, Content-Length and Connection are the client's to write.
struct Outgoing {
    std::string method = "GET";
    std::string target = "/";
    std::vector<Header> headers;
    std::string body;
    /// Shorter than the limits' where given; 0 = the limits'.
    std::chrono::milliseconds head_timeout{0};
    std::chrono::milliseconds silence_timeout{0};
};

struct AnswerHead {
    unsigned status = 0;
    std::vector<Header> headers;
    [[nodiscard]] const std::string* header(std::string_view name) const;
};

/// Hears one answer. **Threads:** called on a loop's thread, one call at a time; must not block.
class AnswerListener {
public:
    virtual ~AnswerListener() = default;
    virtual void on_head(AnswerHead head) = 0;
    virtual void on_body(std::string_view bytes) = 0;
    /// Exactly once, last. Ok = the answer is complete. **Errors:** unavailable (cannot connect,
    /// connection lost, and whether a byte of the answer had come), timeout, corrupt (not HTTP),
    /// exhausted (too many calls wait), invalid (a request or target that cannot be sent),
    /// cancelled.
    virtual void on_end(const Status& status) = 0;
};

/// A call under way. Dropping it does not end the call. **Threads:** any.
class Call {
public:
    virtual ~Call() = default;
    /// Breaks the call off: its connection is closed at once, so that the server notices. The
    /// listener's on_end(cancelled) follows, unless it has already been called.
    virtual void cancel() = 0;
};

struct WholeAnswer {
    AnswerHead head;
    std::string body;
};

class Client {
public:
    /// The loops must outlive the client.
    Client(Loops& loops, Target target, ClientLimits limits = {});
    /// Cancels what runs; listeners hear it before this returns. **Threads:** any but those of the
    /// loops.
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// Sends a request; a connection of the pool is used when one is idle. A request on a reused
    /// connection that the server has closed meanwhile, with no byte of an answer, is sent once
    /// more on a fresh one. From a thread of the loops the call stays on that thread. The listener
    /// is never called before this returns on such a thread. **Threads:** any.
    std::shared_ptr<Call> send(Outgoing request, std::shared_ptr<AnswerListener> listener);

    /// The whole answer, waited for. **Threads:** any but those of the loops.
    /// **Errors:** as AnswerListener::on_end; exhausted beyond body_bytes_max.
    Result<WholeAnswer> fetch(Outgoing request);

    [[nodiscard]] const Target& target() const;
    /// Connections open now, and how many calls found one waiting for them.
    struct Snapshot {
        std::size_t connections = 0;
        std::uint64_t opened_total = 0;
        std::uint64_t reused_total = 0;
    };
    [[nodiscard]] Snapshot snapshot() const;

private:
    class Pool;
    std::shared_ptr<Pool> pool_;
};

}  // namespace trilane::net
