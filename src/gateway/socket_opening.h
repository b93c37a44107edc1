// Opening of WebSockets: which key came with the handshake, what is answered to it, and how many of
// a kind there may be. The messages are for the endpoints.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/result.h"
#include "gateway/desk.h"
#include "net/web_socket.h"

namespace trilane::gateway {

/// The key of a handshake: as of any request, or, since browsers can set no header there,
/// `openai-insecure-api-key.KEY` among Sec-WebSocket-Protocol, or `?api_key=KEY`; "" = none.
std::string socket_key_sent(const net::Request& request);

/// Whose sockets are counted together, as a sentence begins with it: "the API key 'a'", or where no
/// key is asked for "the address 127.0.0.1".
std::string socket_client(const Call& call);

/// Makes the call's connection a WebSocket that `listener` hears of. False when the request cannot
/// become one: then it has been answered.
bool open_socket(Desk& desk, Call& call, std::size_t message_bytes_max,
                 std::shared_ptr<net::WebSocketListener> listener);

/// How many sockets of a kind are open, all and of each client. **Threads:** any.
class SocketSeats {
public:
    /// `what` is how refusals call them: "realtime sessions".
    SocketSeats(std::string what, std::size_t seats, std::size_t seats_of_one)
        : what_(std::move(what)), seats_(seats), seats_of_one_(seats_of_one) {}

    /// Holds its seat while it lives.
    class Seat {
    public:
        Seat(std::shared_ptr<SocketSeats> seats, std::string client)
            : seats_(std::move(seats)), client_(std::move(client)) {}
        ~Seat() {
            if (seats_ != nullptr) {
                seats_->give_back(client_);
            }
        }
        Seat(Seat&& other) noexcept = default;
        Seat& operator=(Seat&& other) = delete;
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;

    private:
        std::shared_ptr<SocketSeats> seats_;
        std::string client_;
    };
    /// `client` as a sentence begins with it: "the API key 'a'".
    /// **Errors:** exhausted, when all are taken, or by this client as many as one may have.
    static Result<Seat> take(const std::shared_ptr<SocketSeats>& seats, std::string client);

private:
    void give_back(const std::string& client);

    const std::string what_;
    const std::size_t seats_;
    const std::size_t seats_of_one_;
    std::mutex mutex_;  // guards the two below
    std::size_t taken_ = 0;
    std::map<std::string, std::size_t, std::less<>> taken_by_;  // without those who have none
};

}  // namespace trilane::gateway
