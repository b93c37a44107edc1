#include "exchange.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <thread>

namespace trilane::fake_lane {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kHeldBytesMax = std::size_t{64} << 10U;
constexpr std::int64_t kGarbageAfterChunks = 2;
constexpr std::size_t kHugeHeadBytes = std::size_t{4} << 20U;
constexpr std::size_t kEndlessLineBytes = std::size_t{64} << 20U;
constexpr std::string_view kNotHttp = "\x16\x03\x01\x00\xff\x00GARBAGE\x7f\x80\xfe\r\n\r\n\x00{]"sv;
constexpr auto kThawStep = std::chrono::milliseconds(10);

constexpr std::array<std::string_view, 8> kNoWork = {
    "/tokenize", "/detokenize", "/apply-template", "/props",
    "/api/show", "/api/pull",   "/api/cancel",     "/slots"};

std::string_view reason(unsigned status) {
    switch (status) {
        case 200:
            return "OK";
        case 204:
            return "No Content";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 413:
            return "Payload Too Large";
        case 429:
            return "Too Many Requests";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        default:
            return status < 500 ? "Other" : "Internal Server Error";
    }
}

/// Whether a rule is for this request; counts it when it is.
bool holds(const Rule& rule, const Request& request) {
    if (!rule.path.empty() && rule.path != request.path) {
        return false;
    }
    if (!rule.body_has.empty() && request.body.find(rule.body_has) == std::string_view::npos) {
        return false;
    }
    if (rule.path.empty() && !request.is_inference()) {
        return false;
    }
    const std::int64_t number = ++*rule.seen - rule.from;
    const std::int64_t every = std::max<std::int64_t>(1, rule.every);
    return number >= 0 && number % every == 0 && (rule.times < 0 || number / every < rule.times);
}

const Behaviour& choose(const Script& script, const Request& request) {
    static const Behaviour kPlain;
    for (const Rule& rule : script.rules) {
        if (holds(rule, request)) {
            return rule.does;
        }
    }
    return request.is_inference() ? script.base : kPlain;
}

timespec span_of(Clock::duration left) {
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

bool Request::is_inference() const {
    return method == "POST" && !path.starts_with("/fake/") &&
           std::find(kNoWork.begin(), kNoWork.end(), path) == kNoWork.end();
}

Exchange::Exchange(int socket, World& world_given, std::shared_ptr<const Script> script,
                   const Request& request_given)
    : request(request_given),
      world(world_given),
      socket_(socket),
      script_(std::move(script)),
      behaviour_(&choose(*script_, request)) {}

void Exchange::begin_work() {
    working_ = true;
    world.counters.enter();
}

void Exchange::settle() {
    if (std::exchange(working_, false)) {
        --world.counters.in_flight;
    }
}

/// Everything about the request is over before the client can know it.
bool Exchange::write_last(std::string_view bytes) {
    if (release_) {
        std::exchange(release_, nullptr)();
    }
    const bool counts = working_;
    settle();
    world.counters.answered += counts ? 1 : 0;
    const bool written = write(bytes);
    if (!written && counts) {
        --world.counters.answered;
    }
    return written;
}

bool Exchange::send_plainly(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            left();
            return false;
        }
        sent_bytes_ += sent;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

bool Exchange::write(std::string_view bytes) {
    if (is_dead()) {
        return false;
    }
    std::optional<std::size_t> room;
    if (behaviour_->close_after_bytes >= 0) {
        room = static_cast<std::size_t>(
            std::max<std::int64_t>(0, behaviour_->close_after_bytes - sent_bytes_));
    }
    const bool cuts = room && *room < bytes.size();
    std::string_view rest = cuts ? bytes.substr(0, *room) : bytes;
    while (behaviour_->write_bytes_max > 0 && !rest.empty()) {
        const auto piece =
            std::min(rest.size(), static_cast<std::size_t>(behaviour_->write_bytes_max));
        if (!send_plainly(rest.substr(0, piece))) {
            return false;
        }
        rest.remove_prefix(piece);
    }
    if (!send_plainly(rest)) {
        return false;
    }
    last_write_ = Clock::now();
    if (cuts) {
        ++world.counters.faults;
        cut(behaviour_->close_with_reset);
        return false;
    }
    return true;
}

void Exchange::reply(unsigned status, std::string_view type, std::string_view body,
                     std::string_view more_head) {
    std::string text;
    text.reserve(body.size() + 256);
    fmt::format_to(std::back_inserter(text), "HTTP/1.1 {} {}\r\n{}{}", status, reason(status),
                   head_lines_, more_head);
    if (announces_close_) {
        text += "Connection: close\r\n";
    }
    if (!type.empty()) {
        fmt::format_to(std::back_inserter(text), "Content-Type: {}\r\n", type);
    }
    if (spoil_reply(text, body)) {
        return;
    }
    fmt::format_to(std::back_inserter(text), "Content-Length: {}\r\n\r\n", body.size());
    text += body;
    write_last(text);
}

bool Exchange::spoil_reply(std::string_view head, std::string_view body) {
    const Garbage garbage = behaviour_->garbage;
    const std::string_view half = body.substr(0, body.size() / 2);
    switch (garbage) {
        case Garbage::json:
            write(fmt::format("{}Content-Length: {}\r\n\r\n{}", head, half.size(), half));
            break;
        case Garbage::truncated:
            write(fmt::format("{}Content-Length: {}\r\n\r\n{}", head, body.size(), half));
            cut(behaviour_->close_with_reset);
            break;
        case Garbage::bad_chunk:
            write(fmt::format("{}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", head, half));
            cut(false);
            break;
        case Garbage::second_response: {
            const std::string one =
                fmt::format("{}Content-Length: {}\r\n\r\n{}", head, body.size(), body);
            write(one + one);
            break;
        }
        case Garbage::endless_line:
            write(fmt::format("{}\r\n", head));
            send_endless_line();
            break;
        default:
            return false;
    }
    ++world.counters.faults;
    return true;
}

void Exchange::send_endless_line() {
    const std::string piece(kHeldBytesMax, 'a');
    for (std::size_t sent = 0; sent < kEndlessLineBytes && write(piece); sent += piece.size()) {
    }
    cut(false);
}

void Exchange::begin_stream(std::string_view type) {
    if (streaming_ || is_dead()) {
        return;
    }
    streaming_ = true;
    last_write_ = Clock::now();
    held_ =
        fmt::format("HTTP/1.1 200 OK\r\n{}{}Content-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
                    head_lines_, announces_close_ ? "Connection: close\r\n" : "", type);
}

void Exchange::chunk(std::string_view bytes) {
    if (is_dead() || (chunks_++ >= kGarbageAfterChunks && spoil_stream())) {
        return;
    }
    fmt::format_to(std::back_inserter(held_), "{:x}\r\n", bytes.size());
    held_ += bytes;
    held_ += "\r\n";
    if (held_.size() >= kHeldBytesMax) {
        flush();
    }
}

bool Exchange::spoil_stream() {
    static constexpr std::string_view kOther =
        "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
        "Content-Length: 28\r\n\r\n{\"error\":\"Failed to proceed\"}";
    static constexpr std::string_view kBroken =
        "data: {\"choices\":[{\"delta\":{\"content\":\"to\n\n";
    switch (behaviour_->garbage) {
        case Garbage::json:
            fmt::format_to(std::back_inserter(held_), "{:x}\r\n{}\r\n", kBroken.size(), kBroken);
            flush();
            end_stream();
            break;
        case Garbage::truncated:
            held_ += "400\r\ndata: {\"choi";
            flush();
            cut(behaviour_->close_with_reset);
            break;
        case Garbage::bad_chunk:
            held_ += "zz\r\n{}\r\n";
            flush();
            cut(false);
            break;
        case Garbage::second_response:
            held_ += kOther;
            flush();
            hang();
            break;
        case Garbage::endless_line:
            held_ += "4000000\r\ndata: ";
            flush();
            send_endless_line();
            break;
        default:
            return false;
    }
    ++world.counters.faults;
    keep_open_ = false;
    dead_ = true;
    return true;
}

bool Exchange::flush() {
    if (held_.empty()) {
        return !is_dead();
    }
    const bool sent = write(held_);
    held_.clear();
    return sent;
}

void Exchange::end_stream() {
    if (is_dead()) {
        return;
    }
    held_ += "0\r\n\r\n";
    write_last(std::exchange(held_, {}));
}

void Exchange::left() {
    if (gone_) {
        return;
    }
    gone_ = true;
    keep_open_ = false;
    ++(behaviour_->refuse_cancel ? world.counters.cancels_ignored : world.counters.cancelled);
}

/// Asks the kernel whether the client has closed; a half-closed connection counts as closed.
bool Exchange::note_if_left(int timeout_ms) {
    pollfd watched{socket_, POLLRDHUP, 0};
    if (!gone_ && ::poll(&watched, 1, timeout_ms) > 0) {
        left();
    }
    return gone_;
}

bool Exchange::client_left() {
    return dead_ || (note_if_left(0) && !behaviour_->refuse_cancel);
}

void Exchange::thaw() {
    while (world.is_frozen() && !note_if_left(static_cast<int>(kThawStep.count()))) {
    }
}

bool Exchange::wait_until(Clock::time_point when) {
    while (!dead_) {
        thaw();
        if (gone_ && !behaviour_->refuse_cancel) {
            std::this_thread::sleep_for(ms(behaviour_->cancel_lag_ms));
            return false;
        }
        const Clock::time_point now = Clock::now();
        if (now >= when) {
            return true;
        }
        Clock::time_point next = when;
        const bool pings = streaming_ && behaviour_->sse_ping_ms > 0 && !gone_;
        if (pings) {
            next = std::min(next, last_write_ + ms(behaviour_->sse_ping_ms));
            if (next <= now) {
                held_ += "3\r\n:\n\n\r\n";
                flush();
                continue;
            }
        }
        if (gone_) {
            std::this_thread::sleep_until(next);
            continue;
        }
        const timespec patience = span_of(next - now);
        pollfd watched{socket_, POLLRDHUP, 0};
        if (::ppoll(&watched, 1, &patience, nullptr) > 0) {
            left();
        }
    }
    return false;
}

void Exchange::hang() {
    flush();
    note_if_left(-1);
    dead_ = true;
}

void Exchange::cut(bool with_reset) {
    if (release_) {
        std::exchange(release_, nullptr)();
    }
    settle();
    if (with_reset) {
        const linger now{1, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    } else {
        ::shutdown(socket_, SHUT_WR);
    }
    dead_ = true;
    keep_open_ = false;
}

bool Exchange::was_spoiled() {
    if (behaviour_->crash) {
        die(behaviour_->crash_signal);
    }
    if (behaviour_->latency_ms > 0 && !wait_ms(behaviour_->latency_ms)) {
        return true;
    }
    if (behaviour_->hang) {
        ++world.counters.faults;
        hang();
        return true;
    }
    if (behaviour_->garbage == Garbage::bytes) {
        ++world.counters.faults;
        write(kNotHttp);
        cut(behaviour_->close_with_reset);
        return true;
    }
    if (behaviour_->garbage == Garbage::huge_head) {
        ++world.counters.faults;
        write("HTTP/1.1 200 OK\r\nX-Huge: " + std::string(kHugeHeadBytes, 'h') + "\r\n\r\n");
        cut(false);
        return true;
    }
    return false;
}

}  // namespace trilane::fake_lane
