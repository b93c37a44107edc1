#include "app/daemon_client.h"

#include <utility>

#include "app/serve_setup.h"
#include "json/json.h"
#include "net/client.h"
#include "net/loops.h"

namespace trilane::app {
namespace {

/// Loading a large model from a slow disk.
constexpr std::chrono::milliseconds kAnswerPatience{1'800'000};

/// The message of an error body in OpenAI's shape.
std::string message_of(const json::Value& body, unsigned status) {
    if (body.is_object() && body.contains("error") && body["error"].is_object() &&
        body["error"].contains("message") && body["error"]["message"].is_string()) {
        return body["error"]["message"].get<std::string>();
    }
    return fmt::format("the daemon answered with status {}", status);
}

}  // namespace

Result<std::unique_ptr<DaemonClient>> DaemonClient::open(const Connection& connection) {
    TRILANE_TRY(net::Target target, net::parse_url(connection.url));
    auto loops = std::make_unique<net::Loops>(1U);
    net::ClientLimits limits;
    limits.head_timeout = kAnswerPatience;
    auto client = std::make_unique<net::Client>(*loops, std::move(target), limits);
    Connection keyed = connection;
    if (!keyed.api_key_file.empty()) {
        TRILANE_TRY(keyed.api_key, read_key_file(keyed.api_key_file));
    }
    return std::unique_ptr<DaemonClient>(
        new DaemonClient(std::move(loops), std::move(client), std::move(keyed)));
}

DaemonClient::DaemonClient(std::unique_ptr<net::Loops> loops, std::unique_ptr<net::Client> client,
                           Connection connection)
    : loops_(std::move(loops)), client_(std::move(client)), connection_(std::move(connection)) {}
DaemonClient::~DaemonClient() = default;

Result<json::Value> DaemonClient::get(std::string_view target) {
    return ask("GET", target, {});
}
Result<json::Value> DaemonClient::post(std::string_view target, const json::Value& body) {
    return ask("POST", target, json::dump(body));
}

Result<json::Value> DaemonClient::ask(std::string method, std::string_view target,
                                      std::string body) {
    net::Outgoing request;
    request.method = std::move(method);
    request.target = target;
    request.body = std::move(body);
    if (!request.body.empty()) {
        request.headers.push_back({"Content-Type", "application/json"});
    }
    if (!connection_.api_key.empty()) {
        request.headers.push_back({"Authorization", "Bearer " + connection_.api_key});
    }
    const auto answer = client_->fetch(std::move(request));
    if (!answer) {
        return fail(Fault::unavailable,
                    "no daemon answers at {}: {}; start one with `trilane serve`, or name another "
                    "with --url",
                    connection_.url, answer.error().message);
    }
    constexpr unsigned kOk = 200;
    constexpr unsigned kUnauthorised = 401;
    if (answer->head.status == kUnauthorised) {
        return fail(
            Fault::unavailable,
            "the daemon at {} {}: set TRILANE_API_KEY, or give --api-key-file FILE (an "
            "admin makes one with `trilane key add NAME --admin`)",
            connection_.url,
            connection_.api_key.empty() ? "wants a key" : "does not take the key that was given");
    }
    TRILANE_TRY(json::Value value, json::parse(answer->body));
    if (answer->head.status != kOk) {
        return fail(Fault::unavailable, "{}", message_of(value, answer->head.status));
    }
    return value;
}

}  // namespace trilane::app
