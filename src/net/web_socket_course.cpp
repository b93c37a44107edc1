#include "net/web_socket_course.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <type_traits>
#include <utility>

namespace trilane::net {
namespace {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

/// A longer message's memory is given back when it has been heard.
constexpr std::size_t kKeptBytesMax = 64U << 10U;

/// The connection's stream as Beast sees it. Torn down by Beast, the socket would be closed with
/// unread input, which resets the connection and can take the close frame with it (1.81 reads once,
/// whatever is left; boostorg/beast#1373 is where it gives up). Here its owner drains it instead.
template <class Stream>
class KeptOpen {
public:
    using next_layer_type = Stream;
    using executor_type = Executor;

    explicit KeptOpen(Stream& stream) : stream_(stream) {}
    executor_type get_executor() { return stream_.get_executor(); }
    Stream& next_layer() { return stream_; }
    [[nodiscard]] const Stream& next_layer() const { return stream_; }

    template <class Buffers, class Handler>
    auto async_read_some(const Buffers& space, Handler&& handler) {
        return stream_.async_read_some(space, std::forward<Handler>(handler));
    }
    template <class Buffers, class Handler>
    auto async_write_some(const Buffers& bytes, Handler&& handler) {
        return stream_.async_write_some(bytes, std::forward<Handler>(handler));
    }

    /// Under TLS the client is told by a close_notify, too; whether it answers that is no matter.
    template <class Handler>
    friend void async_teardown(beast::role_type /*role*/, KeptOpen& stream, Handler&& handler) {
        auto done = [handler = std::forward<Handler>(handler)](const error_code& /*ec*/) mutable {
            handler(error_code{});
        };
        if constexpr (std::is_same_v<Stream, WebSocketCourse::Tls>) {
            stream.stream_.async_shutdown(std::move(done));
        } else {
            boost::asio::post(stream.get_executor(),
                              beast::bind_front_handler(std::move(done), error_code{}));
        }
    }

private:
    Stream& stream_;
};

/// An explicit state machine like Connection's: a read is under way, to see pings, closes and the
/// client's leaving, unless the listener wants no more for now; a write is when there is something
/// to say.
template <class Stream>
class CourseOver final : public WebSocketCourse {
public:
    CourseOver(Stream& stream, WebSocketParts parts) : parts_(std::move(parts)), socket_(stream) {}

    void start() override {
        // Beast's own limits: of the handshake's answer, and of silence; it pings at half of that.
        websocket::stream_base::timeout timeout{};
        timeout.handshake_timeout = parts_.limits.write_timeout;
        timeout.idle_timeout = parts_.limits.socket_idle_timeout;
        timeout.keep_alive_pings = true;
        socket_.set_option(timeout);
        socket_.set_option(websocket::stream_base::decorator(
            [protocol = parts_.options.protocol](websocket::response_type& response) {
                response.set(beast::http::field::server, "trilane");
                if (!protocol.empty()) {
                    response.set(beast::http::field::sec_websocket_protocol, protocol);
                }
            }));
        socket_.control_callback([this](websocket::frame_type kind, beast::string_view /*text*/) {
            if (kind == websocket::frame_type::close) {
                // Beast answers it, and then waits for the client to close its side.
                closing_ = true;
                deadline_ = Clock::now() + parts_.limits.linger_timeout;
                parts_.mail->detach();
            }
        });
        socket_.read_message_max(parts_.options.message_bytes_max);
        socket_.auto_fragment(false);
        request_.method(beast::http::verb::get);
        request_.target("/");
        request_.version(11);
        request_.set(beast::http::field::host, "h");
        request_.set(beast::http::field::upgrade, "websocket");
        request_.set(beast::http::field::connection, "Upgrade");
        request_.set(beast::http::field::sec_websocket_version, "13");
        request_.set(beast::http::field::sec_websocket_key, parts_.key);
        socket_.async_accept(request_, [this, keep = parts_.owner.hold()](const error_code& ec) {
            if (ended_) {
                return;
            }
            if (ec) {
                parts_.owner.socket_ended();
                return;
            }
            open();
        });
    }

    void wake() override {
        if (!open_ || ended_) {
            return;
        }
        if (paused_) {
            read_on();
        }
        if (!writing_) {
            write();
        }
    }

    void check(Clock::time_point now) override {
        if (now >= deadline_) {
            parts_.owner.socket_ended();  // it does not read, or does not answer a close
            return;
        }
        if (!open_) {
            return;
        }
        // A message that is being written is not taken back; only how long it may take changes.
        if (parts_.mail->dropped() && writing_ && !hurried_) {
            hurried_ = true;
            deadline_ = std::min(deadline_, now + parts_.limits.linger_timeout);
        }
        if (!closing_) {
            parts_.listener->on_tick();
        }
    }

    void end() override {
        if (!std::exchange(ended_, true)) {
            parts_.mail->detach();
            parts_.listener->on_close();
        }
    }

private:
    void open() {
        open_ = true;
        parts_.listener->on_open(std::make_shared<WebSocketWriter>(parts_.mail));
        read();
        wake();
    }

    void read() {
        socket_.async_read(input_, [this, keep = parts_.owner.hold()](
                                       const error_code& ec, std::size_t) { on_read(ec); });
    }

    /// Unless the listener has had enough. Its resume() is posted to this thread, so that one that
    /// comes right after its no finds paused_ set.
    void read_on() {
        paused_ = !closing_ && !parts_.listener->wants_more();
        if (!paused_) {
            read();
        }
    }

    void on_read(const error_code& ec) {
        if (ended_) {
            return;
        }
        if (ec) {
            // Also after errors of the connection itself: there is nothing to drain then.
            parts_.owner.socket_said_all();
            return;
        }
        if (!closing_) {
            const auto bytes = input_.data();
            parts_.listener->on_message({static_cast<const char*>(bytes.data()), bytes.size()},
                                        socket_.got_text());
        }
        input_.clear();
        if (input_.capacity() > kKeptBytesMax) {
            input_.shrink_to_fit();
        }
        read_on();
    }

    void write() {
        auto message = parts_.mail->next();
        if (!message) {
            if (const auto closing = parts_.mail->closing(); closing && !closing_) {
                close(*closing);
            }
            return;
        }
        if (closing_) {
            return;
        }
        writing_ = true;
        deadline_ = Clock::now() + parts_.limits.write_timeout;
        output_ = std::move(message->bytes);
        socket_.text(message->text);
        socket_.async_write(boost::asio::buffer(output_),
                            [this, keep = parts_.owner.hold()](const error_code& ec, std::size_t) {
                                on_write(ec);
                            });
    }

    void on_write(const error_code& ec) {
        writing_ = false;
        if (ended_) {
            return;
        }
        if (ec) {
            parts_.owner.socket_ended();
            return;
        }
        if (!closing_) {
            deadline_ = Clock::time_point::max();
        }
        write();
    }

    /// The read under way ends with the client's own close frame, and with it the WebSocket.
    void close(const WebSocketMail::Closing& closing) {
        closing_ = true;
        if (std::exchange(paused_, false)) {
            read();
        }
        deadline_ = Clock::now() + parts_.limits.linger_timeout;
        websocket::close_reason reason(static_cast<websocket::close_code>(closing.code));
        reason.reason.assign(closing.reason.data(), closing.reason.size());
        socket_.async_close(reason, [this, keep = parts_.owner.hold()](const error_code& ec) {
            if (ec && !ended_) {
                parts_.owner.socket_ended();
            }
        });
    }

    const WebSocketParts parts_;
    websocket::stream<KeptOpen<Stream>, false> socket_;
    beast::http::request<beast::http::string_body> request_;
    beast::flat_buffer input_;
    std::string output_;
    Clock::time_point deadline_ = Clock::time_point::max();
    bool open_ = false;
    bool writing_ = false;
    bool paused_ = false;  // no read is under way: the listener wants no more
    bool closing_ = false;
    bool hurried_ = false;
    bool ended_ = false;
};

}  // namespace

std::unique_ptr<WebSocketCourse> WebSocketCourse::over(Plain& socket, WebSocketParts parts) {
    return std::make_unique<CourseOver<Plain>>(socket, std::move(parts));
}

std::unique_ptr<WebSocketCourse> WebSocketCourse::over(Tls& stream, WebSocketParts parts) {
    return std::make_unique<CourseOver<Tls>>(stream, std::move(parts));
}

}  // namespace trilane::net
