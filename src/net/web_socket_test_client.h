// WebSocketTestClient: a blocking WebSocket client on 127.0.0.1 that writes its frames by hand, so
// that tests can send what no library would. For tests only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/loopback_test_client.h"

namespace trilane::net {

enum class Opcode : std::uint8_t { more = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

struct TestFrame {
    bool arrived = false;  ///< else the connection ended
    bool last = true;
    Opcode opcode = Opcode::text;
    std::string payload;

    [[nodiscard]] bool closes_with(unsigned code) const {
        return arrived && opcode == Opcode::close && payload.size() >= 2 &&
               static_cast<unsigned>(static_cast<unsigned char>(payload[0])) * 256U +
                       static_cast<unsigned char>(payload[1]) ==
                   code;
    }
};

class WebSocketTestClient : public TestClient {
public:
    using TestClient::TestClient;

    /// RFC 6455 §1.3's own example.
    static constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
    static constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    bool ask(std::string_view path, std::string_view headers = "") {
        return send("GET " + std::string(path) +
                    " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: " +
                    std::string(kKey) + "\r\n" + std::string(headers) + "\r\n");
    }
    /// The head of the handshake's answer.
    std::string handshake(std::string_view path, std::string_view headers = "") {
        if (!ask(path, headers) || !receive_until("\r\n\r\n")) {
            return {};
        }
        return take_bytes(received().find("\r\n\r\n") + 4);
    }

    bool send_frame(Opcode opcode, std::string_view payload, bool last = true, bool masked = true) {
        std::string frame;
        frame += static_cast<char>((last ? 0x80U : 0U) | static_cast<unsigned>(opcode));
        const unsigned mask_bit = masked ? 0x80U : 0U;
        int length_bytes = 0;
        if (payload.size() < 126) {
            frame += static_cast<char>(mask_bit | payload.size());
        } else if (payload.size() < 65'536) {
            frame += static_cast<char>(mask_bit | 126U);
            length_bytes = 2;
        } else {
            frame += static_cast<char>(mask_bit | 127U);
            length_bytes = 8;
        }
        for (int i = length_bytes - 1; i >= 0; --i) {
            frame += static_cast<char>((payload.size() >> (8U * static_cast<unsigned>(i))) & 0xFFU);
        }
        constexpr std::string_view kMask = "\x12\x34\x56\x78";
        frame += masked ? kMask : std::string_view();
        for (std::size_t i = 0; i < payload.size(); ++i) {
            frame += masked ? static_cast<char>(payload[i] ^ kMask[i % 4]) : payload[i];
        }
        return send(frame);
    }
    bool send_text(std::string_view text) { return send_frame(Opcode::text, text); }

    TestFrame next_frame() {
        TestFrame frame;
        const std::string head = take_bytes(2);
        if (head.size() < 2) {
            return frame;
        }
        const auto first = static_cast<unsigned char>(head[0]);
        frame.last = (first & 0x80U) != 0;
        frame.opcode = static_cast<Opcode>(first & 0x0FU);
        std::uint64_t length = static_cast<unsigned char>(head[1]);
        if (length >= 126) {
            const std::string bytes = take_bytes(length == 126 ? 2 : 8);
            length = 0;
            for (const char c : bytes) {
                length = length * 256 + static_cast<unsigned char>(c);
            }
        }
        frame.payload = take_bytes(length);
        frame.arrived = frame.payload.size() == length;
        return frame;
    }
};

}  // namespace trilane::net
