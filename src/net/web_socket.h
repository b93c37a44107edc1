// WebSockets on the server's side (RFC 6455): what an endpoint gets and gives when a request's
// connection becomes one. Messages only; frames, pings and closing are net's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace trilane::net {

class WebSocketMail;

/// Why a WebSocket ends, as its close frame says it (RFC 6455 §7.4.1).
enum class SocketClose : std::uint16_t {
    normal = 1000,
    going_away = 1001,  ///< the server stops
    refused = 1008,     ///< the client may not, or does not read what it is sent
    failed = 1011,
};

/// Sends messages. **Threads:** every function from any; none waits for the network.
class WebSocketWriter {
public:
    explicit WebSocketWriter(std::shared_ptr<WebSocketMail> mail);

    /// Queues a message. False when the socket is closing or gone, or when the client has left
    /// more than Limits::socket_queue_bytes_max unread: it loses its connection then (1008), and
    /// with it what was queued.
    bool send(std::string message, bool text = true);
    /// Sends what is queued, then closes. What the client still sends is dropped.
    void close(SocketClose code, std::string_view reason = {});
    /// Has the listener asked again whether it wants more, soon and on its own thread.
    void resume();
    /// Queued and not yet written; 0 when the socket is gone.
    [[nodiscard]] std::size_t waiting_bytes() const;

private:
    std::shared_ptr<WebSocketMail> mail_;
};

/// What hears of a WebSocket. **Threads:** called on one thread of the server, which must not be
/// kept waiting, one call at a time.
class WebSocketListener {
public:
    WebSocketListener() = default;
    virtual ~WebSocketListener() = default;
    WebSocketListener(const WebSocketListener&) = delete;
    WebSocketListener& operator=(const WebSocketListener&) = delete;

    /// First, once: the client has its handshake's answer.
    virtual void on_open(std::shared_ptr<WebSocketWriter> writer) = 0;
    /// A whole message. Text is valid UTF-8.
    virtual void on_message(std::string_view message, bool text) = 0;
    /// Asked after each message. While it is false nothing is read, so that the client's own
    /// buffers fill and it has to wait; its pings and its close are not seen either, and it is gone
    /// after Limits::socket_idle_timeout. Asked again after WebSocketWriter::resume().
    [[nodiscard]] virtual bool wants_more() { return true; }
    /// Now and then, at least twice a second.
    virtual void on_tick() {}
    /// Last, once: the socket is gone, whoever ended it; also without on_open() before it.
    virtual void on_close() = 0;
};

struct WebSocketOptions {
    std::string protocol;  ///< the one chosen of Sec-WebSocket-Protocol; "" = none
    std::size_t message_bytes_max = 64U << 10U;  ///< a longer one closes with 1009
};

/// Why a request cannot become a WebSocket: the status (426, 400) and a sentence.
struct NoWebSocket {
    unsigned status = 400;
    std::string message;
};
/// Absent when it can. **Source:** RFC 6455 §4.2.1.
std::optional<NoWebSocket> why_no_web_socket(const Request& request);

/// Whether `list`, a comma-separated header value, has the token, whatever its case.
bool has_token(std::string_view list, std::string_view token);
/// The first token of the list that `wanted` takes; "" when there is none.
std::string_view find_token(std::string_view list,
                            const std::function<bool(std::string_view)>& wanted);

}  // namespace trilane::net
