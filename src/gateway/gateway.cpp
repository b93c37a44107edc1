#include "gateway/gateway.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <ctime>
#include <iterator>
#include <optional>
#include <random>
#include <utility>

#include "base/utf8.h"
#include "dialect/openai/openai.h"
#include "gateway/admin.h"
#include "gateway/http_error.h"
#include "gateway/metrics.h"
#include "json/json.h"
#include "net/server.h"
#include "os/worker_pool.h"

namespace trilane::gateway {
namespace {

namespace openai = dialect::openai;

constexpr std::size_t kRequestIdBytesMax = 128;
constexpr std::size_t kShownBytesMax = 100;  ///< of a path or method in an error message
/// Reading a longer body (JSON, template, tokens) would hold up the other connections of its
/// thread.
constexpr std::size_t kInlineBodyBytesMax = 16U << 10U;
/// Threads that read the longer ones, and how many may wait for them.
constexpr std::size_t kReaderThreads = 2;
constexpr std::size_t kReaderQueueMax = 64;
constexpr std::string_view kGet = "GET, HEAD, OPTIONS";
constexpr std::string_view kPost = "POST, OPTIONS";

/// One request on its way through the gateway.
struct Call {
    net::Request request;
    std::shared_ptr<net::Exchange> exchange;
    Route route = Route::other;
    std::vector<net::Header> headers;  // of the answer
};

/// A row of the endpoint table.
struct EndpointRow {
    std::string_view path;  ///< one that ends with '/' (but "/") serves what is below it
    Route route;
    std::string_view methods;  ///< as an Allow header lists them
    bool guarded;              ///< asks for the API key
};

constexpr std::array<EndpointRow, 12> kEndpoints = {{
    {"/v1/chat/completions", Route::chat_completions, kPost, true},
    {"/v1/completions", Route::completions, kPost, true},
    {"/v1/models", Route::models, kGet, true},
    {"/v1/models/", Route::model, kGet, true},
    {"/trilane/v1/state", Route::admin, kGet, true},
    {"/trilane/v1/logs", Route::admin, kGet, true},
    {"/trilane/v1/load", Route::admin, kPost, true},
    {"/trilane/v1/unload", Route::admin, kPost, true},
    {"/metrics", Route::metrics, kGet, true},
    {"/health", Route::health, kGet, false},
    {"/live", Route::live, kGet, false},
    {"/", Route::root, kGet, false},
}};

const EndpointRow* endpoint_at(std::string_view path) {
    for (const EndpointRow& row : kEndpoints) {
        const bool below = row.path.size() > 1 && row.path.ends_with('/');
        if (below ? path.starts_with(row.path) && path.size() > row.path.size()
                  : path == row.path) {
            return &row;
        }
    }
    return nullptr;
}

bool allows(std::string_view methods, std::string_view method) {
    for (std::size_t at = 0; at < methods.size();) {
        const std::size_t end = std::min(methods.find(", ", at), methods.size());
        if (methods.substr(at, end - at) == method) {
            return true;
        }
        at = end + 2;
    }
    return false;
}

/// "%2F" → "/". A '%' without two hexadecimal digits stays as it is.
std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        if (text[i] == '%' && i + 2 < text.size()) {
            const char* const digits = text.data() + i + 1;
            const auto [end, ec] = std::from_chars(digits, digits + 2, value, 16);
            if (ec == std::errc() && end == digits + 2) {
                out += static_cast<char>(static_cast<unsigned char>(value));
                i += 2;
                continue;
            }
        }
        out += text[i];
    }
    return out;
}

bool is_request_id(std::string_view text) {
    return !text.empty() && text.size() <= kRequestIdBytesMax &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

/// Unique texts: a counter, scrambled so that ids of one run do not look alike, behind a random
/// prefix of this run. Not a secret. **Threads:** any.
class UniqueText {
public:
    std::string next() {
        // SplitMix64's finaliser: a bijection, so different counts never meet.
        std::uint64_t z = count_.fetch_add(1, std::memory_order_relaxed) * 0x9E3779B97F4A7C15ULL;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
        return fmt::format("{:08x}{:016x}", run_, z ^ (z >> 31U));
    }

private:
    const std::uint32_t run_ = std::random_device{}();
    std::atomic<std::uint64_t> count_ = 1;
};

}  // namespace

/// The endpoints. **Threads:** answer() from any of the server's.
class Gateway::Front {
public:
    Front(GatewayOptions options, std::shared_ptr<plane::Service> service)
        : options_(std::move(options)),
          service_(std::move(service)),
          health_head_(fmt::format(R"({{"status":"ok","version":{},"lanes":[)",
                                   json::dump(json::Value(options_.version)))) {}

    ~Front();
    Front(const Front&) = delete;
    Front& operator=(const Front&) = delete;

    Status listen() {
        net::ServerOptions server;
        server.host = options_.host;
        server.port = options_.port;
        server.threads = options_.threads;
        server.loops = options_.loops;
        server.limits = options_.limits;
        server.error_page = [metrics = metrics_](unsigned status, std::string_view message) {
            metrics->count(Route::other, status);
            return http_error(status, message);
        };
        TRILANE_TRY(server_, net::Server::start(std::move(server),
                                                [this](net::Request request,
                                                       std::shared_ptr<net::Exchange> exchange) {
                                                    answer(std::move(request), std::move(exchange));
                                                }));
        serving_.store(server_.get());
        return {};
    }

    [[nodiscard]] std::uint16_t port() const { return server_->port(); }
    void stop(std::chrono::milliseconds patience) { server_->stop(patience); }

private:
    void answer(net::Request request, std::shared_ptr<net::Exchange> exchange);
    void route(Call call, const EndpointRow& row);
    void respond(Call& call, net::Response response);
    void respond_text(Call& call, std::string content_type, std::string body);
    void options(Call& call, std::string_view methods);
    void model(Call& call);
    void admin(Call call);
    void generate(Call call, openai::Endpoint endpoint);
    void read_and_submit(Call call, openai::Endpoint endpoint);
    [[nodiscard]] std::string health() const;
    [[nodiscard]] net::ServerSnapshot server_snapshot() const;
    std::string request_id(const net::Request& request);

    const GatewayOptions options_;
    const std::shared_ptr<plane::Service> service_;
    const std::string health_head_;
    UniqueText unique_;
    const std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>();
    /// What the server's own threads may use: the first requests can be faster than start().
    std::atomic<net::Server*> serving_ = nullptr;
    // The order of destruction: the destructor stops the server, so nothing new comes; the readers
    // finish what they have, answering through it; then the server goes, then what it used.
    std::unique_ptr<net::Server> server_;
    os::WorkerPool readers_{kReaderThreads, kReaderQueueMax};
};

Gateway::Front::~Front() {
    if (server_ != nullptr) {
        server_->stop(std::chrono::milliseconds(0));
    }
}

void Gateway::Front::answer(net::Request request, std::shared_ptr<net::Exchange> exchange) {
    Call call{std::move(request), std::move(exchange), Route::other, {}};
    const std::string_view path = call.request.path();
    const EndpointRow* row = endpoint_at(path);
    if (row != nullptr) {
        call.route = row->route;
    }
    add_cors_headers(options_.access, call.request, call.headers);
    // Probes ask often and keep no log: they get no id.
    if (call.route != Route::live && call.route != Route::health) {
        call.headers.push_back({"x-request-id", request_id(call.request)});
    }
    if (row == nullptr) {
        respond(call, http_error(404, fmt::format("there is nothing at {}; the API is below /v1, "
                                                  "see GET / for the list",
                                                  utf8_clipped(path, kShownBytesMax))));
        return;
    }
    if (!allows(row->methods, call.request.method)) {
        call.headers.push_back({"Allow", std::string(row->methods)});
        respond(call, http_error(405, fmt::format("{} does not take {}; use {}", path,
                                                  utf8_clipped(call.request.method, kShownBytesMax),
                                                  row->methods.substr(0, row->methods.find(',')))));
        return;
    }
    if (call.request.method == "OPTIONS") {
        options(call, row->methods);
        return;
    }
    if (row->guarded && from_foreign_page(options_.access, call.request)) {
        respond(call, http_error(403,
                                 "this server does not work for web pages of other sites; start it "
                                 "with --cors ORIGIN to let one in"));
        return;
    }
    if (row->guarded && !has_key(options_.access, call.request)) {
        call.headers.push_back({"WWW-Authenticate", "Bearer"});
        respond(call, http_error(401,
                                 "this server asks for an API key: send the header "
                                 "'Authorization: Bearer KEY' with the right one"));
        return;
    }
    route(std::move(call), *row);
}

void Gateway::Front::route(Call call, const EndpointRow& row) {
    switch (row.route) {
        case Route::live:
            respond_text(call, "application/json", R"({"status":"ok"})");
            break;
        case Route::health:
            respond_text(call, "application/json", health());
            break;
        case Route::metrics:
            respond_text(call, "text/plain; version=0.0.4; charset=utf-8",
                         metrics_->text(service_->view(), server_snapshot()));
            break;
        case Route::models:
            respond_text(call, "application/json", openai::models_body(service_->models()));
            break;
        case Route::model:
            model(call);
            break;
        case Route::chat_completions:
            generate(std::move(call), openai::Endpoint::chat_completions);
            break;
        case Route::completions:
            generate(std::move(call), openai::Endpoint::completions);
            break;
        case Route::root:
            respond_text(call, "text/plain; charset=utf-8",
                         fmt::format("Trilane {}: local inference with an OpenAI API.\n\n"
                                     "POST /v1/chat/completions\nPOST /v1/completions\n"
                                     "GET  /v1/models\nGET  /health\nGET  /live\nGET  /metrics\n"
                                     "GET  /trilane/v1/state\nGET  /trilane/v1/logs?lane=NAME\n"
                                     "POST /trilane/v1/load\nPOST /trilane/v1/unload\n",
                                     options_.version));
            break;
        case Route::admin:
            admin(std::move(call));
            break;
        case Route::other:
            break;
    }
}

void Gateway::Front::respond(Call& call, net::Response response) {
    std::ranges::move(call.headers, std::back_inserter(response.headers));
    metrics_->count(call.route, response.status);
    call.exchange->respond(std::move(response));
}

void Gateway::Front::respond_text(Call& call, std::string content_type, std::string body) {
    net::Response response;
    response.content_type = std::move(content_type);
    response.body = std::move(body);
    respond(call, std::move(response));
}

void Gateway::Front::options(Call& call, std::string_view methods) {
    call.headers.push_back({"Allow", std::string(methods)});
    add_preflight_headers(options_.access, call.request, methods, call.headers);
    net::Response response;
    response.status = 204;
    response.content_type.clear();
    respond(call, std::move(response));
}

void Gateway::Front::model(Call& call) {
    constexpr std::string_view kPrefix = "/v1/models/";
    const auto found = service_->find(percent_decoded(call.request.path().substr(kPrefix.size())));
    if (!found) {
        respond(call, fault_response(found.error()));
        return;
    }
    respond_text(call, "application/json", openai::model_body(*found));
}

void Gateway::Front::admin(Call call) {
    const auto shared = std::make_shared<Call>(std::move(call));
    answer_admin(*service_, shared->request,
                 [this, shared](net::Response response) { respond(*shared, std::move(response)); });
}

void Gateway::Front::generate(Call call, openai::Endpoint endpoint) {
    if (call.request.body.size() <= kInlineBodyBytesMax) {
        read_and_submit(std::move(call), endpoint);
        return;
    }
    const auto waiting = std::make_shared<Call>(std::move(call));
    if (!readers_.post(
            [this, waiting, endpoint] { read_and_submit(std::move(*waiting), endpoint); })) {
        respond(*waiting,
                fault_response(
                    {Fault::exhausted, "too many long requests are being read; try again later"}));
    }
}

void Gateway::Front::read_and_submit(Call call, openai::Endpoint endpoint) {
    if (!is_valid_utf8(call.request.body)) {
        respond(call, http_error(400, "the body is not valid UTF-8; send JSON in UTF-8"));
        return;
    }
    openai::Context context;
    context.response_id_suffix = unique_.next();
    context.now_unix_s = std::time(nullptr);
    context.system_fingerprint = "trilane-" + options_.version;
    auto parsed = openai::parse(endpoint, call.request.body, context);
    if (!parsed) {
        respond(call, fault_response(parsed.error()));
        return;
    }
    auto card = service_->find(parsed->model);
    if (!card) {
        respond(call, fault_response(card.error()));
        return;
    }
    // More answers than may ever wait would be refused one by one, half of them already begun.
    std::size_t answers = 0;
    for (const job::Request& job : parsed->jobs) {
        answers += job.choices;
    }
    const plane::Line line = service_->line_of(parsed->model);
    if (const auto most = line.queued_max; most != 0 && answers > most) {
        respond(call, fault_response({Fault::invalid,
                                      fmt::format("n: {} answers in one request; at most {} are "
                                                  "possible here",
                                                  answers, most)}));
        return;
    }
    // Each prompt is a job of its own: refused together, before the first has begun.
    if (parsed->jobs.size() > 1 && line.queued + answers > line.queued_max) {
        respond(call, fault_response({Fault::exhausted,
                                      fmt::format("{} generations wait already and {} more do not "
                                                  "fit the queue of {}; try again later",
                                                  line.queued, answers, line.queued_max)}));
        return;
    }
    // A name that says the lane, too, stays as it is for the plane; the answer has the model's.
    parsed->model = card->id;
    GenerationParts parts{*std::move(parsed),         service_, std::move(call.exchange),
                          std::move(call.headers),    metrics_, call.route,
                          options_.heartbeat_interval};
    Generation::begin(std::move(parts));
}

std::string Gateway::Front::health() const {
    std::string out = health_head_;
    bool first = true;
    for (const plane::LaneView& lane : service_->view().lanes) {
        fmt::format_to(std::back_inserter(out),
                       R"({}{{"name":{},"slots":{},"slots_busy":{},"queued":{},"queued_max":{},)"
                       R"("models":{{)",
                       first ? "" : ",", json::dump(json::Value(lane.name)), lane.slots,
                       lane.slots_busy, lane.queued, lane.queued_max);
        first = false;
        for (const plane::Residency& one : lane.residents) {
            fmt::format_to(std::back_inserter(out), R"({}{}:"{}")",
                           &one == lane.residents.data() ? "" : ",",
                           json::dump(json::Value(one.model)), lane::state_name(one.state));
        }
        out += "}}";
    }
    out += "]}";
    return out;
}

net::ServerSnapshot Gateway::Front::server_snapshot() const {
    const net::Server* server = serving_.load();
    return server != nullptr ? server->snapshot() : net::ServerSnapshot{};
}

std::string Gateway::Front::request_id(const net::Request& request) {
    const std::string* given = request.header("x-request-id");
    return given != nullptr && is_request_id(*given) ? *given : "req-" + unique_.next();
}

Gateway::Gateway(std::unique_ptr<Front> front) : front_(std::move(front)) {}
Gateway::~Gateway() = default;

Result<std::unique_ptr<Gateway>> Gateway::start(GatewayOptions options,
                                                std::shared_ptr<plane::Service> service) {
    auto front = std::make_unique<Front>(std::move(options), std::move(service));
    TRILANE_TRY_STATUS(front->listen());
    return std::unique_ptr<Gateway>(new Gateway(std::move(front)));
}

std::uint16_t Gateway::port() const {
    return front_->port();
}
void Gateway::stop(std::chrono::milliseconds patience) {
    front_->stop(patience);
}

}  // namespace trilane::gateway
