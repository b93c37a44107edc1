// Opening of WebSockets: which key came with the handshake, what is answered to it, and how many of
// a kind there may be. The messages are for the endpoints.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gateway/desk.h"
#include "net/web_socket.h"

namespace trilane::gateway {

/// The key of a handshake: as of any request, or, since browsers can set no header there,
/// `openai-insecure-api-key.KEY` among Sec-WebSocket-Protocol, or `?api_key=KEY`; "" = none.
std::string socket_key_sent(const net::Request& request);

/// Makes the call's connection a WebSocket that `listener` hears of. False when the request cannot
/// become one: then it has been answered.
bool open_socket(Desk& desk, Call& call, std::size_t message_bytes_max,
                 std::shared_ptr<net::WebSocketListener> listener);

/// How many sockets of a kind are open. **Threads:** any.
class SocketSeats {
public:
    explicit SocketSeats(std::size_t seats) : free_(static_cast<std::ptrdiff_t>(seats)) {}

    /// Holds its seat while it lives.
    class Seat {
    public:
        explicit Seat(std::shared_ptr<SocketSeats> seats) : seats_(std::move(seats)) {}
        ~Seat() {
            if (seats_ != nullptr) {
                seats_->free_.fetch_add(1);
            }
        }
        Seat(Seat&& other) noexcept = default;
        Seat& operator=(Seat&& other) = delete;
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;

    private:
        std::shared_ptr<SocketSeats> seats_;
    };
    /// Absent when all are taken.
    static std::optional<Seat> take(const std::shared_ptr<SocketSeats>& seats) {
        if (seats->free_.fetch_sub(1) <= 0) {
            seats->free_.fetch_add(1);
            return std::nullopt;
        }
        return Seat(seats);
    }

private:
    std::atomic<std::ptrdiff_t> free_;
};

}  // namespace trilane::gateway
