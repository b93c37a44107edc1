// PortReservation: a loopback TCP port that nobody else is given while a child that shall listen on
// it starts.
#pragma once

#include <cstdint>
#include <utility>

#include "base/result.h"
#include "os/unique_fd.h"

namespace trilane::os {

/// Holds a socket bound to 127.0.0.1:port, not listening, with SO_REUSEADDR and SO_REUSEPORT: a
/// child of the same user that sets either can bind and listen on it (on 127.0.0.1, 0.0.0.0 or ::),
/// and again after a restart while old connections are in TIME_WAIT; the kernel gives it to nobody
/// who asks for any port, nor as the source port of a connection. Keep it as long as the child
/// lives: then a restarted child finds it free.
///
/// A child that sets neither cannot bind it (EADDRINUSE): release() just before it starts and
/// retake() after it has ended. In between the number is only unlikely to be given away, and old
/// connections of such a child keep the port busy for a minute: take() another one instead of
/// insisting. It is no protection against a program that asks for this very number with
/// SO_REUSEADDR: whoever talks to the port must still check who answers.
/// **Threads:** one at a time.
class PortReservation {
public:
    /// **Errors:** exhausted when no port is free.
    static Result<PortReservation> take();

    [[nodiscard]] std::uint16_t port() const { return port_; }

    /// Lets the port go, so that a program which sets no option can bind it. The number is kept.
    void release() { socket_.reset(); }
    /// Holds the same port again. No effect while it is held.
    /// **Errors:** exhausted when somebody else has it now.
    Status retake();

private:
    PortReservation(UniqueFd socket, std::uint16_t port)
        : socket_(std::move(socket)), port_(port) {}
    UniqueFd socket_;
    std::uint16_t port_ = 0;
};

}  // namespace trilane::os
