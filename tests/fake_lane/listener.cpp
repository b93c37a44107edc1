#include "listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

namespace trilane::fake_lane {
namespace {

constexpr int kBacklog = 512;
constexpr auto kOutOfFilesPause = std::chrono::milliseconds(10);
constexpr std::size_t kReadBytes = std::size_t{16} << 10U;

bool same_word(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool has_word(std::string_view text, std::string_view word) {
    for (std::size_t at = 0; at + word.size() <= text.size(); ++at) {
        if (same_word(text.substr(at, word.size()), word)) {
            return true;
        }
    }
    return false;
}

/// Reads requests from a socket, one after the other; what follows a request stays for the next.
class RequestReader {
public:
    enum class Got { request, end, malformed, too_large };

    explicit RequestReader(int socket) : socket_(socket) {}

    /// Waits at most `idle_ms` for the first byte (0 = for ever). `out` has views into the reader
    /// until the next call.
    Got read(Request& out, std::int64_t idle_ms) {
        buffer_.erase(0, std::exchange(used_, 0));
        if (buffer_.empty() && idle_ms > 0) {
            pollfd waiting{socket_, POLLIN, 0};
            if (::poll(&waiting, 1, static_cast<int>(idle_ms)) == 0) {
                return Got::end;
            }
        }
        std::size_t end = 0;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            if (buffer_.size() > kHeadBytesMax) {
                return Got::too_large;
            }
            if (!more()) {
                return Got::end;
            }
        }
        return read_body(out, end + 4);
    }

private:
    struct Framing {
        std::size_t length = 0;
        bool chunked = false;
        bool expects_continue = false;
    };

    bool more() {
        const std::size_t had = buffer_.size();
        buffer_.resize(had + kReadBytes);
        ssize_t got = -1;
        do {
            got = ::recv(socket_, buffer_.data() + had, kReadBytes, 0);
        } while (got < 0 && errno == EINTR);
        buffer_.resize(had + static_cast<std::size_t>(got > 0 ? got : 0));
        return got > 0;
    }

    Got read_body(Request& out, std::size_t head_bytes) {
        Framing framing;
        if (!parse_head(out, head_bytes, framing)) {
            return Got::malformed;
        }
        if (framing.length > kBodyBytesMax) {
            return Got::too_large;
        }
        if (framing.expects_continue) {
            static constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
            ::send(socket_, kGoOn.data(), kGoOn.size(), MSG_NOSIGNAL);
        }
        if (framing.chunked) {
            const Got got = read_chunks(head_bytes);
            if (got != Got::request) {
                return got;
            }
        } else {
            while (buffer_.size() < head_bytes + framing.length) {
                if (!more()) {
                    return Got::end;
                }
            }
            used_ = head_bytes + framing.length;
        }
        // The buffer may have moved while the body arrived.
        parse_head(out, head_bytes, framing);
        out.body = framing.chunked ? std::string_view(chunks_)
                                   : std::string_view(buffer_).substr(head_bytes, framing.length);
        return Got::request;
    }

    Got read_chunks(std::size_t at) {
        chunks_.clear();
        while (true) {
            std::size_t line = 0;
            while ((line = buffer_.find("\r\n", at)) == std::string::npos) {
                if (!more()) {
                    return Got::end;
                }
            }
            std::size_t size = 0;
            const char* first = buffer_.data() + at;
            if (std::from_chars(first, buffer_.data() + line, size, 16).ptr == first) {
                return Got::malformed;
            }
            at = line + 2;
            if (chunks_.size() + size > kBodyBytesMax) {
                return Got::too_large;
            }
            while (buffer_.size() < at + size + 2) {
                if (!more()) {
                    return Got::end;
                }
            }
            chunks_.append(buffer_, at, size);
            at += size + 2;
            if (size == 0) {
                used_ = at;
                return Got::request;
            }
        }
    }

    bool parse_head(Request& out, std::size_t head_bytes, Framing& framing) const {
        out = Request{};
        out.head = std::string_view(buffer_).substr(0, head_bytes);
        std::size_t line_end = out.head.find("\r\n");
        const std::string_view line = out.head.substr(0, line_end);
        const std::size_t first = line.find(' ');
        const std::size_t second = line.rfind(' ');
        if (first == std::string_view::npos || first == second ||
            line.substr(second + 1).substr(0, 7) != "HTTP/1.") {
            return false;
        }
        out.method = line.substr(0, first);
        out.target = line.substr(first + 1, second - first - 1);
        const std::size_t mark = out.target.find('?');
        out.path = out.target.substr(0, mark);
        out.query = mark == std::string_view::npos ? "" : out.target.substr(mark + 1);
        out.keep_alive = line.back() != '0';
        for (std::size_t at = line_end + 2; at + 2 < head_bytes; at = line_end + 2) {
            line_end = out.head.find("\r\n", at);
            const std::string_view header = out.head.substr(at, line_end - at);
            const std::size_t colon = header.find(':');
            if (colon == std::string_view::npos) {
                return false;
            }
            std::string_view value = header.substr(colon + 1);
            value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
            if (!take_header(out, framing, header.substr(0, colon), value)) {
                return false;
            }
        }
        return true;
    }

    static bool take_header(Request& out, Framing& framing, std::string_view name,
                            std::string_view value) {
        if (same_word(name, "content-length")) {
            const char* end = value.data() + value.size();
            return std::from_chars(value.data(), end, framing.length).ptr == end;
        }
        if (same_word(name, "transfer-encoding")) {
            framing.chunked = has_word(value, "chunked");
        } else if (same_word(name, "connection")) {
            out.keep_alive =
                out.keep_alive ? !has_word(value, "close") : has_word(value, "keep-alive");
        } else if (same_word(name, "authorization")) {
            out.authorization = value;
        } else if (same_word(name, "x-api-key")) {
            out.api_key = value;
        } else if (same_word(name, "expect")) {
            framing.expects_continue = has_word(value, "100-continue");
        }
        return true;
    }

    int socket_;
    std::string buffer_;
    std::string chunks_;
    std::size_t used_ = 0;
};

/// Answers one request; false when the connection ends with it.
bool serve_one(World& world, Personality& personality, int socket, const Request& request,
               std::int64_t number) {
    const std::shared_ptr<const Script> script = world.script();
    Exchange exchange(socket, world, script, request);
    exchange.set_head_lines(personality.head_lines());
    const bool last = !personality.keeps_alive(*script) || !request.keep_alive ||
                      (script->keep_alive_max > 0 && number >= script->keep_alive_max);
    if (last) {
        exchange.close_after(true);
    }
    Counters& counters = world.counters;
    if (request.path.starts_with("/fake/")) {
        counters.of_fake += number == 1 ? 1 : 0;
        answer_fake_page(exchange, personality);
        return exchange.keeps_open();
    }
    ++counters.requests;
    counters.reused += number > 1 ? 1 : 0;
    world.record(request.path, request.head, request.body);
    if (script->log_requests) {
        fmt::print(stderr, "request: {} {} {} bytes\n", request.method, request.target,
                   request.body.size());
    }
    if (request.is_inference()) {
        exchange.begin_work();
        if (static_cast<std::int64_t>(++counters.inference) == script->crash_on_request) {
            die(script->base.crash_signal);
        }
    }
    const bool frozen = world.is_frozen() && !exchange.wait_ms(0);
    if (!frozen) {
        personality.answer(exchange);
    }
    return exchange.keeps_open();
}

void serve_connection(World& world, Personality& personality, int socket) {
    RequestReader reader(socket);
    Request request;
    for (std::int64_t number = 1;; ++number) {
        const std::int64_t idle_ms = number > 1 ? world.script()->keep_alive_ms : 0;
        const RequestReader::Got got = reader.read(request, idle_ms);
        if (got == RequestReader::Got::malformed || got == RequestReader::Got::too_large) {
            static constexpr std::string_view kBad =
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            static constexpr std::string_view kLarge =
                "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            const std::string_view text = got == RequestReader::Got::malformed ? kBad : kLarge;
            ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
        }
        if (got != RequestReader::Got::request ||
            !serve_one(world, personality, socket, request, number)) {
            break;
        }
    }
    // Before the client can see the end: its next connection must not be counted beside this one.
    --world.counters.open;
    ::close(socket);
}

Result<int> open_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return fail(Fault::invalid, "socket path {} is too long", path);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::unlink(path.c_str());
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(socket);
        return fail(Fault::unavailable, "cannot bind {}: {}", path, std::strerror(errno));
    }
    return socket;
}

Result<int> open_tcp(const Address& where) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(where.port);
    const std::string host = where.host == "localhost" ? "127.0.0.1" : where.host;
    if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
        return fail(Fault::invalid, "host {} is no IPv4 address", where.host);
    }
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int reason = errno;
        ::close(socket);
        return fail(Fault::unavailable, "cannot bind port {}: {}", where.port,
                    std::system_category().message(reason));
    }
    return socket;
}

}  // namespace

Status Listener::open(const Address& address) {
    const bool is_path = address.host.size() > 5 && address.host.ends_with(".sock");
    TRILANE_TRY(socket_, is_path ? open_unix(address.host) : open_tcp(address));
    if (::listen(socket_, kBacklog) != 0) {
        return fail(Fault::unavailable, "cannot listen: {}", std::system_category().message(errno));
    }
    if (!is_path) {
        sockaddr_in bound{};
        socklen_t size = sizeof bound;
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&bound), &size);
        port_ = ntohs(bound.sin_port);
    }
    return {};
}

void Listener::start() {
    std::thread([this] { accept_all(); }).detach();
}

void Listener::close() {
    if (socket_ >= 0) {
        ::shutdown(socket_, SHUT_RDWR);
    }
}

void Listener::accept_all() {
    Counters& counters = world_.counters;
    while (true) {
        const int client = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) {
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            if (errno == EMFILE || errno == ENFILE) {
                std::this_thread::sleep_for(kOutOfFilesPause);
                continue;
            }
            return;
        }
        const std::uint64_t number = ++counters.accepted;
        const std::shared_ptr<const Script> script = world_.script();
        const auto nth =
            static_cast<std::uint64_t>(std::max<std::int64_t>(0, script->close_on_accept));
        const std::uint64_t sockets_max = personality_.sockets_max(*script);
        const std::uint64_t open = ++counters.open;
        if ((nth > 0 && number % nth == 0) || (sockets_max > 0 && open > sockets_max) ||
            open > kConnectionsMax) {
            ++counters.refused;
            --counters.open;
            ::close(client);
            continue;
        }
        const int on = 1;
        ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        try {
            std::thread([this, client] {
                serve_connection(world_, personality_, client);
            }).detach();
        } catch (const std::system_error&) {
            ++counters.refused;
            --counters.open;
            ::close(client);
        }
    }
}

}  // namespace trilane::fake_lane
