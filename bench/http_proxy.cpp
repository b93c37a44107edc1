// bench_http_proxy: what passing a request on costs. A server answers a small JSON text; a second
// one, on loops of its own, asks the first for every request it gets and hands the answer on.
// Prints the port of the first and of the second, for http_load, and ends on SIGTERM or SIGINT.
#include <fmt/format.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "net/client.h"
#include "net/server.h"

namespace {

using namespace trilane;

constexpr std::string_view kBody =
    R"({"object":"list","data":[{"id":"nano","object":"model","created":0,"owned_by":"bench"}]})";

/// Hands one answer on, whole.
class Handover final : public net::AnswerListener {
public:
    explicit Handover(std::shared_ptr<net::Exchange> exchange) : exchange_(std::move(exchange)) {}

    void on_head(net::AnswerHead head) override {
        response_.status = head.status;
        const std::string* type = head.header("Content-Type");
        response_.content_type = type != nullptr ? *type : "";
    }
    void on_body(std::string_view bytes) override { response_.body.append(bytes); }
    void on_end(const Status& status) override {
        exchange_->respond(status ? std::move(response_)
                                  : net::Response{502, "text/plain", {}, status.error().message});
    }

private:
    std::shared_ptr<net::Exchange> exchange_;
    net::Response response_;
};

Result<std::unique_ptr<net::Server>> started(net::Loops& loops, net::Handler handler) {
    net::ServerOptions options;
    options.loops = &loops;
    return net::Server::start(std::move(options), std::move(handler));
}

}  // namespace

int main(int argc, char** argv) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    unsigned threads = 2;  // of the passing server; the answering one has one
    if (argc > 1) {
        std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), threads);
    }
    net::Loops answering(1);
    net::Loops passing(threads);
    const auto direct = started(answering, [](const net::Request& /*request*/, auto exchange) {
        exchange->respond({200, "application/json", {}, std::string(kBody)});
    });
    if (!direct) {
        fmt::print(stderr, "{}\n", direct.error().message);
        return 1;
    }
    net::Target target;
    target.host = "127.0.0.1";
    target.port = (*direct)->port();
    net::Client client(passing, target);
    const auto proxy = started(passing, [&client](net::Request request, auto exchange) {
        net::Outgoing outgoing;
        outgoing.method = std::move(request.method);
        outgoing.target = std::move(request.target);
        outgoing.body = std::move(request.body);
        client.send(std::move(outgoing), std::make_shared<Handover>(std::move(exchange)));
    });
    if (!proxy) {
        fmt::print(stderr, "{}\n", proxy.error().message);
        return 1;
    }
    fmt::print("{} {}\n", (*direct)->port(), (*proxy)->port());
    std::fflush(stdout);
    int signal = 0;
    sigwait(&ends, &signal);
    const auto snapshot = client.snapshot();
    fmt::print("{} connections opened, {} calls on kept ones\n", snapshot.opened_total,
               snapshot.reused_total);
    return 0;
}
