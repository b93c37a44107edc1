// TestClient: a plain blocking HTTP client on 127.0.0.1 for the tests of servers. Deliberately
// knows nothing of net's own code. Every wait is bounded.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace trilane::net {

/// How soon a server must have noticed that its client left: the best of several attempts. A
/// sanitizer makes all code several times slower.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr std::chrono::milliseconds kNoticedMax{2000};
#else
inline constexpr std::chrono::milliseconds kNoticedMax{100};
#endif

struct TestReply {
    unsigned status = 0;  ///< 0 = the connection ended before a whole answer
    std::string head;     ///< up to the blank line, as sent
    std::string body;     ///< chunks joined
    bool complete = false;

    [[nodiscard]] bool has(std::string_view text) const {
        return head.find(text) != std::string::npos;
    }
};

class TestClient {
public:
    static constexpr int kPatienceMs = 30'000;

    explicit TestClient(std::uint16_t port) {
        socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ =
            ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    ~TestClient() { close(); }
    TestClient(const TestClient&) = delete;
    TestClient& operator=(const TestClient&) = delete;

    [[nodiscard]] bool connected() const { return connected_; }

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

    bool get(std::string_view path) {
        return send("GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }

    bool post(std::string_view path, std::string_view body, std::string_view headers = "") {
        return send(
            "POST " + std::string(path) +
            " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
            "\r\n" + std::string(headers) + "\r\n" + std::string(body));
    }

    /// Receives until `text` is in what was received and not yet taken; false at the end.
    bool receive_until(std::string_view text) {
        while (received_.find(text) == std::string::npos) {
            if (!receive_more()) {
                return false;
            }
        }
        return true;
    }

    /// What was received and not yet taken.
    [[nodiscard]] const std::string& received() const { return received_; }

    /// Takes exactly so many bytes; fewer at the end of the connection.
    std::string take_bytes(std::size_t bytes) {
        while (received_.size() < bytes && receive_more()) {
        }
        return take(std::min(bytes, received_.size()));
    }

    /// Takes one answer: by Content-Length, by chunks, or up to the end of the connection.
    TestReply reply(bool to_head_request = false) {
        TestReply reply;
        if (!receive_until("\r\n\r\n")) {
            return reply;
        }
        reply.head = take(received_.find("\r\n\r\n") + 4);
        reply.status = static_cast<unsigned>(std::atoi(reply.head.substr(9, 3).c_str()));
        const auto length = reply.head.find("Content-Length: ");
        if (to_head_request || reply.status == 204 || reply.status == 100) {
            reply.complete = true;
        } else if (reply.has("Transfer-Encoding: chunked")) {
            reply.complete = take_chunks(reply.body);
        } else if (length != std::string::npos) {
            const auto bytes = std::strtoull(reply.head.c_str() + length + 16, nullptr, 10);
            while (received_.size() < bytes && receive_more()) {
            }
            reply.complete = received_.size() >= bytes;
            reply.body = take(bytes);
        } else {
            while (receive_more()) {
            }
            reply.complete = at_end_;
            reply.body = take(received_.size());
        }
        return reply;
    }

    /// True when the server closes the connection, whatever it still sends before.
    bool wait_for_end() {
        while (receive_more()) {
        }
        return at_end_;
    }

    void close() {
        if (socket_ >= 0) {
            ::close(std::exchange(socket_, -1));
        }
    }

    /// Closes so that the server sees a reset instead of an end.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }

private:
    bool receive_more() {
        pollfd waiting{socket_, POLLIN, 0};
        if (::poll(&waiting, 1, kPatienceMs) <= 0) {
            return false;
        }
        char buffer[1 << 16];
        const ssize_t bytes = ::recv(socket_, buffer, sizeof buffer, 0);
        if (bytes <= 0) {
            at_end_ = true;
            return false;
        }
        received_.append(buffer, static_cast<std::size_t>(bytes));
        return true;
    }

    std::string take(std::size_t bytes) {
        std::string taken = received_.substr(0, bytes);
        received_.erase(0, bytes);
        return taken;
    }

    bool take_chunks(std::string& body) {
        while (true) {
            if (!receive_until("\r\n")) {
                return false;
            }
            const auto size = std::strtoull(received_.c_str(), nullptr, 16);
            take(received_.find("\r\n") + 2);
            while (received_.size() < size + 2) {
                if (!receive_more()) {
                    return false;
                }
            }
            body += take(size);
            if (take(2) != "\r\n") {
                return false;
            }
            if (size == 0) {
                return true;
            }
        }
    }

    int socket_ = -1;
    bool connected_ = false;
    bool at_end_ = false;
    std::string received_;
};

}  // namespace trilane::net
