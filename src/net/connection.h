// Connection and Loop: one client's socket as a state machine, and the thread that runs many of
// them. Inside of Server; not for other modules.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "net/answer.h"
#include "net/request_parser.h"
#include "net/server.h"

namespace trilane::net {

using Clock = std::chrono::steady_clock;
using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

/// What all threads of one server share. Read-only but for the counters.
struct Shared {
    ServerOptions options;
    Handler handler;
    std::atomic<bool> stopping = false;
    std::atomic<std::uint64_t> accepted_total = 0;
    std::atomic<std::uint64_t> refused_total = 0;

    /// Connections alive, refused ones included while they linger.
    std::atomic<std::size_t> connections = 0;
    std::atomic<std::size_t> reading_bytes = 0;  ///< see Limits::reading_bytes_max
    std::mutex drained_mutex;
    std::condition_variable drained;  ///< connections has become 0

    [[nodiscard]] Response error_page(unsigned status, std::string_view message) const;
};

class Connection;

/// A thread with its own io_context. Everything but the constructor, start, stop and join is called
/// on that thread.
class Loop {
public:
    explicit Loop(Shared& shared);
    /// Joins, too, should a later loop have failed to start.
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void start();
    /// Adopts an accepted socket of this loop's context. **Threads:** any.
    void adopt(Socket socket, bool refused);
    /// Closes idle connections now and the others when their answer is complete. **Threads:** any.
    void wind_down();
    /// Closes every connection, then lets the thread end. **Threads:** any.
    void close_all();
    void join();

    Executor executor() { return context_.get_executor(); }
    void remove(const std::shared_ptr<Connection>& connection);
    /// Tell the loop of a request's arrival and of its answer's end: when clients come back faster
    /// than a core falls asleep, the loop stays awake for them a little.
    void note_request(Clock::time_point now);
    void note_answer(Clock::time_point now);
    /// "Date: …\r\n", formatted once a second.
    std::string_view date_line(Clock::time_point now);
    Shared& shared() { return shared_; }

private:
    void run();
    [[nodiscard]] bool stays_awake() const;
    void step_aside();
    void sweep_later();

    Shared& shared_;
    boost::asio::io_context context_{1};  // one thread runs it
    boost::asio::executor_work_guard<Executor> work_{context_.get_executor()};
    boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>
        sweep_timer_{context_};
    bool sweeping_ = false;
    bool hurried_ = false;  // the last request came right after an answer
    Clock::time_point last_answer_;
    Clock::time_point awake_until_;
    Clock::time_point crowded_until_;
    std::unordered_set<std::shared_ptr<Connection>> connections_;
    std::string date_line_;
    Clock::time_point date_until_;
    std::thread thread_;
};

/// One client. An explicit state machine rather than a coroutine: reading (to see the client
/// leave), writing and waiting for the answer overlap.
class Connection final : public Waker, public std::enable_shared_from_this<Connection> {
public:
    Connection(Loop& loop, Socket socket);

    void start();
    void refuse_service();
    void wake_soon() override;  ///< **Threads:** any, while the loop lives
    void check(Clock::time_point now);
    void close_when_idle();
    void close();

private:
    enum class Phase { reading, answering, draining, closed };

    void read();
    void on_read(const boost::system::error_code& ec, std::size_t bytes);
    void advance();
    void need_more(std::size_t consumed);
    void dispatch(Request request);
    void flush();
    void end_exchange();
    void answer_and_close(unsigned status, std::string_view message);
    void encode(const Output& output);
    void encode_head(unsigned status, std::string_view content_type,
                     const std::vector<Header>& headers);
    void encode_whole(const Response& response);
    bool write();
    void on_write(const boost::system::error_code& ec, std::size_t bytes);
    void drain();
    void beat(Clock::time_point now);

    Loop& loop_;
    const Limits& limits_;
    Socket socket_;
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
    bool head_sent_ = false;
    bool chunked_ = false;
    bool answer_complete_ = false;
    std::string heartbeat_;
    std::chrono::milliseconds heartbeat_interval_{0};

    std::string output_;  // [written_, size) is to be written
    std::size_t written_ = 0;
    bool write_in_flight_ = false;
    Clock::time_point last_write_;
};

}  // namespace trilane::net
