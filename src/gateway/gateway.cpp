#include "gateway/gateway.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <ctime>
#include <iterator>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

#include "base/utf8.h"
#include "dialect/multipart.h"
#include "gateway/anthropic_endpoints.h"
#include "gateway/desk.h"
#include "gateway/downloads.h"
#include "gateway/endpoint.h"
#include "gateway/http_error.h"
#include "gateway/logs_stream.h"
#include "gateway/metrics.h"
#include "gateway/query.h"
#include "gateway/realtime.h"
#include "gateway/response_store.h"
#include "gateway/socket_opening.h"
#include "net/server.h"
#include "os/worker_pool.h"

namespace trilane::gateway {
namespace {

constexpr std::size_t kRequestIdBytesMax = 128;
constexpr std::size_t kShownBytesMax = 100;  ///< of a path or method in an error message
/// Reading a longer body (JSON, template, tokens) would hold up the other connections of its
/// thread.
constexpr std::size_t kInlineBodyBytesMax = 16U << 10U;
/// Threads that read the longer ones, and how many may wait for them.
constexpr std::size_t kReaderThreads = 2;
constexpr std::size_t kReaderQueueMax = 64;
/// Of a body that is no form: what is made of JSON takes a multiple of its length.
constexpr std::size_t kJsonBytesMax = 32U << 20U;
/// Of the endpoint table: none of them.
constexpr std::size_t kNoRow = ~std::size_t{0};

bool is_request_id(std::string_view text) {
    return !text.empty() && text.size() <= kRequestIdBytesMax &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

/// When the answer must have begun, if the client says so, in any API. **Errors:** invalid.
Result<std::chrono::steady_clock::time_point> deadline_of(const Call& call) {
    constexpr std::uint32_t kDeadlineMsMax = 24U * 3600U * 1000U;
    const std::string* text = call.request.header("x-trilane-deadline-ms");
    if (text == nullptr) {
        return std::chrono::steady_clock::time_point();
    }
    std::uint32_t ms = 0;
    const char* const end = text->data() + text->size();
    const auto [read_to, ec] = std::from_chars(text->data(), end, ms);
    if (ec != std::errc() || read_to != end || ms == 0 || ms > kDeadlineMsMax) {
        return fail(Fault::invalid,
                    "x-trilane-deadline-ms: got '{}'; send the milliseconds within which the "
                    "answer must begin, 1 to {}",
                    utf8_clipped(*text, kRequestIdBytesMax), kDeadlineMsMax);
    }
    return call.began + std::chrono::milliseconds(ms);
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

Status check_able(const job::ModelCard& card, const job::Request& job) {
    if (job::able(card.abilities, job)) {
        return {};
    }
    return fail(Fault::invalid,
                "model: '{}' is not made for {}; GET /v1/models says what each model can do",
                card.id, job::subject(job));
}

/// How metrics call the rows; methods of one path stand together.
std::vector<std::string> labels_of(const EndpointTable& table) {
    std::vector<std::string> labels;
    for (const Endpoint& row : table.rows()) {
        const bool below = row.path.size() > 1 && row.path.ends_with('/');
        labels.push_back(fmt::format("{} {}{}", row.method, row.path, below ? "{id}" : ""));
    }
    return labels;
}

/// The generation that ended well most recently. **Threads:** any.
class LastAnswer {
public:
    void note(const Record& record) {
        if (record.status == 200 && record.usage.completion_tokens > 0) {
            const std::scoped_lock lock(mutex_);
            last_ = record;
        }
    }
    [[nodiscard]] std::optional<Record> get() const {
        const std::scoped_lock lock(mutex_);
        return last_;
    }

private:
    mutable std::mutex mutex_;
    std::optional<Record> last_;
};

}  // namespace

/// The endpoints' desk. **Threads:** answer() from any of the server's.
class Gateway::Front final : public Desk {
public:
    Front(GatewayOptions options, std::shared_ptr<plane::Service> service)
        : options_(std::move(options)), service_(std::move(service)) {}

    ~Front() override;
    Front(const Front&) = delete;
    Front& operator=(const Front&) = delete;

    Status listen();
    void stop(std::chrono::milliseconds patience) { server_->stop(patience); }

    [[nodiscard]] plane::Service& service() const override { return *service_; }
    [[nodiscard]] catalog::Library* library() const override { return options_.library.get(); }
    [[nodiscard]] const std::string& version() const override { return options_.version; }
    [[nodiscard]] const EndpointTable& endpoints() const override { return table_; }
    [[nodiscard]] std::string metrics_text() const override;
    [[nodiscard]] std::optional<probe::Machine> machine() const override {
        return options_.machine ? std::optional(options_.machine()) : std::nullopt;
    }
    [[nodiscard]] const std::string& models_directory() const override {
        return options_.models_directory;
    }
    [[nodiscard]] std::string base_url(const Call& call) const override;
    [[nodiscard]] std::uint16_t port() const override {
        const net::Server* server = serving_.load();
        return server != nullptr ? server->port() : options_.port;
    }
    [[nodiscard]] std::optional<Record> last_answer() const override { return last_->get(); }
    [[nodiscard]] Downloads& downloads() override { return downloads_; }
    [[nodiscard]] std::shared_ptr<dialect::openai::ResponseStore> responses(
        const Call& call) const override {
        return std::make_shared<ResponsesOf>(responses_, call.visit.name());
    }
    dialect::Context context() override;
    void respond(Call& call, net::Response response) override;
    void read_body(Call call, std::function<void(Call)> read) override;
    void submit(Call call, Result<dialect::Asked> asked) override;
    Result<Admitted> admit(std::string_view key, job::Request& job) override;
    [[nodiscard]] bool still_administers(std::string_view key) const override;
    LogJournal& journal() override { return journal_; }
    [[nodiscard]] const std::shared_ptr<SocketSeats>& realtime_seats() const override {
        return realtime_seats_;
    }
    [[nodiscard]] os::WorkerPool& realtime_workers() override { return realtime_workers_; }
    void count(const Call& call, unsigned status) override;
    [[nodiscard]] std::function<void(unsigned)> counter_of(const Call& call) override;

private:
    void answer(net::Request request, std::shared_ptr<net::Exchange> exchange);
    void dispatch(Call call, const EndpointTable::Found& found);
    bool let_in(Call& call);
    [[nodiscard]] Recorder recorder_of_answers() const;
    [[nodiscard]] Record record_of(const Call& call, unsigned status) const;
    void answer_options(Call& call, const std::string& allow);
    void respond_error(Call& call, unsigned status, std::string_view message);
    [[nodiscard]] Status check_line(const dialect::Asked& asked) const;
    [[nodiscard]] net::ServerSnapshot server_snapshot() const;
    std::string request_id(const net::Request& request);

    const GatewayOptions options_;
    const std::shared_ptr<plane::Service> service_;
    const EndpointTable table_;
    UniqueText unique_;
    const std::shared_ptr<LastAnswer> last_ = std::make_shared<LastAnswer>();
    Downloads downloads_;
    const std::shared_ptr<BoundedResponses> responses_ = std::make_shared<BoundedResponses>();
    LogJournal journal_{options_.log};
    const std::shared_ptr<SocketSeats> realtime_seats_ = std::make_shared<SocketSeats>(
        "realtime sessions", kRealtimeSessionsMax, kRealtimeSessionsOfOneMax);
    const std::vector<std::string> labels_ = labels_of(table_);
    const std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>(labels_);
    /// What the server's own threads may use: the first requests can be faster than start().
    std::atomic<net::Server*> serving_ = nullptr;
    // The order of destruction: the destructor stops the server, so nothing new comes; the readers
    // and workers finish what they have, answering through it; then the server goes, then what it
    // used.
    std::unique_ptr<net::Server> server_;
    os::WorkerPool readers_{kReaderThreads, kReaderQueueMax};
    os::WorkerPool realtime_workers_{kRealtimeThreads, kRealtimeSessionsMax};
};

Gateway::Front::~Front() {
    if (server_ != nullptr) {
        server_->stop(std::chrono::milliseconds(0));
    }
}

Status Gateway::Front::listen() {
    net::ServerOptions server;
    server.host = options_.host;
    server.port = options_.port;
    server.threads = options_.threads;
    server.loops = options_.loops;
    server.limits = options_.limits;
    server.tls = options_.tls;
    server.error_page = [this](unsigned status, std::string_view message, std::string_view target) {
        metrics_->count(kNoRow, status);
        const std::string_view path = target.substr(0, target.find('?'));
        return http_error(table_.errors_at(path), status, message);
    };
    TRILANE_TRY(server_, net::Server::start(
                             std::move(server),
                             [this](net::Request request, std::shared_ptr<net::Exchange> exchange) {
                                 answer(std::move(request), std::move(exchange));
                             }));
    serving_.store(server_.get());
    return {};
}

void Gateway::Front::answer(net::Request request, std::shared_ptr<net::Exchange> exchange) {
    Call call;
    call.request = std::move(request);
    call.exchange = std::move(exchange);
    call.row = kNoRow;
    const std::string_view path = call.request.path();
    const EndpointTable::Found found = table_.find(call.request.method, path);
    add_cors_headers(options_.access, call.request, call.headers);
    // Probes ask often and keep no log: they get no id.
    if (found.endpoint == nullptr || found.endpoint->guard != Guard::open) {
        call.request_id = request_id(call.request);
        call.headers.push_back({"x-request-id", call.request_id});
        if (expects_anthropic(call.request, found.endpoint)) {
            call.headers.push_back({"request-id", call.request_id});
        }
    }
    if (found.allow.empty()) {
        respond_error(call, 404,
                      fmt::format("there is nothing at {}; the API is below /v1, "
                                  "see GET / for the list",
                                  utf8_clipped(path, kShownBytesMax)));
        return;
    }
    if (found.endpoint == nullptr) {
        call.headers.push_back({"Allow", found.allow});
        respond_error(call, 405,
                      fmt::format("{} does not take {}; use {}", path,
                                  utf8_clipped(call.request.method, kShownBytesMax),
                                  found.allow.substr(0, found.allow.find(','))));
        return;
    }
    call.endpoint = found.endpoint;
    call.row = found.row;
    if (call.request.method == "OPTIONS") {
        answer_options(call, found.allow);
        return;
    }
    dispatch(std::move(call), found);
}

void Gateway::Front::dispatch(Call call, const EndpointTable::Found& found) {
    if (found.endpoint->guard != Guard::open && !let_in(call)) {
        return;
    }
    call.tail = percent_decoded(found.tail);
    found.endpoint->answer(*this, std::move(call));
}

/// Answers why not, or fills in who asks.
bool Gateway::Front::let_in(Call& call) {
    if (from_foreign_page(options_.access, call.request)) {
        respond_error(call, 403,
                      "this server does not work for web pages of other sites; start it with "
                      "--cors ORIGIN to let one in");
        return false;
    }
    if (under_foreign_name(options_.access, call.request)) {
        respond_error(call, 403,
                      "this server is asked under a name that it does not know; use its address, "
                      "or list the name under server.hosts in its configuration");
        return false;
    }
    if (options_.access.door == nullptr) {
        return true;
    }
    // What only reads is no work: rates are for what makes a lane busy.
    const bool counts = call.endpoint->guard == Guard::key &&
                        (call.request.method == "POST" || call.endpoint->web_socket);
    const std::string key = call.endpoint->web_socket ? socket_key_sent(call.request)
                                                      : std::string(key_sent(call.request));
    access::Answer answer =
        options_.access.door->knock(key, counts, call.began, std::time(nullptr));
    if (answer.status != 200) {
        if (answer.status == 401) {
            call.headers.push_back({"WWW-Authenticate", "Bearer"});
        }
        respond(call,
                http_error(shape_for(call), answer.status, answer.message, answer.retry_after_s));
        return false;
    }
    call.visit = std::move(answer.visit);
    if (call.endpoint->guard == Guard::admin && !call.visit.is_admin()) {
        respond_error(call, 403,
                      fmt::format("the API key '{}' may not administer this server; use one made "
                                  "with `trilane key add --admin`",
                                  call.visit.name()));
        return false;
    }
    return true;
}

void Gateway::Front::respond_error(Call& call, unsigned status, std::string_view message) {
    respond(call, http_error(shape_for(call), status, message));
}

void Gateway::Front::respond(Call& call, net::Response response) {
    name_request(shape_for(call), call.headers, response);
    std::ranges::move(call.headers, std::back_inserter(response.headers));
    count(call, response.status);
    call.exchange->respond(std::move(response));
}

Record Gateway::Front::record_of(const Call& call, unsigned status) const {
    Record record;
    record.request_id = call.request_id;
    record.key = call.visit.name();
    record.endpoint = call.row < labels_.size() ? labels_[call.row] : "other";
    record.status = status;
    if (const std::string* parent = call.request.header("traceparent")) {
        record.traceparent = *parent;
    }
    const auto lasted = std::chrono::steady_clock::now() - call.began;
    record.duration_s = std::chrono::duration<double>(lasted).count();
    record.began = std::chrono::system_clock::now() -
                   std::chrono::duration_cast<std::chrono::system_clock::duration>(lasted);
    return record;
}

void Gateway::Front::count(const Call& call, unsigned status) {
    metrics_->count(call.row, status);
    if (options_.recorder && !call.request_id.empty()) {
        options_.recorder(record_of(call, status));
    }
}

std::function<void(unsigned)> Gateway::Front::counter_of(const Call& call) {
    const bool recorded = options_.recorder && !call.request_id.empty();
    return [this, row = call.row, began = call.began,
            record = recorded ? std::optional(record_of(call, 0)) : std::nullopt](unsigned status) {
        metrics_->count(row, status);
        if (record) {
            Record whole = *record;
            whole.status = status;
            whole.duration_s =
                std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
            options_.recorder(whole);
        }
    };
}

void Gateway::Front::answer_options(Call& call, const std::string& allow) {
    call.headers.push_back({"Allow", allow});
    add_preflight_headers(options_.access, call.request, allow, call.headers);
    net::Response response;
    response.status = 204;
    response.content_type.clear();
    respond(call, std::move(response));
}

dialect::Context Gateway::Front::context() {
    return {unique_.next(), std::time(nullptr), "trilane-" + options_.version};
}

std::string Gateway::Front::metrics_text() const {
    return metrics_->text(service_->view(), server_snapshot());
}

void Gateway::Front::read_body(Call call, std::function<void(Call)> read) {
    const auto checked = [this](Call& whole, const std::function<void(Call)>& then) {
        const std::string* type = whole.request.header("Content-Type");
        const bool form = type != nullptr && dialect::is_form(*type);
        if (!form && whole.request.body.size() > kJsonBytesMax) {
            respond_error(whole, 413,
                          fmt::format("the body has {} bytes of JSON; send at most {} MiB",
                                      whole.request.body.size(), kJsonBytesMax >> 20U));
            return;
        }
        if (!form && !is_valid_utf8(whole.request.body)) {
            respond_error(whole, 400, "the body is not valid UTF-8; send JSON in UTF-8");
            return;
        }
        then(std::move(whole));
    };
    if (call.request.body.size() <= kInlineBodyBytesMax) {
        checked(call, read);
        return;
    }
    const auto waiting = std::make_shared<Call>(std::move(call));
    if (!readers_.post([checked, waiting, read = std::move(read)] { checked(*waiting, read); })) {
        refuse(*waiting,
               Error{Fault::exhausted, "too many long requests are being read; try again later"});
    }
}

/// More answers than may ever wait would be refused one by one, half of them already begun; each
/// job of several is refused together with the others, before the first has begun.
Status Gateway::Front::check_line(const dialect::Asked& asked) const {
    std::size_t answers = 0;
    for (const job::Request& job : asked.jobs) {
        answers += job.choices;
    }
    const plane::Line line = service_->line_of(asked.model);
    if (const auto most = line.queued_max; most != 0 && answers > most) {
        return fail(Fault::invalid, "n: {} answers in one request; at most {} are possible here",
                    answers, most);
    }
    if (asked.jobs.size() > 1 && line.queued + answers > line.queued_max) {
        return fail(Fault::exhausted,
                    "{} generations wait already and {} more do not fit the queue of {}; try again "
                    "later",
                    line.queued, answers, line.queued_max);
    }
    return {};
}

Result<Admitted> Gateway::Front::admit(std::string_view key, job::Request& job) {
    Admitted admitted;
    if (options_.access.door != nullptr) {
        access::Answer answer =
            options_.access.door->knock(key, true, admitted.began, std::time(nullptr), true);
        if (answer.status != 200) {
            return fail(answer.status == 429 ? Fault::exhausted : Fault::invalid, "{}",
                        answer.message);
        }
        admitted.visit = std::move(answer.visit);
    }
    TRILANE_TRY(const job::ModelCard card, find_for(admitted.visit, job.model));
    if (!admitted.visit.may_use_model(card.id)) {
        return fail(Fault::invalid, "{}", not_for_key(admitted.visit, job.model));
    }
    TRILANE_TRY_STATUS(check_able(card, job));
    job.lanes = admitted.visit.lanes();
    job.client = admitted.visit.name();
    admitted.record.request_id = job.id;
    admitted.record.key = admitted.visit.name();
    admitted.record.endpoint = "GET /v1/realtime";
    admitted.record.model = card.id;
    admitted.record.subject = job::subject(job);
    admitted.record.streamed = true;
    admitted.record.began = std::chrono::system_clock::now();
    admitted.recorder = options_.recorder;
    admitted.metrics = metrics_;
    admitted.service = service_;
    return admitted;
}

bool Gateway::Front::still_administers(std::string_view key) const {
    if (options_.access.door == nullptr) {
        return true;
    }
    const access::Answer answer = options_.access.door->knock(
        key, false, std::chrono::steady_clock::now(), std::time(nullptr));
    return answer.status == 200 && answer.visit.is_admin();
}

void Gateway::Front::submit(Call call, Result<dialect::Asked> asked) {
    if (!asked) {
        refuse(call, asked.error());
        return;
    }
    const auto card = model_for(call, asked->model);
    if (!card) {
        return;
    }
    const auto deadline = deadline_of(call);
    if (!deadline) {
        refuse(call, deadline.error());
        return;
    }
    for (job::Request& job : asked->jobs) {
        job.lanes = call.visit.lanes();
        job.deadline = *deadline;
        if (!call.visit.name().empty()) {
            job.client = call.visit.name();
        }
        if (const Status able = check_able(*card, job); !able) {
            refuse(call, able.error());
            return;
        }
    }
    if (const Status fits = check_line(*asked); !fits) {
        refuse(call, fits.error());
        return;
    }
    // A name that says the lane, too, stays as it is for the plane; the answer has the model's.
    asked->writer->name_model(card->id);
    Record record = record_of(call, 0);
    record.model = card->id;
    record.subject = job::subject(asked->jobs.front());
    record.streamed = asked->stream;
    GenerationParts parts;
    parts.asked = *std::move(asked);
    parts.errors = call.endpoint->errors;
    parts.service = service_;
    parts.exchange = std::move(call.exchange);
    parts.headers = std::move(call.headers);
    parts.metrics = metrics_;
    parts.row = call.row;
    parts.heartbeat_interval = options_.heartbeat_interval;
    parts.began = call.began;
    parts.record = std::move(record);
    parts.recorder = recorder_of_answers();
    parts.visit = std::move(call.visit);
    Generation::begin(std::move(parts));
}

/// Who hears of a generation's end: whoever was told to, and what remembers the last one.
Recorder Gateway::Front::recorder_of_answers() const {
    return [last = last_, further = options_.recorder](const Record& record) {
        last->note(record);
        if (further) {
            further(record);
        }
    };
}

std::string Gateway::Front::base_url(const Call& call) const {
    const std::string* host = call.request.header("Host");
    return fmt::format(
        "http{}://{}", options_.tls.certificate_file.empty() ? "" : "s",
        host != nullptr && is_request_id(*host) ? *host : fmt::format("127.0.0.1:{}", port()));
}

net::ServerSnapshot Gateway::Front::server_snapshot() const {
    const net::Server* server = serving_.load();
    return server != nullptr ? server->snapshot() : net::ServerSnapshot{};
}

std::string Gateway::Front::request_id(const net::Request& request) {
    const std::string* given = request.header("x-request-id");
    return given != nullptr && is_request_id(*given) ? *given : "req-" + unique_.next();
}

net::Limits gateway_limits() {
    net::Limits limits;
    limits.body_bytes_max = kBodyBytesMax;
    return limits;
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
