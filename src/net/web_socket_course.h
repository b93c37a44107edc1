// WebSocketCourse: a connection's life as a WebSocket, from the handshake's answer to its end, over
// plain sockets and TLS. Inside of Connection; not for other modules.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <string>

#include "net/loop.h"
#include "net/web_socket.h"
#include "net/web_socket_mail.h"

namespace trilane::net {

/// Whose socket it is.
class WebSocketOwner {
public:
    virtual ~WebSocketOwner() = default;
    /// Keeps the owner, and with it the course, until the last of what is under way has ended.
    virtual std::shared_ptr<void> hold() = 0;
    /// Nothing more will come: close the socket.
    virtual void socket_ended() = 0;
    /// The close frame is out: let the client read it, then close the socket.
    virtual void socket_said_all() = 0;
};

/// What the course works with. The references outlive it.
struct WebSocketParts {
    WebSocketOwner& owner;
    const Limits& limits;
    std::shared_ptr<WebSocketMail> mail;
    std::shared_ptr<WebSocketListener> listener;
    WebSocketOptions options;
    std::string key;  ///< Sec-WebSocket-Key
};

/// **Threads:** the loop's.
class WebSocketCourse {
public:
    using Plain = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
    using Tls = boost::asio::ssl::stream<Plain&>;

    WebSocketCourse() = default;
    virtual ~WebSocketCourse() = default;
    WebSocketCourse(const WebSocketCourse&) = delete;
    WebSocketCourse& operator=(const WebSocketCourse&) = delete;

    static std::unique_ptr<WebSocketCourse> over(Plain& socket, WebSocketParts parts);
    static std::unique_ptr<WebSocketCourse> over(Tls& stream, WebSocketParts parts);

    /// Answers the handshake and goes on from there.
    virtual void start() = 0;
    /// The mail has something, or the listener may want more.
    virtual void wake() = 0;
    virtual void check(Clock::time_point now) = 0;
    /// It is a WebSocket no more: tells the listener.
    virtual void end() = 0;
};

}  // namespace trilane::net
