// http_load: a closed-loop HTTP load generator for the loopback. One thread, epoll, keep-alive:
// each connection asks again as soon as it has its answer. Not for servers elsewhere, not a
// correctness test: it reads Content-Length answers and event streams, nothing else.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kUsage =
    "usage: http_load URL [--connections N] [--seconds S] [--post FILE]\n"
    "                     [--streams N --stream-url URL --body FILE]\n"
    "\n"
    "Asks GET URL (http://127.0.0.1:PORT/path) over N connections for S seconds, as fast as "
    "answers\n"
    "come, and prints requests/s and latencies as one line of JSON. --post sends FILE as the JSON\n"
    "body of a POST instead. With --streams it first opens "
    "N\n"
    "POSTs of FILE to the stream URL, re-opens those that end, and measures beside them.\n";

struct Url {
    std::uint16_t port = 0;
    std::string path;
};

struct Options {
    Url url;
    Url stream_url;
    unsigned connections = 1;
    unsigned streams = 0;
    double seconds = 5;
    std::string stream_body;
    std::string post_body;  // empty = GET
};

[[noreturn]] void give_up(std::string_view message) {
    fmt::print(stderr, "http_load: {}\n\n{}", message, kUsage);
    std::exit(2);
}

Url url_of(std::string_view text) {
    for (const std::string_view prefix : {"http://127.0.0.1:", "http://localhost:"}) {
        if (!text.starts_with(prefix)) {
            continue;
        }
        Url url;
        text.remove_prefix(prefix.size());
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), url.port);
        if (ec == std::errc()) {
            url.path = std::string(end, text.data() + text.size());
            url.path = url.path.empty() ? "/" : url.path;
            return url;
        }
    }
    give_up("the URL must be http://127.0.0.1:PORT/path");
}

double number_of(const char* text) {
    char* end = nullptr;
    const double value = std::strtod(text, &end);
    if (end == text || *end != '\0' || value <= 0) {
        give_up(fmt::format("'{}' is not a number above 0", text));
    }
    return value;
}

std::string file_text(const char* path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        give_up(fmt::format("cannot read {}", path));
    }
    return {std::istreambuf_iterator<char>(file), {}};
}

Options options_of(int argc, char** argv) {
    Options options;
    if (argc < 2) {
        give_up("no URL");
    }
    options.url = url_of(argv[1]);
    for (int i = 2; i < argc; i += 2) {
        const std::string_view name = argv[i];
        if (i + 1 >= argc) {
            give_up(fmt::format("{} needs a value", name));
        }
        const char* value = argv[i + 1];
        if (name == "--connections") {
            options.connections = static_cast<unsigned>(number_of(value));
        } else if (name == "--seconds") {
            options.seconds = number_of(value);
        } else if (name == "--streams") {
            options.streams = static_cast<unsigned>(number_of(value));
        } else if (name == "--stream-url") {
            options.stream_url = url_of(value);
        } else if (name == "--post") {
            options.post_body = file_text(value);
        } else if (name == "--body") {
            options.stream_body = file_text(value);
        } else {
            give_up(fmt::format("unknown option {}", name));
        }
    }
    if (options.streams > 0 && (options.stream_url.port == 0 || options.stream_body.empty())) {
        give_up("--streams needs --stream-url and --body");
    }
    return options;
}

int connected_socket(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        give_up(fmt::format("cannot connect to 127.0.0.1:{}: {}", port, std::strerror(errno)));
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

struct Connection {
    bool stream = false;
    std::uint16_t port = 0;
    std::string request;
    int fd = -1;
    std::string received{};  // of an answer not yet complete
    Clock::time_point asked{};
    bool bytes_seen = false;  // of a stream
};

struct Tally {
    std::vector<std::uint32_t> latencies_ns;
    std::uint64_t errors = 0;
    std::uint64_t stream_bytes = 0;
    std::uint64_t streams_ended = 0;
    unsigned streams_flowing = 0;  // have had bytes
};

/// The size of the answer at the front of `text`, or 0 while it is incomplete.
std::size_t answer_bytes(std::string_view text) {
    const auto head = text.find("\r\n\r\n");
    if (head == std::string_view::npos) {
        return 0;
    }
    constexpr std::string_view kLength = "Content-Length: ";
    const auto at = text.substr(0, head).find(kLength);
    std::size_t length = 0;
    if (at != std::string_view::npos) {
        std::from_chars(text.data() + at + kLength.size(), text.data() + head, length);
    }
    const std::size_t bytes = head + 4 + length;
    return text.size() >= bytes ? bytes : 0;
}

std::string post_text(const std::string& path, const std::string& body) {
    return fmt::format(
        "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Content-Length: {}\r\n\r\n{}",
        path, body.size(), body);
}

class Load {
public:
    explicit Load(const Options& options)
        : options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
        tally_.latencies_ns.reserve(1U << 20U);
        for (unsigned i = 0; i < options.streams; ++i) {
            add({true, options.stream_url.port,
                 post_text(options.stream_url.path, options.stream_body)});
        }
        for (unsigned i = 0; i < options.connections; ++i) {
            add({false, options.url.port,
                 options.post_body.empty()
                     ? fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", options.url.path)
                     : post_text(options.url.path, options.post_body)});
        }
    }

    ~Load() {
        for (const auto& connection : connections_) {
            ::close(connection->fd);
        }
        ::close(epoll_);
    }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    void run() {
        for (auto& connection : connections_) {
            if (connection->stream) {
                ask(*connection);
            }
        }
        turn_until([this] { return tally_.streams_flowing == options_.streams; },
                   Clock::now() + std::chrono::seconds(60));
        if (tally_.streams_flowing < options_.streams) {
            give_up(fmt::format("only {} of {} streams began", tally_.streams_flowing,
                                options_.streams));
        }
        for (auto& connection : connections_) {
            if (!connection->stream) {
                ask(*connection);
            }
        }
        const auto began = Clock::now();
        turn_until([] { return false; },
                   began + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(options_.seconds)));
        print(std::chrono::duration<double>(Clock::now() - began).count());
    }

private:
    void add(Connection connection) {
        connections_.push_back(std::make_unique<Connection>(std::move(connection)));
        open(*connections_.back());
    }

    void open(Connection& connection) {
        connection.fd = connected_socket(connection.port);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &connection;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
    }

    void ask(Connection& connection) {
        connection.asked = Clock::now();
        const std::string& request = connection.request;
        const ssize_t sent = ::send(connection.fd, request.data(), request.size(), MSG_NOSIGNAL);
        tally_.errors += sent == static_cast<ssize_t>(request.size()) ? 0U : 1U;
    }

    template <class Done>
    void turn_until(Done done, Clock::time_point until) {
        std::array<epoll_event, 64> events{};
        while (!done() && Clock::now() < until) {
            const int ready =
                ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
            for (int i = 0; i < ready; ++i) {
                on_readable(
                    *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
            }
        }
    }

    void on_readable(Connection& connection) {
        const ssize_t bytes = ::recv(connection.fd, buffer_.data(), buffer_.size(), 0);
        if (bytes <= 0) {
            ++tally_.errors;
            ::close(connection.fd);
            connection.received.clear();
            open(connection);
            ask(connection);
            return;
        }
        const std::string_view text(buffer_.data(), static_cast<std::size_t>(bytes));
        if (connection.stream) {
            on_stream_bytes(connection, text);
            return;
        }
        // Most answers arrive whole and need no copy.
        std::string_view answer = text;
        if (!connection.received.empty()) {
            answer = connection.received.append(text);
        }
        if (answer_bytes(answer) == 0) {
            if (connection.received.empty()) {
                connection.received = text;
            }
            return;
        }
        tally_.errors += answer.starts_with("HTTP/1.1 200") ? 0U : 1U;
        const auto now = Clock::now();
        tally_.latencies_ns.push_back(static_cast<std::uint32_t>(
            std::min<std::int64_t>((now - connection.asked).count(), UINT32_MAX)));
        connection.received.clear();
        ask(connection);
    }

    void on_stream_bytes(Connection& connection, std::string_view text) {
        if (!connection.bytes_seen) {
            connection.bytes_seen = true;
            ++tally_.streams_flowing;
            tally_.errors += text.starts_with("HTTP/1.1 200") ? 0U : 1U;
        }
        tally_.stream_bytes += text.size();
        if (text.ends_with("\r\n0\r\n\r\n")) {
            ++tally_.streams_ended;
            ask(connection);
        }
    }

    void print(double seconds) {
        auto& all = tally_.latencies_ns;
        std::sort(all.begin(), all.end());
        const auto at = [&all](double share) {
            const auto last = static_cast<double>(all.size()) - 1;
            return all.empty() ? 0.0 : all[static_cast<std::size_t>(share * last)] / 1e3;
        };
        fmt::print(
            "{{\"path\":\"{}\",\"connections\":{},\"streams\":{},\"seconds\":{:.2f},"
            "\"requests\":{},\"requests_per_s\":{:.0f},\"p50_us\":{:.1f},\"p99_us\":{:.1f},"
            "\"max_us\":{:.1f},\"stream_bytes\":{},\"streams_ended\":{},\"errors\":{}}}\n",
            options_.url.path, options_.connections, options_.streams, seconds, all.size(),
            static_cast<double>(all.size()) / seconds, at(0.5), at(0.99), at(1.0),
            tally_.stream_bytes, tally_.streams_ended, tally_.errors);
    }

    const Options& options_;
    int epoll_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::array<char, 1U << 16U> buffer_{};
    Tally tally_;
};

}  // namespace

int main(int argc, char** argv) {
    const Options options = options_of(argc, argv);
    const auto load = std::make_unique<Load>(options);
    load->run();
    return 0;
}
