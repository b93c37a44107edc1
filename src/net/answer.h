// Answer: the mailbox between whoever answers a request, on any thread, and the connection that
// writes the bytes, on its own. Inside of Exchange; not for other modules.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"
#include "net/server.h"
#include "net/web_socket.h"

namespace trilane::net {

/// Whoever writes: asked to look at its answer again, soon and on its own thread.
class Waker {
public:
    virtual ~Waker() = default;
    virtual void wake_soon() = 0;
};

/// A request's wish to become a WebSocket.
struct SocketWish {
    std::string key;  ///< Sec-WebSocket-Key
    WebSocketOptions options;
    std::shared_ptr<WebSocketListener> listener;
};

/// What has come since the last look.
struct Output {
    std::optional<Response> whole;   ///< the complete answer
    std::optional<StreamHead> head;  ///< a stream begins
    std::optional<SocketWish> socket;
    std::string bytes;    ///< of the stream, unframed
    bool ended = false;   ///< nothing more will come
    bool broken = false;  ///< cannot be completed: close the connection

    [[nodiscard]] bool empty() const {
        return !whole && !head && !socket && bytes.empty() && !ended && !broken;
    }
};

class Answer {
public:
    /// Before the first look() the waker is not called: the connection looks by itself after the
    /// handler has returned.
    Answer(std::shared_ptr<Waker> waker, std::size_t pending_bytes_max);

    // The answering side; any thread. Misuse (a second respond …) changes nothing.
    void respond(Response response);
    void start_stream(StreamHead head);
    bool send(std::string_view bytes);
    void finish();
    void become_web_socket(SocketWish wish);
    void abandon();
    void on_gone(std::function<void()> callback);

    // The writing side; the connection's thread.
    /// Takes what has come. When that is nothing, the waker is called once more has.
    Output look();
    /// No more looks: the client is gone, or has everything. Calls on_gone's callback in the first
    /// case. The waker is not called after this returns.
    void detach();

private:
    enum class Stage { waiting, streaming, ended };
    void wake_locked();

    std::mutex mutex_;
    std::shared_ptr<Waker> waker_;  ///< null: detached
    const std::size_t pending_bytes_max_;
    Stage stage_ = Stage::waiting;
    bool watched_ = false;  ///< the connection has looked, found nothing and waits
    bool gone_ = false;
    Output output_;
    std::function<void()> gone_callback_;
};

}  // namespace trilane::net
