// Connection and Hall: one client's socket as a state machine, and the connections of one server on
// one loop. Inside of Server; not for other modules.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "net/answer.h"
#include "net/attendance.h"
#include "net/loop.h"
#include "net/request_parser.h"
#include "net/server.h"
#include "net/web_socket_course.h"

namespace trilane::net {

using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

/// What all threads of one server share. Read-only but for the counters.
struct Shared {
    ServerOptions options;
    std::unique_ptr<boost::asio::ssl::context> tls;  ///< null = plain
    Handler handler;
    std::atomic<bool> stopping = false;
    std::atomic<std::uint64_t> accepted_total = 0;
    std::atomic<std::uint64_t> refused_total = 0;

    /// Connections alive, refused ones included while they linger.
    std::atomic<std::size_t> connections = 0;
    std::atomic<std::size_t> reading_bytes = 0;  ///< see Limits::reading_bytes_max
    std::atomic<std::size_t> web_sockets = 0;    ///< among the connections
    std::mutex drained_mutex;
    std::condition_variable drained;  ///< connections has become 0

    [[nodiscard]] Response error_page(unsigned status, std::string_view message,
                                      std::string_view target) const;
};

class Connection;

/// The connections of one server that one loop runs. The loop may outlive the server: whatever is
/// queued on it holds a shared_ptr. **Threads:** the loop's, except where a function says
/// otherwise.
class Hall : public std::enable_shared_from_this<Hall> {
public:
    Hall(Shared& shared, Loop& loop, std::shared_ptr<Attendance> attendance);

    /// Adopts an accepted socket of this loop's context; where there are too many (`full`), in
    /// place of one that waits for its client, or to refuse it. **Threads:** any.
    void adopt(Socket socket, bool full);
    /// Closes idle connections now and the others when their answer is complete. **Threads:** any.
    void wind_down();
    /// Closes every connection. **Threads:** any.
    void close_all();

    void remove(const std::shared_ptr<Connection>& connection);
    Shared& shared() { return shared_; }
    Loop& loop() { return loop_; }

private:
    bool make_room();
    void sweep_later();
    void sweep();

    Presence presence_;  // first: see Presence
    Shared& shared_;
    Loop& loop_;
    Timer sweep_timer_;
    bool sweeping_ = false;
    std::unordered_set<std::shared_ptr<Connection>> connections_;
};

/// One client. An explicit state machine rather than a coroutine: reading (to see the client
/// leave), writing and waiting for the answer overlap.
class Connection final : public Waker,
                         public WebSocketOwner,
                         public std::enable_shared_from_this<Connection> {
public:
    Connection(std::shared_ptr<Hall> hall, Socket socket);

    void start();
    void refuse_service();
    void wake_soon() override;  ///< **Threads:** any, while the loop lives
    void check(Clock::time_point now);
    /// Since when it has waited for the rest of a head, or for its first byte; absent: something is
    /// being done for its client.
    [[nodiscard]] std::optional<Clock::time_point> waits_since() const;
    /// Whether a head has begun, or a handshake: those who work end it within moments.
    [[nodiscard]] bool in_head() const { return header_begun_ || phase_ == Phase::securing; }
    void close_when_idle();
    void close();
    std::shared_ptr<void> hold() override { return shared_from_this(); }
    void socket_ended() override { close(); }
    void socket_said_all() override { drain(); }

private:
    /// `socketed`: it is a WebSocket, whose course reads and writes.
    enum class Phase { securing, reading, answering, socketed, draining, closed };

    void secure();
    void read();
    void on_read(const boost::system::error_code& ec, std::size_t bytes);
    void advance();
    void need_more(std::size_t consumed);
    void dispatch(Request request);
    void flush();
    void end_exchange();
    void become_web_socket(SocketWish wish);
    void answer_and_close(unsigned status, std::string_view message, std::string_view target = {});
    void encode(const Output& output);
    void encode_head(unsigned status, std::string_view content_type,
                     const std::vector<Header>& headers);
    void encode_whole(const Response& response);
    bool write();
    void write_later();
    void on_write(const boost::system::error_code& ec, std::size_t bytes);
    void drain();
    void leave_socket();
    void beat(Clock::time_point now);

    std::shared_ptr<Hall> hall_;  // first: the members below use what is the hall's
    Loop& loop_;
    const Limits& limits_;
    Socket socket_;
    std::unique_ptr<boost::asio::ssl::stream<Socket&>> tls_;  ///< null = plain
    Phase phase_ = Phase::reading;
    Clock::time_point deadline_ = Clock::time_point::max();

    std::vector<char> input_;  // [begin_, end_) is received and not yet parsed
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t drained_bytes_ = 0;
    RequestParser parser_;
    bool read_in_flight_ = false;
    bool client_done_sending_ = false;

    // Of the request being read.
    bool header_begun_ = false;
    bool body_begun_ = false;

    // Of the request being answered.
    std::shared_ptr<Answer> answer_;
    bool keep_alive_ = true;
    bool without_body_ = false;  // HEAD
    std::uint8_t minor_ = 1;
    std::string target_;
    std::string peer_;  // the client's address, once a request came
    bool head_sent_ = false;
    bool chunked_ = false;
    bool answer_complete_ = false;
    std::string heartbeat_;
    std::chrono::milliseconds heartbeat_interval_{0};

    std::string output_;  // [written_, size) is to be written
    std::size_t written_ = 0;
    bool write_in_flight_ = false;
    Clock::time_point last_write_;

    // Of a WebSocket. The course uses the stream above.
    std::shared_ptr<WebSocketMail> mail_;
    std::unique_ptr<WebSocketCourse> course_;
};

}  // namespace trilane::net
