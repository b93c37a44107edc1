// Server: an asynchronous HTTP/1.1 server. A slow or idle client costs a socket, not a thread.
// Knows nothing of JSON, paths or models: it hands whole requests to a handler, which answers when
// it can.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"
#include "net/loops.h"

namespace trilane::net {

class Answer;
class WebSocketListener;
struct WebSocketOptions;

/// How the answer to a request begins when its body comes piece by piece.
struct StreamHead {
    unsigned status = 200;
    std::string content_type = "text/event-stream";
    std::vector<Header> headers;
    /// Sent whenever nothing else was for `heartbeat_interval`; empty = never.
    std::string heartbeat;
    std::chrono::milliseconds heartbeat_interval{10'000};
};

/// One request waiting for its answer: either respond() once, or start_stream(), any number of
/// send(), then finish(), or become_web_socket(). Dropping it before that answers 500, or breaks
/// the stream off.
/// **Threads:** every function may be called from any thread; none waits for the network.
class Exchange {
public:
    explicit Exchange(std::shared_ptr<Answer> answer);
    ~Exchange();
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    /// Answers with the whole of `response`.
    void respond(Response response);

    /// Sends the head of a streamed answer.
    void start_stream(StreamHead head);

    /// Queues bytes of the stream; pieces queued together leave together. False when the client is
    /// gone or has left more than Limits::pending_bytes_max unread: the stream is over then.
    bool send(std::string_view bytes);

    /// Ends the stream; the connection can serve the next request.
    void finish();

    /// Makes the request's connection a WebSocket. Only from within the handler, and only for a
    /// request that why_no_web_socket() has nothing against. Where there are too many, or the
    /// client sends more before the answer, it is answered with an error and the listener hears
    /// of its end alone.
    void become_web_socket(const Request& request, WebSocketOptions options,
                           std::shared_ptr<WebSocketListener> listener);

    /// Calls `callback` once, from a thread of the server, if the client leaves before the answer
    /// is complete; at once if it already has. A client that shuts down its sending side has left.
    /// Not noticed while the client has more than 64 KiB of further requests waiting unread.
    void on_gone(std::function<void()> callback);

private:
    std::shared_ptr<Answer> answer_;
};

/// Called for each request, on a thread of the server, which must not be kept waiting: answer at
/// once, or hand the exchange to whoever will.
using Handler = std::function<void(Request, std::shared_ptr<Exchange>)>;

/// PEM files of a server's certificate (with its chain) and private key; both empty = no TLS.
struct ServerTls {
    std::string certificate_file;
    std::string key_file;
};

/// Whether a server could begin with them. **Errors:** as server_tls_context()'s, which it is.
Status check(const ServerTls& files);

struct ServerOptions {
    /// An IPv4 or IPv6 address, "localhost" (both loopbacks), or a name that resolves to one.
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;  ///< 0 = any free one; see Server::port()
    unsigned threads = 2;    ///< of its own; connections are dealt out to them in turn
    /// Shared with other servers and clients; they must outlive the server. Null = threads of its
    /// own.
    Loops* loops = nullptr;
    Limits limits;
    /// Once limits.connections_max is reached, who has not finished a request's head for so long
    /// gives way to who comes.
    std::chrono::milliseconds crowded_timeout{1'000};
    ErrorPage error_page;  ///< empty = plain text
    ServerTls tls;
};

/// Counters since the start, and the connections open now.
struct ServerSnapshot {
    std::size_t connections = 0;
    std::uint64_t accepted_total = 0;
    std::uint64_t refused_total = 0;  ///< answered 503: too many connections
    std::size_t web_sockets = 0;      ///< among the connections
};

class Server {
public:
    /// Listens and serves.
    /// **Errors:** unavailable when the address cannot be bound (a taken port says who to ask);
    /// invalid when `host` names no address, or a file of `tls` is not what it should be.
    static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler handler);

    /// stop() without patience.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] ServerSnapshot snapshot() const;

    /// Accepts no more, lets running exchanges end for at most `patience`, closes what is left
    /// (their on_gone is called), and joins the threads that are its own. Shared loops then know
    /// nothing of the server any more. **Threads:** not those of the loops (handlers, on_gone).
    void stop(std::chrono::milliseconds patience);

private:
    class Listening;
    explicit Server(std::unique_ptr<Listening> listening);
    std::unique_ptr<Listening> listening_;
};

}  // namespace trilane::net
