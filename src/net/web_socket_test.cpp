// WebSockets of the server against real sockets on 127.0.0.1: messages, limits, clients that break
// the rules, read too slowly or leave, and the end. Frames of the client are written by hand.
#include "net/web_socket.h"

#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "net/server.h"
#include "net/test_identity.h"
#include "net/web_socket_test_client.h"

namespace trilane::net {
namespace {

using std::chrono::milliseconds;
constexpr auto kSocketPatience = std::chrono::seconds(30);

/// What the listeners of a test have heard.
struct SocketNews {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::shared_ptr<WebSocketWriter>> writers;
    int closed = 0;
    int ticks = 0;
    int messages = 0;
    bool full = false;  // the listeners want no more

    void fill(bool is_full) {
        const std::scoped_lock lock(mutex);
        full = is_full;
    }
    bool wait_for_messages(int count) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, kSocketPatience, [&] { return messages >= count; });
    }
    std::shared_ptr<WebSocketWriter> writer(std::size_t index = 0) {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, kSocketPatience, [&] { return writers.size() > index; });
        return writers.size() > index ? writers[index] : nullptr;
    }
    bool wait_until_closed(int count) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, kSocketPatience, [&] { return closed >= count; });
    }
    bool wait_for_tick(int more = 1) {
        std::unique_lock lock(mutex);
        const int wanted = ticks + more;
        return changed.wait_for(lock, kSocketPatience, [&] { return ticks >= wanted; });
    }
};

class EchoListener final : public WebSocketListener {
public:
    explicit EchoListener(SocketNews& heard) : heard_(heard) {}

    void on_open(std::shared_ptr<WebSocketWriter> writer) override {
        writer_ = writer;
        const std::scoped_lock lock(heard_.mutex);
        heard_.writers.push_back(std::move(writer));
        heard_.changed.notify_all();
    }
    void on_message(std::string_view message, bool text) override {
        {
            const std::scoped_lock lock(heard_.mutex);
            ++heard_.messages;
            heard_.changed.notify_all();
        }
        if (message == "bye") {
            writer_->send("see you");
            writer_->close(SocketClose::normal, "asked for");
            return;
        }
        writer_->send(std::string(message), text);
    }
    bool wants_more() override {
        const std::scoped_lock lock(heard_.mutex);
        return !heard_.full;
    }
    void on_tick() override {
        const std::scoped_lock lock(heard_.mutex);
        ++heard_.ticks;
        heard_.changed.notify_all();
    }
    void on_close() override {
        const std::scoped_lock lock(heard_.mutex);
        ++heard_.closed;
        heard_.changed.notify_all();
    }

private:
    SocketNews& heard_;
    std::shared_ptr<WebSocketWriter> writer_;
};

class WebSocketTest : public ::testing::Test {
protected:
    std::unique_ptr<Server> started(ServerOptions options = {}) {
        auto server = Server::start(
            std::move(options),
            [this](const Request& request, const std::shared_ptr<Exchange>& exchange) {
                if (const auto why = why_no_web_socket(request)) {
                    exchange->respond({why->status, "text/plain", {}, why->message});
                    return;
                }
                WebSocketOptions socket;
                socket.message_bytes_max = 100'000;
                const std::string* protocols = request.header("Sec-WebSocket-Protocol");
                if (protocols != nullptr && has_token(*protocols, "realtime")) {
                    socket.protocol = "realtime";
                }
                exchange->become_web_socket(request, socket,
                                            std::make_shared<EchoListener>(heard_));
            });
        EXPECT_TRUE(server) << server.error().message;
        return server ? std::move(*server) : nullptr;
    }
    std::unique_ptr<Server> limited(const Limits& limits) {
        ServerOptions options;
        options.limits = limits;
        return started(std::move(options));
    }

    SocketNews heard_;
};

/// The next frame that is no ping.
TestFrame next_but_pings(WebSocketTestClient& client) {
    TestFrame frame = client.next_frame();
    while (frame.arrived && frame.opcode == Opcode::ping) {
        frame = client.next_frame();
    }
    return frame;
}

TEST_F(WebSocketTest, AnswersTheHandshake) {
    const auto server = started();
    WebSocketTestClient client(server->port());
    const std::string head = client.handshake(
        "/",
        "Sec-WebSocket-Protocol: other, realtime\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101 ")) << head;
    EXPECT_NE(head.find(WebSocketTestClient::kAccept), std::string::npos) << head;
    EXPECT_NE(head.find("Sec-WebSocket-Protocol: realtime\r\n"), std::string::npos) << head;
    EXPECT_EQ(head.find("deflate"), std::string::npos) << head;
    EXPECT_EQ(head.find("Beast"), std::string::npos) << head;
    EXPECT_EQ(server->snapshot().web_sockets, 1U);
}

TEST_F(WebSocketTest, PassesMessagesOfAnySize) {
    const auto server = started();
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    for (const std::size_t size : {0U, 1U, 125U, 126U, 65'535U, 65'536U, 100'000U}) {
        const std::string text(size, 'x');
        ASSERT_TRUE(client.send_text(text));
        const TestFrame frame = client.next_frame();
        EXPECT_TRUE(frame.last);
        EXPECT_EQ(frame.opcode, Opcode::text);
        EXPECT_TRUE(frame.payload == text) << size;
    }
    ASSERT_TRUE(client.send_frame(Opcode::binary, "\xFF\x00"));
    EXPECT_EQ(client.next_frame().opcode, Opcode::binary);
}

TEST_F(WebSocketTest, JoinsFragmentsAndAnswersPingsBetweenThem) {
    const auto server = started();
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    client.send_frame(Opcode::text, "one ", false);
    client.send_frame(Opcode::ping, "there?");
    client.send_frame(Opcode::more, "two", true);
    const TestFrame pong = client.next_frame();
    EXPECT_EQ(pong.opcode, Opcode::pong);
    EXPECT_EQ(pong.payload, "there?");
    EXPECT_EQ(client.next_frame().payload, "one two");
}

TEST_F(WebSocketTest, ClosesWhenTheClientDoes) {
    Limits limits;
    limits.linger_timeout = milliseconds(100);
    const auto server = limited(limits);
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    client.send_frame(Opcode::close, std::string_view("\x03\xE8", 2));
    EXPECT_TRUE(client.next_frame().closes_with(1000));
    EXPECT_TRUE(client.wait_for_end());
    EXPECT_TRUE(heard_.wait_until_closed(1));
    EXPECT_FALSE(heard_.writer()->send("late"));
}

TEST_F(WebSocketTest, SendsWhatIsQueuedBeforeItCloses) {
    const auto server = started();
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    client.send_text("bye");
    EXPECT_EQ(client.next_frame().payload, "see you");
    const TestFrame close = client.next_frame();
    EXPECT_TRUE(close.closes_with(1000));
    EXPECT_EQ(close.payload.substr(2), "asked for");
    client.send_frame(Opcode::close, std::string_view("\x03\xE8", 2));
    EXPECT_TRUE(client.wait_for_end());
}

TEST_F(WebSocketTest, RefusesWhatBreaksTheRules) {
    const auto server = started();
    struct Breach {
        Opcode opcode;
        std::string payload;
        bool masked;
        unsigned code;
    };
    int closed = 0;
    for (const Breach& one : {
             Breach{Opcode::text, std::string(100'001, 'x'), true, 1009},
             // More than sockets buffer: the reason arrives although the client still sends.
             Breach{Opcode::text, std::string(8U << 20U, 'x'), true, 1009},
             Breach{Opcode::text, "\xC3\x28", true, 1007},
             Breach{Opcode::text, "unmasked", false, 1002},
             Breach{Opcode::more, "of nothing", true, 1002},
             Breach{static_cast<Opcode>(3), "", true, 1002},
             Breach{Opcode::ping, std::string(126, 'x'), true, 1002},
         }) {
        WebSocketTestClient client(server->port());
        ASSERT_FALSE(client.handshake("/").empty());
        client.send_frame(one.opcode, one.payload, true, one.masked);
        EXPECT_TRUE(client.next_frame().closes_with(one.code)) << one.code;
        client.close();
        EXPECT_TRUE(heard_.wait_until_closed(++closed)) << one.code;
    }
}

TEST_F(WebSocketTest, SaysWhyAHandshakeIsNone) {
    const auto server = started();
    struct Wrong {
        std::string request;
        unsigned status;
    };
    const std::string upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const std::string version = "Sec-WebSocket-Version: 13\r\n";
    for (const Wrong& one : {
             Wrong{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 426},
             Wrong{"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" + key +
                       version + "\r\n",
                   426},
             Wrong{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" + upgrade + key + version +
                       "\r\n",
                   400},
             Wrong{"GET / HTTP/1.1\r\nHost: h\r\n" + upgrade + key +
                       "Sec-WebSocket-Version: 8\r\n\r\n",
                   426},
             Wrong{"GET / HTTP/1.1\r\nHost: h\r\n" + upgrade + version + "\r\n", 400},
             Wrong{"GET / HTTP/1.1\r\nHost: h\r\n" + upgrade + version +
                       "Sec-WebSocket-Key: short\r\n\r\n",
                   400},
         }) {
        TestClient client(server->port());
        ASSERT_TRUE(client.send(one.request));
        EXPECT_EQ(client.reply().status, one.status) << one.request;
        EXPECT_TRUE(client.get("/")) << "the connection serves on";
        EXPECT_EQ(client.reply().status, 426U);
    }
}

TEST_F(WebSocketTest, RefusesWhoDoesNotWaitForTheHandshake) {
    const auto server = started();
    WebSocketTestClient client(server->port());
    client.ask("/", "\r\n\x81\x80");  // its blank line, and a frame behind it
    const TestReply reply = client.reply();
    EXPECT_EQ(reply.status, 400U);
    EXPECT_TRUE(heard_.wait_until_closed(1));
}

TEST_F(WebSocketTest, BoundsTheirNumber) {
    Limits limits;
    limits.sockets_max = 2;
    const auto server = limited(limits);
    WebSocketTestClient first(server->port());
    ASSERT_TRUE(first.handshake("/").starts_with("HTTP/1.1 101"));
    auto second = std::make_unique<WebSocketTestClient>(server->port());
    ASSERT_TRUE(second->handshake("/").starts_with("HTTP/1.1 101"));
    WebSocketTestClient third(server->port());
    ASSERT_TRUE(third.ask("/"));
    EXPECT_EQ(third.reply().status, 503U);
    second->reset();
    EXPECT_TRUE(heard_.wait_until_closed(2));
    WebSocketTestClient fourth(server->port());
    EXPECT_TRUE(fourth.handshake("/").starts_with("HTTP/1.1 101"));
}

TEST_F(WebSocketTest, DropsAClientThatDoesNotRead) {
    Limits limits;
    limits.socket_queue_bytes_max = 100'000;
    limits.linger_timeout = milliseconds(100);
    const auto server = limited(limits);
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    const auto writer = heard_.writer();
    ASSERT_NE(writer, nullptr);
    const auto until = std::chrono::steady_clock::now() + kSocketPatience;
    std::size_t waiting_max = 0;
    while (writer->send(std::string(10'000, 'x')) && std::chrono::steady_clock::now() < until) {
        waiting_max = std::max(waiting_max, writer->waiting_bytes());
    }
    EXPECT_LE(waiting_max, limits.socket_queue_bytes_max);
    EXPECT_TRUE(heard_.wait_until_closed(1));
    EXPECT_EQ(writer->waiting_bytes(), 0U);
}

TEST_F(WebSocketTest, TellsASlowClientThatReadsAfterAll) {
    Limits limits;
    limits.socket_queue_bytes_max = 100'000;
    const auto server = limited(limits);
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    const auto writer = heard_.writer();
    ASSERT_NE(writer, nullptr);
    while (writer->send(std::string(10'000, 'x'))) {
    }
    TestFrame frame = next_but_pings(client);
    while (frame.arrived && frame.opcode == Opcode::text) {
        EXPECT_EQ(frame.payload.size(), 10'000U);
        frame = next_but_pings(client);
    }
    EXPECT_TRUE(frame.closes_with(1008));
}

TEST_F(WebSocketTest, ReadsNoFurtherThanTheListenerWants) {
    const auto server = started();
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    heard_.fill(true);
    for (const std::string_view text : {"a", "b", "c"}) {
        ASSERT_TRUE(client.send_text(text));
    }
    ASSERT_TRUE(heard_.wait_for_tick(3));
    EXPECT_EQ(next_but_pings(client).payload, "a") << "what is said goes out all the same";
    heard_.writer()->resume();  // asked again, it still wants none
    ASSERT_TRUE(heard_.wait_for_tick(2));
    {
        const std::scoped_lock lock(heard_.mutex);
        EXPECT_EQ(heard_.messages, 1);
    }
    heard_.fill(false);
    heard_.writer()->resume();
    EXPECT_EQ(next_but_pings(client).payload, "b");
    EXPECT_EQ(next_but_pings(client).payload, "c");
    client.send_text("d");
    EXPECT_EQ(next_but_pings(client).payload, "d");
}

TEST_F(WebSocketTest, ClosesWhileTheListenerWantsNoMore) {
    auto server = started();
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    heard_.fill(true);
    client.send_text("a");
    EXPECT_EQ(next_but_pings(client).payload, "a");
    client.send_text("never heard");
    std::thread stopping([&] { server->stop(std::chrono::seconds(20)); });
    EXPECT_TRUE(next_but_pings(client).closes_with(1001));
    client.send_frame(Opcode::close, std::string_view("\x03\xE9", 2));
    EXPECT_TRUE(client.wait_for_end());
    stopping.join();
    EXPECT_TRUE(heard_.wait_until_closed(1));
    EXPECT_EQ(heard_.messages, 1);
}

TEST_F(WebSocketTest, LetsGoOfAHeldClientThatLeft) {
    const auto server = started();
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    heard_.fill(true);
    client.send_text("a");
    ASSERT_TRUE(heard_.wait_for_messages(1));
    client.reset();
    heard_.fill(false);
    heard_.writer()->resume();
    EXPECT_TRUE(heard_.wait_until_closed(1));
}

TEST_F(WebSocketTest, PingsAndLetsSilentClientsGo) {
    Limits limits;
    limits.socket_idle_timeout = milliseconds(200);
    const auto server = limited(limits);
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    for (int i = 0; i < 4; ++i) {  // longer than the limit, as long as it answers
        const TestFrame ping = client.next_frame();
        ASSERT_TRUE(ping.arrived);
        ASSERT_EQ(ping.opcode, Opcode::ping);
        client.send_frame(Opcode::pong, ping.payload);
    }
    EXPECT_TRUE(client.wait_for_end());
    EXPECT_TRUE(heard_.wait_until_closed(1));
}

TEST_F(WebSocketTest, HearsThatAClientIsGone) {
    const auto server = started();
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    client.send_frame(Opcode::text, "half", false);
    client.reset();
    EXPECT_TRUE(heard_.wait_until_closed(1));
}

TEST_F(WebSocketTest, TicksWhileItIsOpen) {
    const auto server = started();
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    EXPECT_TRUE(heard_.wait_for_tick());
}

TEST_F(WebSocketTest, SaysThatTheServerStops) {
    Limits limits;
    limits.linger_timeout = milliseconds(200);
    auto server = limited(limits);
    WebSocketTestClient polite(server->port());
    ASSERT_FALSE(polite.handshake("/").empty());
    std::thread stopping([&] { server->stop(std::chrono::seconds(20)); });
    EXPECT_TRUE(next_but_pings(polite).closes_with(1001));
    polite.send_frame(Opcode::close, std::string_view("\x03\xE9", 2));
    EXPECT_TRUE(polite.wait_for_end());
    stopping.join();
    EXPECT_TRUE(heard_.wait_until_closed(1));
}

TEST_F(WebSocketTest, StopsWhateverTheClientsDo) {
    Limits limits;
    limits.linger_timeout = milliseconds(50);
    auto server = limited(limits);
    std::vector<std::unique_ptr<WebSocketTestClient>> clients;
    for (int i = 0; i < 20; ++i) {  // none answers the close
        clients.push_back(std::make_unique<WebSocketTestClient>(server->port()));
        ASSERT_FALSE(clients.back()->handshake("/").empty());
    }
    const auto before = std::chrono::steady_clock::now();
    server->stop(kSocketPatience);
    EXPECT_LT(std::chrono::steady_clock::now() - before, kSocketPatience / 2);
    EXPECT_EQ(heard_.closed, 20);
}

TEST_F(WebSocketTest, SendsFromSeveralThreads) {
    constexpr int kThreads = 4;
    constexpr int kMessages = 200;
    const auto server = started();
    WebSocketTestClient client(server->port());
    ASSERT_FALSE(client.handshake("/").empty());
    const auto writer = heard_.writer();
    ASSERT_NE(writer, nullptr);
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&writer, i] {
            for (int k = 0; k < kMessages; ++k) {
                EXPECT_TRUE(writer->send(std::to_string(i) + ":" + std::to_string(k)));
            }
        });
    }
    std::map<std::string, int> next;
    for (int i = 0; i < kThreads * kMessages; ++i) {
        const TestFrame frame = next_but_pings(client);
        ASSERT_TRUE(frame.arrived);
        EXPECT_EQ(frame.payload.substr(2), std::to_string(next[frame.payload.substr(0, 1)]++));
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

TEST(WebSocketTokens, AreFoundInLists) {
    EXPECT_TRUE(has_token("keep-alive, Upgrade", "upgrade"));
    EXPECT_TRUE(has_token(" upgrade ", "upgrade"));
    EXPECT_FALSE(has_token("upgrades,,", "upgrade"));
    EXPECT_FALSE(has_token("", "upgrade"));
    const auto key = find_token("realtime, key.abc, key.d",
                                [](std::string_view one) { return one.starts_with("key."); });
    EXPECT_EQ(key, "key.abc");
}

TEST_F(WebSocketTest, WorksOverTls) {
    std::string folder = testing::TempDir() + "wsXXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const Identity authority = made(nullptr, "");
    const Identity own = made(&authority, "DNS:localhost");
    write_certificate(own, folder + "/own.pem");
    write_key(own, folder + "/own.key");
    ServerOptions options;
    options.tls = {folder + "/own.pem", folder + "/own.key"};
    auto server = started(std::move(options));
    namespace asio = boost::asio;
    asio::io_context context;
    asio::ssl::context tls(asio::ssl::context::tls_client);
    boost::beast::websocket::stream<asio::ssl::stream<asio::ip::tcp::socket>> client(context, tls);
    boost::beast::get_lowest_layer(client).connect(
        {asio::ip::address_v4::loopback(), server->port()});
    client.next_layer().handshake(asio::ssl::stream_base::client);
    client.handshake("localhost", "/");
    for (const std::string& text : {std::string("hello"), std::string(100'000, 'y')}) {
        client.write(asio::buffer(text));
        boost::beast::flat_buffer buffer;
        client.read(buffer);
        EXPECT_TRUE(boost::beast::buffers_to_string(buffer.data()) == text);
    }
    std::thread stopping([&] { server->stop(std::chrono::seconds(20)); });
    boost::beast::flat_buffer buffer;
    boost::system::error_code ec;
    client.read(buffer, ec);
    EXPECT_EQ(ec, boost::beast::websocket::error::closed) << ec.message();
    EXPECT_EQ(client.reason().code, boost::beast::websocket::close_code::going_away);
    stopping.join();
    EXPECT_EQ(heard_.closed, 1);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace trilane::net
