// Link: one connection of a client to its server, plain or TLS, as a state machine. It works on one
// call at a time. Inside of Client; not for other modules.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/answer_parser.h"
#include "net/lot.h"
#include "net/tls.h"

namespace trilane::net {

/// An explicit state machine rather than a coroutine: reading (to see the server leave, or answer
/// early) and writing overlap. **Threads:** the lot's loop.
class Link final : public std::enable_shared_from_this<Link>, private AnswerSink {
public:
    explicit Link(std::shared_ptr<Lot> lot);

    /// Connects, then sends the call. Fails it later, if at all, never at once.
    void open(std::shared_ptr<PendingCall> call);
    /// The call, while it still waits for the connection: another link sends it.
    std::shared_ptr<PendingCall> hand_over();
    /// Sends a call on the idle connection.
    void use(std::shared_ptr<PendingCall> call);
    /// Closes, and ends the call, if any.
    void break_off(Status status);
    void check(Clock::time_point now);
    [[nodiscard]] Clock::time_point deadline() const { return deadline_; }

private:
    enum class Phase { resolving, connecting, securing, idle, asking, closed };
    using Endpoint = boost::asio::generic::stream_protocol::endpoint;
    using Resolver = boost::asio::ip::basic_resolver<boost::asio::ip::tcp, Executor>;

    void find_endpoints();
    void resolve();
    void connect_next();
    void on_connect(const boost::system::error_code& ec, std::size_t attempt);
    void secure();
    void settle();
    void become_idle();
    void ask();
    void write();
    void write_tls();
    void on_write(const boost::system::error_code& ec, std::size_t bytes);
    void write_failed();
    void request_is_out();
    void read();
    void on_read(const boost::system::error_code& ec, std::size_t bytes);
    void on_read_end(const boost::system::error_code& ec);
    void consume();
    void make_space();
    void finish();
    void lose(const boost::system::error_code& ec);
    void fail_soon(Status status);
    void time_out();
    void close();
    void set_deadline(Clock::time_point deadline);
    std::shared_ptr<PendingCall> let_go();
    [[nodiscard]] std::size_t request_bytes() const {
        return head_.size() + call_->request.body.size();
    }
    [[nodiscard]] std::array<boost::asio::const_buffer, 2> unwritten() const;
    [[nodiscard]] std::chrono::milliseconds head_timeout() const;
    [[nodiscard]] std::chrono::milliseconds silence_timeout() const;

    void on_head(AnswerHead head) override;
    void on_body(std::string_view bytes) override;

    const std::shared_ptr<Lot> lot_;  // first: the members below use what is the lot's
    ClientShared& shared_;
    Phase phase_ = Phase::closed;
    Clock::time_point deadline_ = Clock::time_point::max();
    StreamSocket socket_;
    std::unique_ptr<TlsStream> tls_;
    std::shared_ptr<PendingCall> call_;

    // While connecting.
    std::optional<Resolver> resolver_;
    std::vector<Endpoint> endpoints_;
    std::size_t next_endpoint_ = 0;
    Clock::time_point connect_until_;
    boost::system::error_code connect_error_;

    // Of the call being sent.
    std::string head_;
    std::size_t written_ = 0;  // of head_ and the request's body
    bool write_in_flight_ = false;
    bool write_failed_ = false;
    bool request_out_ = false;
    Clock::time_point sent_at_;

    // Of the answer.
    AnswerParser parser_;
    std::vector<char> input_;  // [begin_, end_) is received and not yet parsed
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool read_in_flight_ = false;
    bool reused_ = false;
    bool answer_begun_ = false;
};

}  // namespace trilane::net
