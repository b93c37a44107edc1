// Web: GET requests over HTTP and HTTPS, several at once, on the caller's own thread: the façade
// over libcurl. Knows nothing of hubs, of retries, or of what is fetched.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trilane::catalog {

inline constexpr long kRedirectsMax = 8;
inline constexpr std::size_t kHeaderBytesMax = 64U << 10U;  // of one answer, redirects included

/// Bytes of a file, the end excluded.
struct ByteRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

struct WebGet {
    std::string url;
    std::string token;  ///< sent as a bearer token to the host of `url`, and to no other
    std::optional<ByteRange> range;
};

/// The answer's head; where an answer came over redirects, of its last one unless said otherwise.
struct WebHead {
    unsigned status = 0;
    std::string etag;        ///< without quotes and W/; X-Linked-Etag of any answer on the way wins
    bool linked = false;     ///< etag is an X-Linked-Etag: the hub's own word, for LFS the SHA-256
    std::string commit;      ///< X-Repo-Commit of any answer on the way
    std::string error_code;  ///< X-Error-Code: "GatedRepo", "RepoNotFound", …
    std::string link;
    std::optional<ByteRange> range;            ///< Content-Range
    std::optional<std::uint64_t> whole_bytes;  ///< its last number
    std::optional<std::chrono::seconds> retry_after;
    bool elsewhere = false;  ///< another host answered than was asked
};

/// Hears one answer, on the thread that calls Web::step.
class WebListener {
public:
    virtual ~WebListener() = default;
    /// False ends the transfer with Fault::cancelled.
    virtual bool on_head(const WebHead& head) = 0;
    /// Pieces of the body, whatever the status. False ends the transfer with Fault::cancelled.
    virtual bool on_bytes(std::span<const std::byte> bytes) = 0;
};

class Web;

/// A GET under way; dropping it breaks it off.
class WebTransfer {
public:
    ~WebTransfer();
    WebTransfer(const WebTransfer&) = delete;
    WebTransfer& operator=(const WebTransfer&) = delete;

    [[nodiscard]] bool ended() const;
    /// Once ended: ok = the body is complete, whatever the status. **Errors:** unavailable
    /// (connection), timeout (silence), cancelled (the listener), invalid (the address).
    [[nodiscard]] const Status& outcome() const;
    [[nodiscard]] const WebHead& head() const;

private:
    friend class Web;
    struct State;
    explicit WebTransfer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// **Threads:** one at a time.
class Web {
public:
    Web(std::chrono::milliseconds connect_timeout, std::chrono::milliseconds silence_timeout);
    ~Web();
    Web(const Web&) = delete;
    Web& operator=(const Web&) = delete;

    /// Begins a transfer; the listener must outlive it, and it must not outlive this Web.
    std::unique_ptr<WebTransfer> start(const WebGet& get, WebListener& listener);

    /// Moves bytes and calls listeners; waits at most so long for something to move.
    void step(std::chrono::milliseconds patience);

private:
    struct Multi;
    std::unique_ptr<Multi> multi_;
};

/// "https://host:port" of an address, for comparing; "" = no http address.
std::string origin_of(std::string_view url);

/// The address without user name, password, query and fragment, for messages.
std::string shown_url(std::string_view url);

/// Every byte but those of unreserved characters as %XX.
std::string percent_encoded(std::string_view text);

}  // namespace trilane::catalog
