#include "net/server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <exception>
#include <utility>

#include "base/check.h"
#include "net/connection.h"
#include "net/server_tls.h"

namespace trilane::net {
namespace {

using boost::system::error_code;
using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor>;
using Endpoint = boost::asio::ip::tcp::endpoint;

constexpr int kBacklog = 1024;
/// After accept() found no file descriptor left.
constexpr std::chrono::milliseconds kAcceptPause{100};
/// Refused clients that may linger at once, over connections_max, to read why.
constexpr std::size_t kRefusedMax = 64;

std::string shown(const Endpoint& endpoint) {
    const std::string address = endpoint.address().to_string();
    return endpoint.address().is_v6() ? fmt::format("[{}]:{}", address, endpoint.port())
                                      : fmt::format("{}:{}", address, endpoint.port());
}

/// The endpoints to listen on. Only the first one must succeed.
Result<std::vector<Endpoint>> endpoints_of(const std::string& host, std::uint16_t port) {
    namespace ip = boost::asio::ip;
    if (host == "localhost") {
        // Some clients try ::1 first and some only 127.0.0.1.
        return std::vector<Endpoint>{{ip::address_v4::loopback(), port},
                                     {ip::address_v6::loopback(), port}};
    }
    error_code ec;
    const auto address = ip::make_address(host, ec);
    if (!ec) {
        return std::vector<Endpoint>{{address, port}};
    }
    boost::asio::io_context context;
    ip::tcp::resolver resolver(context);
    const auto found = resolver.resolve(host, "", ip::resolver_base::passive, ec);
    if (ec || found.empty()) {
        return fail(Fault::invalid,
                    "host '{}' is no address of this machine ({}); use 127.0.0.1, ::1, localhost, "
                    "0.0.0.0 or ::",
                    host, ec.message());
    }
    return std::vector<Endpoint>{{found.begin()->endpoint().address(), port}};
}

Result<Acceptor> listen_on(const Endpoint& endpoint, const Executor& executor) {
    Acceptor acceptor(executor);
    error_code ec;
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) {
        // On Linux this only skips the wait after a closed listener; two live ones still conflict.
        acceptor.set_option(Acceptor::reuse_address(true), ec);
    }
    if (!ec && endpoint.address().is_v6()) {
        acceptor.set_option(boost::asio::ip::v6_only(!endpoint.address().is_unspecified()), ec);
    }
    if (!ec) {
        acceptor.bind(endpoint, ec);
    }
    if (!ec) {
        acceptor.listen(kBacklog, ec);
    }
    if (ec == boost::asio::error::address_in_use) {
        return fail(Fault::unavailable,
                    "{} is taken by another program: `ss -ltnp 'sport = :{}'` tells which one; "
                    "stop it, or choose another port with --port N",
                    shown(endpoint), endpoint.port());
    }
    if (ec) {
        return fail(Fault::unavailable, "cannot listen on {}: {}; choose another --host or --port",
                    shown(endpoint), ec.message());
    }
    return acceptor;
}

bool out_of_descriptors(const error_code& ec) {
    return ec.value() == EMFILE || ec.value() == ENFILE || ec.value() == ENOBUFS ||
           ec.value() == ENOMEM;
}

/// A listening socket, run by the first loop, which deals its connections out to the halls.
/// Whatever is queued for it holds a shared_ptr.
class Gate : public std::enable_shared_from_this<Gate> {
public:
    Gate(Acceptor acceptor, Shared& shared, std::vector<std::shared_ptr<Hall>> halls,
         std::shared_ptr<Attendance> attendance)
        : presence_(std::move(attendance)),
          shared_(shared),
          halls_(std::move(halls)),
          acceptor_(std::move(acceptor)),
          pause_(acceptor_.get_executor()) {}

    void accept() {
        const auto& hall = halls_[next_hall_++ % halls_.size()];
        acceptor_.async_accept(hall->loop().executor(), [self = shared_from_this(), &hall](
                                                            const error_code& ec, Socket socket) {
            self->on_accept(*hall, ec, std::move(socket));
        });
    }

    void close() {
        error_code ignored;
        acceptor_.close(ignored);
        pause_.cancel();
    }

private:
    void on_accept(Hall& hall, const error_code& ec, Socket socket) {
        if (!acceptor_.is_open() || shared_.stopping.load()) {
            return;
        }
        if (out_of_descriptors(ec)) {
            pause_.expires_after(kAcceptPause);
            pause_.async_wait([self = shared_from_this()](const error_code& cancelled) {
                if (!cancelled && self->acceptor_.is_open()) {
                    self->accept();
                }
            });
            return;
        }
        if (!ec) {
            welcome(hall, std::move(socket));
        }
        accept();
    }

    void welcome(Hall& hall, Socket socket) {
        const std::size_t before = shared_.connections.fetch_add(1);
        const std::size_t connections_max = shared_.options.limits.connections_max;
        if (before >= connections_max + kRefusedMax) {
            shared_.connections.fetch_sub(1);
            shared_.refused_total.fetch_add(1);
            return;  // the socket closes itself
        }
        hall.adopt(std::move(socket), before >= connections_max);
    }

    Presence presence_;  // first: see Presence
    Shared& shared_;
    const std::vector<std::shared_ptr<Hall>> halls_;
    Acceptor acceptor_;
    Timer pause_;  // while there are no file descriptors left
    std::size_t next_hall_ = 0;
};

}  // namespace

/// The gates and halls of one server, and its loops where they are its own.
class Server::Listening {
public:
    Listening(ServerOptions options, Handler handler) {
        shared_.options = std::move(options);
        shared_.handler = std::move(handler);
        if (shared_.options.loops == nullptr) {
            own_loops_ = std::make_unique<Loops>(shared_.options.threads);
            shared_.options.loops = own_loops_.get();
        }
        Loops::Running& loops = shared_.options.loops->running();
        for (std::size_t i = 0; i < loops.size(); ++i) {
            halls_.push_back(std::make_shared<Hall>(shared_, loops.at(i), attendance_));
        }
    }

    ~Listening() { stop(std::chrono::milliseconds(0)); }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

    Status listen() {
        TRILANE_TRY(shared_.tls, server_tls_context(shared_.options.tls));
        TRILANE_TRY(auto endpoints, endpoints_of(shared_.options.host, shared_.options.port));
        const Executor executor = halls_.front()->loop().executor();
        for (Endpoint& endpoint : endpoints) {
            endpoint.port(port_ != 0 ? port_ : endpoint.port());
            auto acceptor = listen_on(endpoint, executor);
            if (!acceptor && port_ == 0) {
                return tl::unexpected(std::move(acceptor).error());
            }
            if (acceptor) {
                error_code ec;
                port_ = acceptor->local_endpoint(ec).port();
                gates_.push_back(
                    std::make_shared<Gate>(std::move(*acceptor), shared_, halls_, attendance_));
            }
        }
        boost::asio::post(executor, [gates = gates_] {
            for (const auto& gate : gates) {
                gate->accept();
            }
        });
        started_ = true;
        return {};
    }

    void stop(std::chrono::milliseconds patience) {
        if (!std::exchange(started_, false)) {
            return;
        }
        Loops::Running& loops = shared_.options.loops->running();
        TRILANE_CHECK(loops.current() == loops.size());  // it would wait for itself
        shared_.stopping = true;
        boost::asio::post(halls_.front()->loop().executor(), [gates = std::move(gates_)] {
            for (const auto& gate : gates) {
                gate->close();
            }
        });
        for (const auto& hall : halls_) {
            hall->wind_down();
        }
        {
            std::unique_lock lock(shared_.drained_mutex);
            shared_.drained.wait_for(lock, patience,
                                     [this] { return shared_.connections.load() == 0; });
        }
        for (const auto& hall : halls_) {
            hall->close_all();
        }
        halls_.clear();
        attendance_->wait_until_empty();
        own_loops_.reset();
        shared_.handler = nullptr;  // and with it what its owner captured
    }

    [[nodiscard]] std::uint16_t port() const { return port_; }

    [[nodiscard]] ServerSnapshot snapshot() const {
        return {shared_.connections.load(), shared_.accepted_total.load(),
                shared_.refused_total.load(), shared_.web_sockets.load()};
    }

private:
    Shared shared_;
    std::unique_ptr<Loops> own_loops_;
    const std::shared_ptr<Attendance> attendance_ = std::make_shared<Attendance>();
    std::vector<std::shared_ptr<Hall>> halls_;
    std::vector<std::shared_ptr<Gate>> gates_;
    std::uint16_t port_ = 0;
    bool started_ = false;
};

Server::Server(std::unique_ptr<Listening> listening) : listening_(std::move(listening)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler handler) {
    try {
        auto listening = std::make_unique<Listening>(std::move(options), std::move(handler));
        TRILANE_TRY_STATUS(listening->listen());
        return std::unique_ptr<Server>(new Server(std::move(listening)));
    } catch (const std::exception& error) {
        // Asio throws where it cannot get an epoll descriptor or a thread.
        return fail(Fault::unavailable, "cannot start the HTTP server: {}", error.what());
    }
}

std::uint16_t Server::port() const {
    return listening_->port();
}
ServerSnapshot Server::snapshot() const {
    return listening_->snapshot();
}
void Server::stop(std::chrono::milliseconds patience) {
    listening_->stop(patience);
}

Exchange::Exchange(std::shared_ptr<Answer> answer) : answer_(std::move(answer)) {}
Exchange::~Exchange() {
    answer_->abandon();
}
void Exchange::respond(Response response) {
    answer_->respond(std::move(response));
}
void Exchange::start_stream(StreamHead head) {
    answer_->start_stream(std::move(head));
}
bool Exchange::send(std::string_view bytes) {
    return answer_->send(bytes);
}
void Exchange::finish() {
    answer_->finish();
}
void Exchange::become_web_socket(const Request& request, WebSocketOptions options,
                                 std::shared_ptr<WebSocketListener> listener) {
    const std::string* key = request.header("Sec-WebSocket-Key");
    answer_->become_web_socket(
        {key != nullptr ? *key : std::string(), std::move(options), std::move(listener)});
}
void Exchange::on_gone(std::function<void()> callback) {
    answer_->on_gone(std::move(callback));
}

}  // namespace trilane::net
