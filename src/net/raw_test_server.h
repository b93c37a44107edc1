// RawServer: a blocking socket server on 127.0.0.1, or on a UNIX socket, for tests of clients: a
// script per connection decides what is sent, byte by byte. Every wait is bounded.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace trilane::net {

/// One connection, as its script sees it.
class RawPeer {
public:
    static constexpr int kPatienceMs = 30'000;

    explicit RawPeer(int socket) : socket_(socket) {}
    ~RawPeer() { ::close(socket_); }
    RawPeer(const RawPeer&) = delete;
    RawPeer& operator=(const RawPeer&) = delete;

    [[nodiscard]] int socket() const { return socket_; }

    /// Takes one request with its body; empty when the client closes before.
    std::string request() {
        std::size_t head_end = 0;
        while ((head_end = received_.find("\r\n\r\n")) == std::string::npos) {
            if (!receive_more()) {
                return {};
            }
        }
        const auto length_at = received_.find("Content-Length: ");
        std::size_t bytes = head_end + 4;
        if (length_at < head_end) {
            bytes += std::strtoull(received_.c_str() + length_at + 16, nullptr, 10);
        }
        while (received_.size() < bytes) {
            if (!receive_more()) {
                return {};
            }
        }
        std::string taken = received_.substr(0, bytes);
        received_.erase(0, bytes);
        return taken;
    }

    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    /// True when the client closes the connection, whatever it still sends before.
    bool wait_for_end() {
        while (receive_more()) {
        }
        return at_end_;
    }

    /// The same, without taking what the client sends.
    void wait_for_end_unread() const {
        pollfd waiting{socket_, POLLRDHUP, 0};
        ::poll(&waiting, 1, kPatienceMs);
    }

    /// Ends so that the client sees a reset instead of an end.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }

    void stop() { ::shutdown(socket_, SHUT_RDWR); }

private:
    bool receive_more() {
        pollfd waiting{socket_, POLLIN, 0};
        if (::poll(&waiting, 1, kPatienceMs) <= 0) {
            return false;
        }
        char buffer[1 << 14];
        const ssize_t bytes = ::recv(socket_, buffer, sizeof buffer, 0);
        if (bytes <= 0) {
            at_end_ = true;
            return false;
        }
        received_.append(buffer, static_cast<std::size_t>(bytes));
        return true;
    }

    const int socket_;
    bool at_end_ = false;
    std::string received_;
};

class RawServer {
public:
    /// What to do with a connection; it is closed afterwards.
    using Script = std::function<void(RawPeer&)>;

    /// The first connection gets the first script, and so on; the last one serves all that follow.
    explicit RawServer(std::vector<Script> scripts, const std::string& unix_path = {})
        : scripts_(std::move(scripts)) {
        if (unix_path.empty()) {
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            listen_on(AF_INET, address);
            socklen_t size = sizeof address;
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
            port_ = ntohs(address.sin_port);
        } else {
            sockaddr_un address{};
            address.sun_family = AF_UNIX;
            std::strncpy(address.sun_path, unix_path.c_str(), sizeof address.sun_path - 1);
            listen_on(AF_UNIX, address);
        }
        acceptor_ = std::thread([this] { accept(); });
    }

    ~RawServer() {
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        ::close(listener_);
        for (auto& [peer, thread] : served_) {
            {
                const std::scoped_lock lock(mutex_);
                if (peer) {
                    peer->stop();
                }
            }
            thread.join();
        }
    }
    RawServer(const RawServer&) = delete;
    RawServer& operator=(const RawServer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }

    [[nodiscard]] std::size_t connections() {
        const std::scoped_lock lock(mutex_);
        return accepted_;
    }

private:
    struct Served {
        std::unique_ptr<RawPeer> peer;  // null once its script has ended
        std::thread thread;
    };

    template <class Address>
    void listen_on(int family, const Address& address) {
        listener_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::listen(listener_, 128);
    }

    void accept() {
        while (true) {
            const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (socket < 0) {
                return;
            }
            const int on = 1;
            ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            const std::scoped_lock lock(mutex_);
            const Script& script = scripts_[std::min(accepted_++, scripts_.size() - 1)];
            served_.push_back({std::make_unique<RawPeer>(socket), {}});
            const std::size_t index = served_.size() - 1;
            served_.back().thread = std::thread([this, &script, index] { serve(script, index); });
        }
    }

    void serve(const Script& script, std::size_t index) {
        RawPeer* peer = nullptr;
        {
            const std::scoped_lock lock(mutex_);
            peer = served_[index].peer.get();
        }
        script(*peer);
        const std::scoped_lock lock(mutex_);
        served_[index].peer.reset();
    }

    const std::vector<Script> scripts_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::mutex mutex_;
    std::size_t accepted_ = 0;
    std::vector<Served> served_;
    std::thread acceptor_;  // last: it uses all of the above
};

}  // namespace trilane::net
