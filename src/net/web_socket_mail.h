// WebSocketMail: the messages between whoever sends them, on any thread, and the connection that
// writes them, on its own. Inside of WebSocketWriter; not for other modules.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "net/answer.h"
#include "net/web_socket.h"

namespace trilane::net {

class WebSocketMail {
public:
    struct Message {
        std::string bytes;
        bool text = true;
    };
    struct Closing {
        SocketClose code = SocketClose::normal;
        std::string reason;
    };
    /// What a close frame has room for.
    static constexpr std::size_t kCloseReasonBytesMax = 123;

    WebSocketMail(std::shared_ptr<Waker> waker, std::size_t bytes_max);

    // The sending side; any thread.
    bool send(std::string message, bool text);
    void close(SocketClose code, std::string_view reason);
    void resume();
    [[nodiscard]] std::size_t waiting_bytes() const;

    // The writing side; the connection's thread.
    /// The next message; the one before it has been written. When there is none, the waker is
    /// called once there is something to do.
    std::optional<Message> next();
    /// How to close, once next() has nothing.
    [[nodiscard]] std::optional<Closing> closing() const;
    /// More was sent than the client reads.
    [[nodiscard]] bool dropped() const;
    /// The socket is gone. The waker is not called after this returns.
    void detach();

private:
    void drop_locked();
    void wake_locked();

    mutable std::mutex mutex_;
    std::shared_ptr<Waker> waker_;  // null: detached
    const std::size_t bytes_max_;
    std::deque<Message> messages_;
    std::size_t bytes_ = 0;          // of messages_ and of the one being written
    std::size_t writing_bytes_ = 0;  // of the latter
    bool watched_ = false;           // the connection has looked, found nothing and waits
    bool dropped_ = false;
    std::optional<Closing> close_;
};

}  // namespace trilane::net
