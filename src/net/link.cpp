#include "net/link.h"

#include <sys/un.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <utility>

#include "net/request_head.h"

namespace trilane::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kAnswerBytesStart = 8U << 10U;
constexpr std::size_t kAnswerBytesMax = 64U << 10U;
/// Of the addresses that a name resolves to.
constexpr std::size_t kEndpointsMax = 16;

std::size_t input_bytes_max(const ClientLimits& limits) {
    constexpr std::size_t kRoomBytes = 4U << 10U;  // so that the parser's own limit comes first
    return std::max(kAnswerBytesMax, limits.head_bytes_max + kRoomBytes);
}

std::chrono::milliseconds shorter(std::chrono::milliseconds wished,
                                  std::chrono::milliseconds limit) {
    return wished.count() > 0 ? std::min(wished, limit) : limit;
}

}  // namespace

Link::Link(std::shared_ptr<Lot> lot)
    : lot_(std::move(lot)),
      shared_(lot_->shared()),
      socket_(lot_->loop().executor()),
      parser_(shared_.limits.head_bytes_max) {}

void Link::open(std::shared_ptr<PendingCall> call) {
    call_ = std::move(call);
    call_->link = this;
    phase_ = Phase::resolving;
    connect_until_ = Clock::now() + shared_.limits.connect_timeout;
    set_deadline(connect_until_);
    find_endpoints();
}

void Link::find_endpoints() {
    const Target& target = shared_.target;
    error_code ec;
    if (!target.unix_path.empty()) {
        if (target.unix_path.size() >= sizeof(sockaddr_un::sun_path)) {
            fail_soon(fail(Fault::invalid, "the socket's path '{}' is too long", target.unix_path));
            return;
        }
        endpoints_ = {asio::local::stream_protocol::endpoint(target.unix_path)};
    } else if (target.host == "localhost") {
        // Always this machine (RFC 6761 §6.3), and no resolver needs to be asked.
        endpoints_ = {tcp::endpoint(asio::ip::address_v4::loopback(), target.port),
                      tcp::endpoint(asio::ip::address_v6::loopback(), target.port)};
    } else if (const auto address = asio::ip::make_address(target.host, ec); !ec) {
        endpoints_ = {tcp::endpoint(address, target.port)};
    } else {
        resolve();
        return;
    }
    connect_next();
}

void Link::resolve() {
    resolver_.emplace(lot_->loop().executor());
    // The system's resolver cannot be broken off: its answer may come after all else has ended.
    resolver_->async_resolve(
        shared_.target.host, "",
        [weak = weak_from_this()](const error_code& ec, const tcp::resolver::results_type& found) {
            const auto self = weak.lock();
            if (!self || self->phase_ != Phase::resolving) {
                return;
            }
            for (const auto& entry : found) {
                if (self->endpoints_.size() < kEndpointsMax) {
                    self->endpoints_.emplace_back(
                        tcp::endpoint(entry.endpoint().address(), self->shared_.target.port));
                }
            }
            if (ec || self->endpoints_.empty()) {
                self->break_off(fail(Fault::unavailable,
                                     "the name '{}' cannot be resolved: {}; check it and the "
                                     "network",
                                     self->shared_.target.host, ec.message()));
                return;
            }
            self->connect_next();
        });
}

void Link::connect_next() {
    phase_ = Phase::connecting;
    while (next_endpoint_ < endpoints_.size()) {
        const auto now = Clock::now();
        const auto attempts_left = static_cast<Clock::rep>(endpoints_.size() - next_endpoint_);
        const Endpoint& endpoint = endpoints_[next_endpoint_++];
        error_code ec;
        socket_.close(ec);
        socket_.open(endpoint.protocol(), ec);
        if (ec) {
            connect_error_ = ec;
            continue;
        }
        socket_.non_blocking(true, ec);
        if (shared_.target.unix_path.empty()) {
            socket_.set_option(tcp::no_delay(true), ec);
        }
        // An address that swallows everything must not use up the time of the others.
        set_deadline(now + (connect_until_ - now) / attempts_left);
        socket_.async_connect(endpoint,
                              [self = shared_from_this(), attempt = next_endpoint_](
                                  const error_code& result) { self->on_connect(result, attempt); });
        return;
    }
    fail_soon(fail(Fault::unavailable, "cannot connect to {}: {}; check that the server runs there",
                   shared_.name, connect_error_.message()));
}

void Link::on_connect(const error_code& ec, std::size_t attempt) {
    if (phase_ != Phase::connecting || attempt != next_endpoint_) {
        return;
    }
    if (ec) {
        connect_error_ = ec;
        connect_next();
        return;
    }
    set_deadline(connect_until_);
    if (shared_.target.tls) {
        secure();
    } else {
        settle();
    }
}

void Link::secure() {
    phase_ = Phase::securing;
    auto stream = shared_.tls->wrap(socket_);
    if (!stream) {
        break_off(tl::unexpected(std::move(stream).error()));
        return;
    }
    tls_ = std::move(*stream);
    tls_->async_handshake(TlsStream::client, [self = shared_from_this()](const error_code& ec) {
        if (self->phase_ != Phase::securing) {
            return;
        }
        if (ec) {
            self->break_off(fail(Fault::unavailable, "no secure connection to {}: {}",
                                 self->shared_.name, TlsClient::failure_of(*self->tls_, ec)));
            return;
        }
        self->settle();
    });
}

/// The connection is there.
void Link::settle() {
    shared_.opened_total.fetch_add(1, std::memory_order_relaxed);
    lot_->on_open(shared_from_this());
    if (call_) {
        ask();
    } else {
        become_idle();
        read();
    }
}

void Link::become_idle() {
    phase_ = Phase::idle;
    set_deadline(Clock::now() + shared_.limits.idle_timeout);
    lot_->on_free(shared_from_this());
}

std::shared_ptr<PendingCall> Link::hand_over() {
    return let_go();
}

void Link::use(std::shared_ptr<PendingCall> call) {
    call_ = std::move(call);
    call_->link = this;
    reused_ = true;
    shared_.reused_total.fetch_add(1, std::memory_order_relaxed);
    ask();
}

void Link::ask() {
    phase_ = Phase::asking;
    head_.clear();
    append_request_head(head_, shared_.target, shared_.host_line, call_->request);
    written_ = 0;
    write_failed_ = false;
    request_out_ = false;
    answer_begun_ = false;
    begin_ = 0;
    end_ = 0;
    parser_.expect(call_->request.method == "HEAD");
    if (tls_) {
        set_deadline(Clock::now() + head_timeout());
        write_tls();
    } else {
        write();
    }
    read();
}

std::array<asio::const_buffer, 2> Link::unwritten() const {
    const std::string& body = call_->request.body;
    return {asio::buffer(head_) + written_,
            asio::buffer(body) + (written_ - std::min(written_, head_.size()))};
}

void Link::write() {
    // Asking the socket at once saves a trip through the reactor: almost every request fits.
    while (written_ < request_bytes()) {
        error_code ec;
        const std::size_t bytes = socket_.write_some(unwritten(), ec);
        if (ec == asio::error::would_block || ec == asio::error::try_again) {
            write_in_flight_ = true;
            set_deadline(Clock::now() + head_timeout());
            // The call is kept for its body's sake.
            socket_.async_write_some(unwritten(), [self = shared_from_this(), call = call_](
                                                      const error_code& late, std::size_t written) {
                self->on_write(late, written);
            });
            return;
        }
        if (ec) {
            write_failed();
            return;
        }
        written_ += bytes;
    }
    request_is_out();
}

/// Never at once: a TLS record that was written in part could not be taken back.
void Link::write_tls() {
    write_in_flight_ = true;
    asio::async_write(*tls_, unwritten(),
                      [self = shared_from_this(), call = call_](
                          const error_code& ec, std::size_t bytes) { self->on_write(ec, bytes); });
}

void Link::on_write(const error_code& ec, std::size_t bytes) {
    write_in_flight_ = false;
    if (phase_ != Phase::asking) {
        return;
    }
    if (ec) {
        write_failed();
        return;
    }
    written_ += bytes;
    write();
}

/// What the server said before it closed its side may still be to be read, and says more.
void Link::write_failed() {
    write_failed_ = true;
    set_deadline(Clock::now() + head_timeout());
}

void Link::request_is_out() {
    request_out_ = true;
    sent_at_ = Clock::now();
    if (!parser_.head_done()) {
        set_deadline(sent_at_ + head_timeout());
        if (lot_->answers_in_a_hurry) {
            lot_->loop().stay_awake(sent_at_);
        }
    }
}

void Link::read() {
    if (read_in_flight_ || phase_ == Phase::closed) {
        return;
    }
    make_space();
    read_in_flight_ = true;
    const auto space = asio::buffer(input_.data() + end_, input_.size() - end_);
    auto heard = [self = shared_from_this()](const error_code& ec, std::size_t bytes) {
        self->on_read(ec, bytes);
    };
    if (tls_) {
        tls_->async_read_some(space, std::move(heard));
    } else {
        socket_.async_read_some(space, std::move(heard));
    }
}

void Link::make_space() {
    if (begin_ > 0) {
        std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
        end_ -= std::exchange(begin_, 0);
    }
    if (end_ == input_.size()) {
        input_.resize(input_.empty() ? kAnswerBytesStart : input_bytes_max(shared_.limits));
    }
}

void Link::on_read(const error_code& ec, std::size_t bytes) {
    read_in_flight_ = false;
    if (phase_ == Phase::closed) {
        return;
    }
    if (phase_ == Phase::idle) {
        break_off({});  // closed by the server, or it spoke unasked
        return;
    }
    if (ec) {
        on_read_end(ec);
        return;
    }
    if (!answer_begun_) {
        answer_begun_ = true;
        lot_->answers_in_a_hurry = request_out_ && Clock::now() - sent_at_ < kHurry;
    }
    end_ += bytes;
    consume();
}

void Link::consume() {
    std::size_t consumed = 0;
    const auto step = parser_.feed({input_.data() + begin_, end_ - begin_}, consumed, *this);
    begin_ += consumed;
    if (step == AnswerParser::Step::complete) {
        finish();
        return;
    }
    if (step == AnswerParser::Step::corrupt) {
        break_off(fail(Fault::corrupt,
                       "what {} answered is not HTTP/1.1: {}; check that the address is right",
                       shared_.name, parser_.reason()));
        return;
    }
    if (end_ - begin_ >= input_bytes_max(shared_.limits)) {
        break_off(fail(Fault::corrupt, "{} answered with a line that is too long", shared_.name));
        return;
    }
    if (parser_.head_done()) {
        set_deadline(Clock::now() + silence_timeout());
    }
    read();
}

void Link::on_head(AnswerHead head) {
    call_->hear_head(std::move(head));
}

void Link::on_body(std::string_view bytes) {
    call_->hear_body(bytes);
}

void Link::finish() {
    // A server that answers before it has read the request, or that speaks on behind its answer, is
    // not asked again on this connection.
    const bool reusable = parser_.keep_alive() && request_out_ && begin_ == end_;
    const auto call = let_go();
    if (reusable) {
        become_idle();
    } else {
        close();
    }
    call->end({});
    read();
}

void Link::on_read_end(const error_code& ec) {
    // Over TLS, only an announced end counts: anybody can cut a TCP connection.
    if (ec == asio::error::eof && parser_.end_of_stream() == AnswerParser::Step::complete) {
        finish();
        return;
    }
    lose(ec);
}

void Link::lose(const error_code& ec) {
    if (reused_ && !answer_begun_ && !call_->sent_again && !call_->cancelled()) {
        // The server may have closed the connection while the request was on its way.
        const auto call = let_go();
        call->sent_again = true;
        phase_ = Phase::closed;
        error_code ignored;
        socket_.close(ignored);
        lot_->on_stale(shared_from_this(), call);
        return;
    }
    const bool ended = ec == asio::error::eof || ec == asio::ssl::error::stream_truncated;
    const std::string how = ended ? "it closed the connection" : ec.message();
    if (answer_begun_) {
        break_off(fail(Fault::unavailable, "the answer of {} is cut off: {}", shared_.name, how));
    } else {
        break_off(fail(Fault::unavailable, "{} sent no byte of an answer: {}", shared_.name, how));
    }
}

void Link::check(Clock::time_point now) {
    if (now < deadline_) {
        return;
    }
    switch (phase_) {
        case Phase::idle:
            break_off({});
            return;
        case Phase::connecting:
            if (next_endpoint_ < endpoints_.size() && now < connect_until_) {
                connect_error_ = asio::error::timed_out;
                connect_next();
                return;
            }
            [[fallthrough]];
        case Phase::resolving:
        case Phase::securing:
            break_off(fail(Fault::timeout,
                           "connecting to {} took longer than {} ms; check that the server runs "
                           "there",
                           shared_.name, shared_.limits.connect_timeout.count()));
            return;
        case Phase::asking:
            time_out();
            return;
        case Phase::closed:
            return;
    }
}

void Link::time_out() {
    if (parser_.head_done()) {
        break_off(fail(Fault::timeout, "{} fell silent for {} ms within its answer", shared_.name,
                       silence_timeout().count()));
    } else if (request_out_) {
        break_off(fail(Fault::timeout, "{} did not begin to answer within {} ms", shared_.name,
                       head_timeout().count()));
    } else {
        break_off(fail(Fault::timeout, "{} did not take the request within {} ms", shared_.name,
                       head_timeout().count()));
    }
}

void Link::break_off(Status status) {
    const auto call = let_go();
    close();
    if (call) {
        call->end(std::move(status));
    }
}

/// For failures within a function that the caller does not expect to end the call.
void Link::fail_soon(Status status) {
    asio::post(lot_->loop().executor(),
               [self = shared_from_this(), status = std::move(status)]() mutable {
                   if (self->phase_ != Phase::closed) {
                       self->break_off(std::move(status));
                   }
               });
}

void Link::close() {
    if (phase_ == Phase::closed) {
        return;
    }
    const auto self = shared_from_this();
    phase_ = Phase::closed;
    deadline_ = kNever;
    error_code ignored;
    if (write_in_flight_) {
        // Otherwise the server would first have to read what the system still holds of the request.
        socket_.set_option(StreamSocket::linger(true, 0), ignored);
    }
    socket_.close(ignored);
    lot_->on_closed(self);
}

std::shared_ptr<PendingCall> Link::let_go() {
    if (call_) {
        call_->link = nullptr;
    }
    return std::exchange(call_, nullptr);
}

void Link::set_deadline(Clock::time_point deadline) {
    deadline_ = deadline;
    lot_->watch(deadline);
}

std::chrono::milliseconds Link::head_timeout() const {
    return shorter(call_->request.head_timeout, shared_.limits.head_timeout);
}

std::chrono::milliseconds Link::silence_timeout() const {
    return shorter(call_->request.silence_timeout, shared_.limits.silence_timeout);
}

}  // namespace trilane::net
