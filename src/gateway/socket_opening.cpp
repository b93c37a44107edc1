#include "gateway/socket_opening.h"

#include <fmt/format.h>

#include <string_view>

#include "gateway/access.h"
#include "gateway/query.h"

namespace trilane::gateway {
namespace {

constexpr std::string_view kKeyProtocol = "openai-insecure-api-key.";
constexpr std::string_view kProtocolHeader = "Sec-WebSocket-Protocol";

std::string_view offered_protocol(const net::Request& request,
                                  const std::function<bool(std::string_view)>& wanted) {
    for (const net::Header& header : request.headers) {
        if (net::equal_ignoring_case(header.name, kProtocolHeader)) {
            if (const auto found = net::find_token(header.value, wanted); !found.empty()) {
                return found;
            }
        }
    }
    return {};
}

/// One of those that were offered: a browser gives up otherwise. A key only where nothing else was.
std::string_view chosen_protocol(const net::Request& request) {
    std::string_view chosen =
        offered_protocol(request, [](std::string_view one) { return one == "realtime"; });
    if (chosen.empty()) {
        chosen = offered_protocol(
            request, [](std::string_view one) { return !one.starts_with(kKeyProtocol); });
    }
    return chosen.empty() ? offered_protocol(request, [](std::string_view) { return true; })
                          : chosen;
}

/// Counts the handshake once it has been answered: the connection may still refuse it (too many
/// sockets, a client that did not wait), and counts that as an answer of the server's own.
class CountedSocket final : public net::WebSocketListener {
public:
    CountedSocket(std::function<void(unsigned)> counter,
                  std::shared_ptr<net::WebSocketListener> listener)
        : counter_(std::move(counter)), listener_(std::move(listener)) {}

    void on_open(std::shared_ptr<net::WebSocketWriter> writer) override {
        counter_(101);
        counter_ = nullptr;
        listener_->on_open(std::move(writer));
    }
    void on_message(std::string_view message, bool text) override {
        listener_->on_message(message, text);
    }
    bool wants_more() override { return listener_->wants_more(); }
    void on_tick() override { listener_->on_tick(); }
    void on_close() override { listener_->on_close(); }

private:
    std::function<void(unsigned)> counter_;
    const std::shared_ptr<net::WebSocketListener> listener_;
};

}  // namespace

std::string socket_key_sent(const net::Request& request) {
    if (const std::string_view key = key_sent(request); !key.empty()) {
        return std::string(key);
    }
    const std::string_view protocol = offered_protocol(
        request, [](std::string_view one) { return one.starts_with(kKeyProtocol); });
    return protocol.empty() ? query_text(request.target, "api_key")
                            : std::string(protocol.substr(kKeyProtocol.size()));
}

std::string socket_client(const Call& call) {
    return call.visit.name().empty() ? fmt::format("the address {}", call.request.peer)
                                     : fmt::format("the API key '{}'", call.visit.name());
}

bool open_socket(Desk& desk, Call& call, std::size_t message_bytes_max,
                 std::shared_ptr<net::WebSocketListener> listener) {
    if (const auto why = net::why_no_web_socket(call.request)) {
        if (why->status == 426) {
            call.headers.push_back({"Upgrade", "websocket"});
            call.headers.push_back({"Sec-WebSocket-Version", "13"});
        }
        desk.refuse(call, why->status, why->message);
        return false;
    }
    net::WebSocketOptions options;
    options.protocol = chosen_protocol(call.request);
    options.message_bytes_max = message_bytes_max;
    call.exchange->become_web_socket(
        call.request, std::move(options),
        std::make_shared<CountedSocket>(desk.counter_of(call), std::move(listener)));
    return true;
}

Result<SocketSeats::Seat> SocketSeats::take(const std::shared_ptr<SocketSeats>& seats,
                                            std::string client) {
    const std::scoped_lock lock(seats->mutex_);
    if (seats->taken_ >= seats->seats_) {
        return fail(Fault::exhausted, "{} {} are open; close one or try again later", seats->seats_,
                    seats->what_);
    }
    const auto of_client = seats->taken_by_.try_emplace(client, 0).first;
    if (of_client->second >= seats->seats_of_one_) {
        return fail(Fault::exhausted,
                    "{} has {} {} open, as many as one client may; close one or try again later",
                    client, of_client->second, seats->what_);
    }
    ++seats->taken_;
    ++of_client->second;
    return Seat(seats, std::move(client));
}

void SocketSeats::give_back(const std::string& client) {
    const std::scoped_lock lock(mutex_);
    --taken_;
    const auto of_client = taken_by_.find(client);
    if (--of_client->second == 0) {
        taken_by_.erase(of_client);
    }
}

}  // namespace trilane::gateway
