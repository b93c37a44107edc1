#include "net/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <iterator>
#include <utility>

namespace trilane::net {
namespace {

using boost::system::error_code;

/// A connection starts with the small buffer, so that a thousand idle ones cost little.
constexpr std::size_t kInputBytesStart = 4U << 10U;
constexpr std::size_t kInputBytesMax = 64U << 10U;
/// What a client may still send after an error answer before it is cut off.
constexpr std::size_t kDrainBytesMax = 64U << 20U;

bool has_line_break(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

/// 1xx, 204 and 304 have no body and no Content-Length (RFC 9110 §8.6).
bool bodiless(unsigned status) {
    return status < 200 || status == 204 || status == 304;
}

}  // namespace

Response Shared::error_page(unsigned status, std::string_view message,
                            std::string_view target) const {
    if (options.error_page) {
        return options.error_page(status, message, target);
    }
    return {status, "text/plain; charset=utf-8", {}, std::string(message) + "\n"};
}

Connection::Connection(std::shared_ptr<Hall> hall, Socket socket)
    : hall_(std::move(hall)),
      loop_(hall_->loop()),
      limits_(hall_->shared().options.limits),
      socket_(std::move(socket)),
      input_(kInputBytesStart),
      parser_(limits_, &hall_->shared().reading_bytes) {
    error_code ignored;
    socket_.non_blocking(true, ignored);
    socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
}

void Connection::start() {
    if (hall_->shared().tls != nullptr) {
        secure();
        return;
    }
    deadline_ = Clock::now() + limits_.idle_timeout;
    read();
}

void Connection::secure() {
    phase_ = Phase::securing;
    deadline_ = Clock::now() + limits_.header_timeout;
    tls_ = std::make_unique<boost::asio::ssl::stream<Socket&>>(socket_, *hall_->shared().tls);
    tls_->async_handshake(boost::asio::ssl::stream_base::server,
                          [self = shared_from_this()](const error_code& ec) {
                              if (self->phase_ != Phase::securing) {
                                  return;
                              }
                              if (ec) {
                                  self->close();  // no words would be understood
                                  return;
                              }
                              self->phase_ = Phase::reading;
                              self->deadline_ = Clock::now() + self->limits_.idle_timeout;
                              self->read();
                          });
}

void Connection::refuse_service() {
    if (hall_->shared().tls != nullptr) {
        close();  // a handshake would cost more than the answer is worth
        return;
    }
    answer_and_close(503, "too many connections are open; close some or try again later");
}

void Connection::wake_soon() {
    boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
        if (self->phase_ == Phase::socketed) {
            self->course_->wake();
        } else if (self->phase_ == Phase::answering && !self->write_in_flight_) {
            self->flush();
            self->advance();
        }
    });
}

void Connection::read() {
    if (read_in_flight_ || phase_ == Phase::closed || client_done_sending_) {
        return;
    }
    if (begin_ > 0) {
        std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
        end_ -= std::exchange(begin_, 0);
    }
    if (end_ == input_.size()) {
        const std::size_t bytes_max = std::max(kInputBytesMax, limits_.header_bytes_max);
        if (input_.size() >= bytes_max) {
            // Answering, and the client is far ahead of us. Behind a full buffer nobody sees it
            // leave, and its answer might go on for long: such a client is let go.
            boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
                if (self->phase_ == Phase::answering && !self->answer_complete_) {
                    self->close();
                }
            });
            return;
        }
        input_.resize(bytes_max);
    }
    read_in_flight_ = true;
    const auto space = boost::asio::buffer(input_.data() + end_, input_.size() - end_);
    auto then = [self = shared_from_this()](const error_code& ec, std::size_t bytes) {
        self->on_read(ec, bytes);
    };
    // What is drained is not looked at, and TLS may have been ended.
    if (tls_ != nullptr && phase_ != Phase::draining) {
        tls_->async_read_some(space, std::move(then));
    } else {
        socket_.async_read_some(space, std::move(then));
    }
}

void Connection::on_read(const error_code& ec, std::size_t bytes) {
    read_in_flight_ = false;
    if (phase_ == Phase::closed) {
        return;
    }
    if (ec) {
        // Between the last byte of an answer and its way out, a client may stop sending.
        if (ec == boost::asio::error::eof && phase_ == Phase::answering && answer_complete_) {
            client_done_sending_ = true;
            keep_alive_ = false;
            return;
        }
        close();
        return;
    }
    if (phase_ == Phase::draining) {
        drained_bytes_ += bytes;
        if (drained_bytes_ > kDrainBytesMax) {
            close();
            return;
        }
        read();
        return;
    }
    end_ += bytes;
    if (phase_ == Phase::reading) {
        advance();
    } else {
        read();
    }
}

void Connection::advance() {
    while (phase_ == Phase::reading) {
        std::size_t consumed = 0;
        const auto step = begin_ == end_
                              ? RequestParser::Step::need_more
                              : parser_.feed({input_.data() + begin_, end_ - begin_}, consumed);
        begin_ += consumed;
        switch (step) {
            case RequestParser::Step::need_more:
                need_more(consumed);
                return;
            case RequestParser::Step::refused:
                answer_and_close(parser_.refusal().status, parser_.refusal().message,
                                 parser_.target());
                return;
            case RequestParser::Step::complete:
                header_begun_ = false;
                body_begun_ = false;
                dispatch(parser_.take());
                break;
        }
    }
}

void Connection::need_more(std::size_t consumed) {
    if (!header_begun_ && (consumed > 0 || begin_ != end_)) {
        header_begun_ = true;
        deadline_ = Clock::now() + limits_.header_timeout;
    }
    if (!body_begun_ && parser_.header_done()) {
        body_begun_ = true;
        deadline_ = Clock::now() + limits_.body_timeout;
        if (parser_.wants_continue() && begin_ == end_) {
            output_ += "HTTP/1.1 100 Continue\r\n\r\n";
            write();
        }
    }
    if (begin_ == 0 && end_ >= std::max(kInputBytesMax, limits_.header_bytes_max)) {
        answer_and_close(431, "a line of the request is longer than the server reads at once");
        return;
    }
    read();
}

void Connection::dispatch(Request request) {
    phase_ = Phase::answering;
    deadline_ = kNever;
    loop_.note_request(Clock::now());
    keep_alive_ = request.keep_alive && !hall_->shared().stopping.load(std::memory_order_relaxed);
    without_body_ = request.method == "HEAD";
    minor_ = request.minor;
    target_ = request.target;
    if (peer_.empty()) {
        error_code gone;
        const auto endpoint = socket_.remote_endpoint(gone);
        peer_ = gone ? std::string() : endpoint.address().to_string();
    }
    request.peer = peer_;
    head_sent_ = false;
    chunked_ = false;
    answer_complete_ = false;
    answer_ = std::make_shared<Answer>(shared_from_this(), limits_.pending_bytes_max);
    hall_->shared().handler(std::move(request), std::make_shared<Exchange>(answer_));
    if (!write_in_flight_) {
        flush();
    }
    if (phase_ == Phase::answering) {
        read();  // to see the client leave
    }
}

void Connection::flush() {
    while (phase_ == Phase::answering) {
        if (!answer_complete_) {
            Output output = answer_->look();
            if (output.socket) {
                become_web_socket(std::move(*output.socket));
                return;
            }
            if (output.broken) {
                if (head_sent_) {
                    close();
                } else {
                    answer_->detach();
                    answer_and_close(500, "the server could not complete its answer", target_);
                }
                return;
            }
            if (output.empty()) {
                return;
            }
            answer_complete_ = output.ended;
            encode(output);
        }
        if (!write()) {
            return;
        }
        if (answer_complete_) {
            end_exchange();
        }
    }
}

void Connection::end_exchange() {
    if (answer_) {
        answer_->detach();
        answer_.reset();
    }
    heartbeat_.clear();
    if (!keep_alive_ || hall_->shared().stopping.load(std::memory_order_relaxed)) {
        drain();
        return;
    }
    phase_ = Phase::reading;
    const auto now = Clock::now();
    deadline_ = now + limits_.idle_timeout;
    loop_.note_answer(now);
}

void Connection::become_web_socket(SocketWish wish) {
    answer_->detach();
    answer_.reset();
    Shared& shared = hall_->shared();
    const bool full = shared.web_sockets.fetch_add(1) >= limits_.sockets_max;
    // RFC 6455 §4.1: a client waits for the answer. What it sends before would be read as HTTP.
    const bool early = begin_ != end_ || read_in_flight_;
    if (full || early || shared.stopping.load(std::memory_order_relaxed)) {
        shared.web_sockets.fetch_sub(1);
        wish.listener->on_close();
        if (early) {
            answer_and_close(400, "wait for the handshake's answer before you send more", target_);
        } else {
            answer_and_close(503, "too many WebSockets are open; close some or try again later",
                             target_);
        }
        return;
    }
    phase_ = Phase::socketed;
    input_ = {};
    mail_ = std::make_shared<WebSocketMail>(shared_from_this(), limits_.socket_queue_bytes_max);
    WebSocketParts parts{*this,
                         limits_,
                         mail_,
                         std::move(wish.listener),
                         std::move(wish.options),
                         std::move(wish.key)};
    if (tls_ != nullptr) {
        course_ = WebSocketCourse::over(*tls_, std::move(parts));
    } else {
        course_ = WebSocketCourse::over(socket_, std::move(parts));
    }
    course_->start();
}

void Connection::answer_and_close(unsigned status, std::string_view message,
                                  std::string_view target) {
    phase_ = Phase::answering;
    keep_alive_ = false;
    without_body_ = false;
    head_sent_ = false;
    answer_complete_ = true;
    encode_whole(hall_->shared().error_page(status, message, target));
    if (write_in_flight_) {
        return;
    }
    flush();
}

void Connection::encode(const Output& output) {
    if (output.whole) {
        encode_whole(*output.whole);
        return;
    }
    if (output.head) {
        chunked_ = minor_ == 1 && !without_body_;
        keep_alive_ = keep_alive_ && (minor_ == 1 || without_body_);
        encode_head(output.head->status, output.head->content_type, output.head->headers);
        output_ += minor_ == 1 ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
        heartbeat_ = output.head->heartbeat;
        heartbeat_interval_ = output.head->heartbeat_interval;
    }
    if (without_body_) {
        return;
    }
    if (!output.bytes.empty() && chunked_) {
        fmt::format_to(std::back_inserter(output_), "{:x}\r\n", output.bytes.size());
    }
    output_ += output.bytes;
    if (chunked_) {
        output_ += output.bytes.empty() ? "" : "\r\n";
        output_ += output.ended ? "0\r\n\r\n" : "";
    }
}

void Connection::encode_head(unsigned status, std::string_view content_type,
                             const std::vector<Header>& headers) {
    head_sent_ = true;
    fmt::format_to(std::back_inserter(output_), "HTTP/1.1 {} {}\r\n", status,
                   reason_phrase(status));
    output_ += loop_.date_line(Clock::now());
    if (!content_type.empty() && !has_line_break(content_type)) {
        output_.append("Content-Type: ").append(content_type).append("\r\n");
    }
    for (const Header& header : headers) {
        if (!has_line_break(header.name) && !has_line_break(header.value)) {
            output_.append(header.name).append(": ").append(header.value).append("\r\n");
        }
    }
    if (!keep_alive_) {
        output_ += "Connection: close\r\n";
    } else if (minor_ == 0) {
        output_ += "Connection: keep-alive\r\n";
    }
}

void Connection::encode_whole(const Response& response) {
    encode_head(response.status, response.content_type, response.headers);
    if (bodiless(response.status)) {
        output_ += "\r\n";
        return;
    }
    fmt::format_to(std::back_inserter(output_), "Content-Length: {}\r\n\r\n", response.body.size());
    if (!without_body_) {
        output_ += response.body;
    }
}

/// True when all of output_ is on its way; otherwise on_write() goes on, or the client is gone.
bool Connection::write() {
    if (write_in_flight_) {
        return false;
    }
    // Asking the socket at once saves a trip through the reactor: almost every answer fits.
    while (written_ < output_.size()) {
        error_code ec = boost::asio::error::would_block;
        std::size_t bytes = 0;
        if (tls_ == nullptr) {
            bytes = socket_.write_some(
                boost::asio::buffer(output_.data() + written_, output_.size() - written_), ec);
        }
        if (ec == boost::asio::error::would_block || ec == boost::asio::error::try_again) {
            write_later();
            return false;
        }
        if (ec) {
            close();
            return false;
        }
        written_ += bytes;
    }
    output_.clear();
    written_ = 0;
    if (!heartbeat_.empty()) {
        last_write_ = Clock::now();
    }
    return true;
}

void Connection::write_later() {
    write_in_flight_ = true;
    if (phase_ == Phase::answering) {
        deadline_ = Clock::now() + limits_.write_timeout;
    }
    const auto bytes = boost::asio::buffer(output_.data() + written_, output_.size() - written_);
    auto then = [self = shared_from_this()](const error_code& ec, std::size_t count) {
        self->on_write(ec, count);
    };
    if (tls_ != nullptr) {
        tls_->async_write_some(bytes, std::move(then));
    } else {
        socket_.async_write_some(bytes, std::move(then));
    }
}

void Connection::on_write(const error_code& ec, std::size_t bytes) {
    write_in_flight_ = false;
    if (phase_ == Phase::closed) {
        return;
    }
    if (ec) {
        close();
        return;
    }
    written_ += bytes;
    if (!write()) {
        return;
    }
    if (phase_ == Phase::answering) {
        deadline_ = kNever;
        if (answer_complete_) {
            end_exchange();
        } else {
            flush();
        }
    }
    advance();
}

/// Says that nothing more will come and waits a little for the client to have read it: closing with
/// unread input would reset the connection and could take the answer with it.
void Connection::drain() {
    if (client_done_sending_ || phase_ == Phase::closed) {
        close();
        return;
    }
    leave_socket();
    phase_ = Phase::draining;
    deadline_ = Clock::now() + limits_.linger_timeout;
    // Under TLS, too: every answer says where it ends, so no close_notify is needed to tell.
    error_code ec;
    socket_.shutdown(Socket::shutdown_send, ec);
    if (ec) {
        close();
        return;
    }
    begin_ = 0;
    if (!read_in_flight_) {
        end_ = 0;
        read();
    }
}

void Connection::beat(Clock::time_point now) {
    if (heartbeat_.empty() || write_in_flight_ || answer_complete_ ||
        now - last_write_ < heartbeat_interval_) {
        return;
    }
    Output output;
    output.bytes = heartbeat_;
    encode(output);
    write();
}

void Connection::check(Clock::time_point now) {
    if (phase_ == Phase::socketed) {
        course_->check(now);
        return;
    }
    if (phase_ == Phase::answering) {
        beat(now);
    }
    if (now < deadline_) {
        return;
    }
    if (phase_ == Phase::reading && header_begun_) {
        answer_and_close(408,
                         parser_.header_done() ? "the request body took too long to arrive"
                                               : "the request headers took too long to arrive",
                         parser_.target());
        return;
    }
    close();
}

std::optional<Clock::time_point> Connection::waits_since() const {
    const bool waits = (phase_ == Phase::reading && !body_begun_ && !write_in_flight_) ||
                       phase_ == Phase::securing;
    if (!waits || deadline_ == kNever) {
        return std::nullopt;
    }
    return deadline_ - (in_head() ? limits_.header_timeout : limits_.idle_timeout);
}

void Connection::close_when_idle() {
    keep_alive_ = false;
    if (phase_ == Phase::socketed) {
        mail_->close(SocketClose::going_away, "the server stops");
    }
    if (phase_ == Phase::securing || (phase_ == Phase::reading && !header_begun_)) {
        close();
    }
}

void Connection::close() {
    if (phase_ == Phase::closed) {
        return;
    }
    const auto self = shared_from_this();
    error_code ignored;
    socket_.close(ignored);
    leave_socket();
    phase_ = Phase::closed;
    hall_->remove(self);
    if (answer_) {
        answer_->detach();
        answer_.reset();
    }
}

void Connection::leave_socket() {
    if (phase_ == Phase::socketed) {
        phase_ = Phase::draining;  // the listener may ask for an end, too
        hall_->shared().web_sockets.fetch_sub(1);
        course_->end();
    }
}

Hall::Hall(Shared& shared, Loop& loop, std::shared_ptr<Attendance> attendance)
    : presence_(std::move(attendance)),
      shared_(shared),
      loop_(loop),
      sweep_timer_(loop.executor()) {}

void Hall::adopt(Socket socket, bool full) {
    boost::asio::post(
        loop_.executor(), [self = shared_from_this(), full, socket = std::move(socket)]() mutable {
            const bool refused = full && !self->make_room();
            (refused ? self->shared_.refused_total : self->shared_.accepted_total).fetch_add(1);
            const auto connection = std::make_shared<Connection>(self, std::move(socket));
            self->connections_.insert(connection);
            if (self->shared_.stopping.load()) {
                connection->close();
            } else if (refused) {
                connection->refuse_service();
            } else {
                connection->start();
            }
            self->sweep_later();
        });
}

/// Closes the connection that has kept its place longest without a request; unfinished heads first,
/// for idle ones may be a pool's.
bool Hall::make_room() {
    const auto latest = Clock::now() - shared_.options.crowded_timeout;
    std::shared_ptr<Connection> oldest;
    std::pair<bool, Clock::time_point> order;
    for (const auto& connection : connections_) {
        const auto since = connection->waits_since();
        if (since && *since <= latest) {
            const std::pair its(!connection->in_head(), *since);
            if (oldest == nullptr || its < order) {
                oldest = connection;
                order = its;
            }
        }
    }
    if (oldest != nullptr) {
        oldest->close();
    }
    return oldest != nullptr;
}

void Hall::remove(const std::shared_ptr<Connection>& connection) {
    connections_.erase(connection);
    if (shared_.connections.fetch_sub(1) == 1) {
        const std::scoped_lock lock(shared_.drained_mutex);
        shared_.drained.notify_all();
    }
}

/// Looks at every connection's deadline from time to time: thousands of timers armed and disarmed
/// for each request would cost more than all else that a small request costs.
void Hall::sweep_later() {
    if (sweeping_ || connections_.empty()) {
        return;
    }
    sweeping_ = true;
    const Limits& limits = shared_.options.limits;
    const auto shortest = std::min({limits.header_timeout, limits.body_timeout, limits.idle_timeout,
                                    limits.write_timeout, limits.linger_timeout});
    using std::chrono::milliseconds;
    sweep_timer_.expires_after(std::clamp(shortest / 4, milliseconds(5), milliseconds(500)));
    sweep_timer_.async_wait([self = shared_from_this()](const error_code& ec) {
        self->sweeping_ = false;
        if (!ec) {
            self->sweep();
        }
    });
}

void Hall::sweep() {
    const auto now = Clock::now();
    for (auto it = connections_.begin(); it != connections_.end();) {
        const auto connection = *it++;  // check() may remove it
        connection->check(now);
    }
    sweep_later();
}

void Hall::wind_down() {
    boost::asio::post(loop_.executor(), [self = shared_from_this()] {
        for (auto it = self->connections_.begin(); it != self->connections_.end();) {
            const auto connection = *it++;
            connection->close_when_idle();
        }
    });
}

void Hall::close_all() {
    boost::asio::post(loop_.executor(), [self = shared_from_this()] {
        for (auto it = self->connections_.begin(); it != self->connections_.end();) {
            const auto connection = *it++;
            connection->close();
        }
        self->sweep_timer_.cancel();
    });
}

}  // namespace trilane::net
