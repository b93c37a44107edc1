#include "net/web_socket.h"

#include <algorithm>
#include <utility>

#include "net/web_socket_mail.h"

namespace trilane::net {
namespace {

/// Of base64 of sixteen bytes.
constexpr std::size_t kSocketKeyBytes = 24;
/// What a queued message takes beside its text.
constexpr std::size_t kMessageOverheadBytes = 64;

std::string_view stripped(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos
               ? std::string_view()
               : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool header_has(const Request& request, std::string_view name, std::string_view token) {
    return std::ranges::any_of(request.headers, [&](const Header& header) {
        return equal_ignoring_case(header.name, name) && has_token(header.value, token);
    });
}

}  // namespace

std::string_view find_token(std::string_view list,
                            const std::function<bool(std::string_view)>& wanted) {
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        const std::string_view token = stripped(list.substr(0, comma));
        if (!token.empty() && wanted(token)) {
            return token;
        }
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return {};
}

bool has_token(std::string_view list, std::string_view token) {
    return !find_token(list, [&](std::string_view one) {
                return equal_ignoring_case(one, token);
            }).empty();
}

std::optional<NoWebSocket> why_no_web_socket(const Request& request) {
    if (!header_has(request, "Upgrade", "websocket") ||
        !header_has(request, "Connection", "upgrade")) {
        return NoWebSocket{426, "this is a WebSocket: connect with ws:// (or wss://) instead"};
    }
    if (request.method != "GET" || request.minor == 0) {
        return NoWebSocket{400, "a WebSocket begins with a GET of HTTP/1.1"};
    }
    const std::string* version = request.header("Sec-WebSocket-Version");
    if (version == nullptr || *version != "13") {
        return NoWebSocket{426, "Sec-WebSocket-Version: the version spoken here is 13"};
    }
    const std::string* key = request.header("Sec-WebSocket-Key");
    if (key == nullptr || key->size() != kSocketKeyBytes || !key->ends_with("==")) {
        return NoWebSocket{400, "Sec-WebSocket-Key: send sixteen bytes in base64"};
    }
    return std::nullopt;
}

WebSocketMail::WebSocketMail(std::shared_ptr<Waker> waker, std::size_t bytes_max)
    : waker_(std::move(waker)), bytes_max_(bytes_max) {}

bool WebSocketMail::send(std::string message, bool text) {
    const std::scoped_lock lock(mutex_);
    if (!waker_ || close_ || dropped_) {
        return false;
    }
    const std::size_t bytes = message.size() + kMessageOverheadBytes;
    // A message that is longer than all of the room may wait alone.
    if (bytes_ > 0 && bytes_ + bytes > bytes_max_) {
        drop_locked();
        wake_locked();
        return false;
    }
    bytes_ += bytes;
    messages_.push_back({std::move(message), text});
    wake_locked();
    return true;
}

void WebSocketMail::close(SocketClose code, std::string_view reason) {
    const std::scoped_lock lock(mutex_);
    if (!close_) {
        close_ = Closing{code, std::string(reason.substr(0, kCloseReasonBytesMax))};
        wake_locked();
    }
}

void WebSocketMail::resume() {
    const std::scoped_lock lock(mutex_);
    if (waker_) {
        waker_->wake_soon();  // watched_ stays as it is: nothing was sent
    }
}

std::size_t WebSocketMail::waiting_bytes() const {
    const std::scoped_lock lock(mutex_);
    return bytes_;
}

std::optional<WebSocketMail::Message> WebSocketMail::next() {
    const std::scoped_lock lock(mutex_);
    bytes_ -= std::exchange(writing_bytes_, 0);
    if (messages_.empty()) {
        watched_ = true;
        return std::nullopt;
    }
    Message message = std::move(messages_.front());
    messages_.pop_front();
    // What is being written counts until it has been: a client that does not read has it waiting.
    writing_bytes_ = message.bytes.size() + kMessageOverheadBytes;
    return message;
}

std::optional<WebSocketMail::Closing> WebSocketMail::closing() const {
    const std::scoped_lock lock(mutex_);
    return close_;
}

bool WebSocketMail::dropped() const {
    const std::scoped_lock lock(mutex_);
    return dropped_;
}

void WebSocketMail::detach() {
    const std::scoped_lock lock(mutex_);
    waker_.reset();
    messages_.clear();
    bytes_ = 0;
    writing_bytes_ = 0;
}

void WebSocketMail::drop_locked() {
    dropped_ = true;
    close_ = Closing{SocketClose::refused, "what was sent was not read in time"};
    messages_.clear();
    bytes_ = writing_bytes_;
}

void WebSocketMail::wake_locked() {
    if (watched_ && waker_) {
        watched_ = false;
        waker_->wake_soon();
    }
}

WebSocketWriter::WebSocketWriter(std::shared_ptr<WebSocketMail> mail) : mail_(std::move(mail)) {}
bool WebSocketWriter::send(std::string message, bool text) {
    return mail_->send(std::move(message), text);
}
void WebSocketWriter::close(SocketClose code, std::string_view reason) {
    mail_->close(code, reason);
}
void WebSocketWriter::resume() {
    mail_->resume();
}
std::size_t WebSocketWriter::waiting_bytes() const {
    return mail_->waiting_bytes();
}

}  // namespace trilane::net
