#include "flm.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "json/json.h"
#include "openai_text.h"
#include "skim.h"

namespace trilane::fake_lane {
namespace {

constexpr std::string_view kPlainJson = "application/json";
constexpr std::int64_t kMaxTokensUsual = 4096;

class Flm final : public Personality {
public:
    explicit Flm(FlmFlags flags) : flags_(std::move(flags)), slots_(1) {}

    [[nodiscard]] std::string_view name() const override { return "flm"; }
    [[nodiscard]] std::string_view model() const override { return flags_.tag; }
    [[nodiscard]] const Address& address() const override { return flags_.address; }
    [[nodiscard]] Opening opening(const Script& script) const override {
        return script.has_quirk("early_bind") ? Opening::backlog : Opening::closed;
    }
    [[nodiscard]] std::string_view head_lines() const override {
        return flags_.cors ? "Server: FastFlowLM\r\nAccess-Control-Allow-Origin: *\r\n"
                           : "Server: FastFlowLM\r\n";
    }
    [[nodiscard]] bool keeps_alive(const Script& script) const override {
        return !script.has_quirk("keep_alive");
    }
    [[nodiscard]] std::uint64_t sockets_max(const Script& script) const override {
        return script.has_quirk("socket_limit") ? static_cast<std::uint64_t>(flags_.sockets) : 0;
    }
    [[nodiscard]] bool ends_by_signal() const override { return true; }

    void print(Milestone milestone, std::uint16_t port) const override;
    void print_load_failure(std::string_view reason) const override;
    void print_bind_failure(std::uint16_t port) const override;
    [[nodiscard]] std::string load_failure(const Script& script) const override;
    void prepare(const Script& script) override;
    void answer(Exchange& exchange) override;
    void describe(json::Value& stats) const override;

private:
    using Shape = FlmWriting::Shape;

    /// The NPU while a request has it. `granted` false = the request has been dealt with.
    struct Turn {
        explicit Turn(Flm& flm_given) : flm(flm_given) {}
        ~Turn() { release(); }
        void release();
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        Flm& flm;
        bool granted = false;
        bool stream = false;
        bool unlocked = false;
        std::optional<Slots::Lease> lease;
    };

    bool answer_page(Exchange& exchange);
    bool answer_post(Exchange& exchange);
    void answer_text(Exchange& exchange, Shape shape);
    bool refuse_text(Exchange& exchange, const Asked& asked, const Answer& answer,
                     const FlmModel& model);
    void answer_vectors(Exchange& exchange, bool locked);
    void answer_transcription(Exchange& exchange);
    bool was_scripted(Exchange& exchange);
    void take_turn(Exchange& exchange, Turn& turn, bool stream, bool locked);
    const FlmModel* resolve(Exchange& exchange, std::string_view raw, bool substitutes);
    bool load(Exchange& exchange, const FlmModel& model);
    void page_models(Exchange& exchange) const;
    void page_tags(Exchange& exchange) const;
    void page_ps(Exchange& exchange) const;
    void page_npu(Exchange& exchange) const;
    [[nodiscard]] const FlmModel* current() const;
    [[nodiscard]] std::int64_t context_of(const FlmModel& model) const;

    FlmFlags flags_;
    FlmCounters counters_;
    Slots slots_;
    std::atomic<int> active_{0};
    std::atomic<int> streams_{0};
    std::atomic<int> unlocked_{0};
    mutable std::mutex mutex_;
    const FlmModel* current_ = nullptr;
};

void Flm::Turn::release() {
    if (std::exchange(granted, false)) {
        --flm.active_;
        flm.streams_ -= stream ? 1 : 0;
        flm.unlocked_ -= unlocked ? 1 : 0;
    }
    lease.reset();
}

void Flm::print(Milestone milestone, std::uint16_t port) const {
    switch (milestone) {
        case Milestone::loading:
            if (const FlmModel* model = current()) {
                fmt::print("[FLM]  Loading model: {}\n", model->tag);
            }
            break;
        case Milestone::listening:
            fmt::print("[FLM]  Web server started on http://{}:{}\n", flags_.address.host, port);
            break;
        default:
            break;
    }
}

void Flm::print_load_failure(std::string_view reason) const {
    fmt::print(stderr, "[ERROR]  {}\n", reason);
}

void Flm::print_bind_failure(std::uint16_t port) const {
    fmt::print(stderr, "[ERROR]  bind: Address already in use (port {})\n", port);
}

std::string Flm::load_failure(const Script& script) const {
    const bool blinded = std::getenv("XILINX_XRT") != nullptr;  // NOLINT(concurrency-mt-unsafe)
    return blinded || script.missing_plugin || script.npu == "no_device"
               ? "No such device with index '0'"
               : "";
}

void Flm::prepare(const Script& script) {
    if (flags_.tag.empty() && (flags_.asr || flags_.embed)) {
        return;
    }
    const FlmModel* model = find_flm_model(flags_.tag.empty() ? kFlmFallback : flags_.tag);
    if (model == nullptr) {
        ++counters_.substitutions;
        model = find_flm_model(kFlmFallback);
    }
    if (!is_installed(*model, script)) {
        ++counters_.downloads;
        fmt::print("[FLM]  Downloading {}\n", model->tag);
        install(*model);
    }
    if (script.fail_default_model) {
        fmt::print(stderr, "[ERROR]  Failed to load default model: {}\n", model->tag);
        return;
    }
    current_ = model;
}

const FlmModel* Flm::current() const {
    const std::scoped_lock lock(mutex_);
    return current_;
}

std::int64_t Flm::context_of(const FlmModel& model) const {
    return flags_.context_tokens > 0 ? flags_.context_tokens : model.context_tokens;
}

void Flm::answer(Exchange& exchange) {
    const Request& request = exchange.request;
    if (exchange.script().hang_health &&
        (request.path == "/api/tags" || request.path == "/health" ||
         request.path == "/v1/health")) {
        exchange.hang();
        return;
    }
    const bool odd = !request.query.empty() && exchange.script().has_quirk("query_404");
    if (request.method == "OPTIONS" && flags_.cors) {
        exchange.reply(204, "", "",
                       "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
                       "Access-Control-Allow-Headers: *\r\n");
        return;
    }
    if (!odd && !request.is_inference() && exchange.was_spoiled()) {
        return;
    }
    if (odd || (!answer_page(exchange) && !answer_post(exchange))) {
        exchange.reply(404, kPlainJson, "{\"error\":\"Not Found\"}");
    }
}

bool Flm::answer_page(Exchange& exchange) {
    const std::string_view path = exchange.request.path;
    if (exchange.request.method != "GET") {
        return false;
    }
    if (path == "/v1/models") {
        page_models(exchange);
    } else if (path == "/api/tags") {
        page_tags(exchange);
    } else if (path == "/api/ps") {
        page_ps(exchange);
    } else if (path == "/api/npu/status") {
        page_npu(exchange);
    } else if (path == "/v1/version" || path == "/api/version") {
        const std::string& version = exchange.script().version;
        exchange.reply(200, kPlainJson,
                       fmt::format("{{\"version\":\"{}\"}}", version.empty() ? "0.9.45" : version));
    } else if (exchange.script().health_route && (path == "/health" || path == "/v1/health")) {
        exchange.reply(200, kPlainJson, "{\"status\":\"ok\"}");
    } else {
        return false;
    }
    return true;
}

bool Flm::answer_post(Exchange& exchange) {
    const std::string_view path = exchange.request.path;
    if (exchange.request.method != "POST") {
        return false;
    }
    if (path == "/v1/chat/completions") {
        answer_text(exchange, Shape::chat);
    } else if (path == "/v1/completions") {
        answer_text(exchange, Shape::text);
    } else if (path == "/api/chat") {
        answer_text(exchange, Shape::ollama_chat);
    } else if (path == "/api/generate") {
        answer_text(exchange, Shape::ollama_generate);
    } else if (path == "/v1/embeddings") {
        answer_vectors(exchange, true);
    } else if (path == "/api/embeddings") {
        answer_vectors(exchange, false);
    } else if (path == "/v1/audio/transcriptions") {
        answer_transcription(exchange);
    } else if (path == "/api/show") {
        exchange.reply(200, kPlainJson, "{\"capabilities\":[\"chat\",\"vision\",\"completion\"]}");
    } else if (path == "/api/pull") {
        exchange.reply(200, kPlainJson, "{\"error\":\"Pull operation not implemented\"}");
    } else if (path == "/api/cancel") {
        exchange.reply(200, kPlainJson, "{\"error\":\"request not found\"}");
    } else {
        return false;
    }
    return true;
}

/// Decides what becomes of a request while others run: see Concurrency.
void Flm::take_turn(Exchange& exchange, Turn& turn, bool stream, bool locked) {
    const Script& script = exchange.script();
    const bool collides = streams_ > 0 || unlocked_ > 0 || (!locked && active_ > 0);
    if (script.concurrency == Concurrency::crash && collides) {
        fmt::print(stderr, "double free or corruption (!prev)\n");
        die(SIGABRT);
    }
    if (locked && script.concurrency != Concurrency::allow) {
        auto lease = slots_.take(exchange, static_cast<std::size_t>(flags_.queue_length));
        if (!lease) {
            if (lease.error() == Slots::Refusal::full) {
                ++counters_.rejected;
                exchange.reply(503, kPlainJson,
                               openai_error(503, "NPU is in use and request queue is full", false));
            }
            return;
        }
        turn.lease.emplace(std::move(*lease));
        if (turn.lease->waited()) {
            ++counters_.queued;
            if (!exchange.wait_ms(script.cooldown_ms)) {
                return;
            }
        }
    }
    turn.granted = true;
    turn.stream = stream;
    turn.unlocked = !locked;
    ++active_;
    streams_ += stream ? 1 : 0;
    unlocked_ += locked ? 0 : 1;
    exchange.set_release([&turn] { turn.release(); });
}

/// The model of a request. Null after an error has been answered.
const FlmModel* Flm::resolve(Exchange& exchange, std::string_view raw, bool substitutes) {
    const std::string tag = unquoted(raw);
    if (tag.empty()) {
        const FlmModel* now = current();
        return now != nullptr ? now : find_flm_model(kFlmFallback);
    }
    if (const FlmModel* model = find_flm_model(tag)) {
        return model;
    }
    if (!substitutes || !exchange.script().has_quirk("substitution")) {
        answer_flm_error(exchange, 404, "Model not found: " + tag, false);
        return nullptr;
    }
    ++counters_.substitutions;
    return find_flm_model(kFlmFallback);
}

/// Switches to a model. False after an error has been answered.
bool Flm::load(Exchange& exchange, const FlmModel& model) {
    const Script& script = exchange.script();
    if (current() == &model) {
        return true;
    }
    if (script.fail_default_model) {
        answer_flm_error(exchange, 500, fmt::format("Failed to load model: {}", model.tag), true);
        return false;
    }
    if (!is_installed(model, script)) {
        ++counters_.downloads;
        install(model);
    }
    ++counters_.switches;
    if (!exchange.wait_ms(exchange.behaviour().switch_ms + script.load_ms)) {
        return false;
    }
    const std::scoped_lock lock(mutex_);
    current_ = &model;
    return true;
}

/// Faults and errors that the script wants. True when one has taken the request.
bool Flm::was_scripted(Exchange& exchange) {
    if (exchange.was_spoiled()) {
        return true;
    }
    const Behaviour& behaviour = exchange.behaviour();
    if (behaviour.error_status > 0) {
        answer_flm_error(exchange, static_cast<unsigned>(behaviour.error_status),
                         behaviour.error_message, behaviour.error_as_string);
        return true;
    }
    return false;
}

/// What FLM refuses, and what it trips over. True when the request has been answered.
bool Flm::refuse_text(Exchange& exchange, const Asked& asked, const Answer& answer,
                      const FlmModel& model) {
    if (answer.prompt_tokens > context_of(model)) {
        answer_flm_error(exchange, 400, "Max length reached!", false);
        return true;
    }
    if (!asked.min_p.empty()) {
        const std::optional<double> min_p = number(asked.min_p);
        if (!min_p) {
            answer_flm_error(exchange, 500, "type must be number, but is other", true);
            return true;
        }
        counters_.last_min_p = static_cast<std::int64_t>(*min_p);
    }
    if (asked.max_tokens == 1 && exchange.script().has_quirk("single_token")) {
        answer_flm_error(exchange, 500,
                         "basic_string::substr: __pos (which is 1) > this->size() (which is 0)",
                         true);
        return true;
    }
    return false;
}

void Flm::answer_text(Exchange& exchange, Shape shape) {
    Result<Asked> asked = read_asked(exchange.request.body);
    if (!asked || asked->prompt.empty()) {
        exchange.reply(500, kPlainJson, openai_error(500, "parse error in the request", true));
        return;
    }
    if (shape == Shape::ollama_generate) {
        asked->stream = asked->stream || !asked->stream_given;
    }
    asked->max_tokens = asked->max_tokens < 0 ? kMaxTokensUsual : asked->max_tokens;
    if (shape == Shape::ollama_chat && asked->stream && exchange.script().has_quirk("api_chat")) {
        fmt::print(stderr, "terminate called without an active exception\n");
        die(SIGABRT);
    }
    const bool text = shape == Shape::text;
    const FlmModel* model = resolve(exchange, asked->model, !text);
    if (model == nullptr) {
        return;
    }
    Turn turn(*this);
    take_turn(exchange, turn, asked->stream, !text);
    if (!turn.granted || was_scripted(exchange) || !load(exchange, *model)) {
        return;
    }
    const Answer answer =
        compose(*asked, exchange.behaviour(),
                {.stops = false, .calls_max = 1, .insane = exchange.script().ready_but_insane});
    if (refuse_text(exchange, *asked, answer, *model)) {
        return;
    }
    FlmWriting writing(exchange, counters_, *model, context_of(*model), shape);
    Slot* slot = turn.lease ? turn.lease->slot() : nullptr;
    if (asked->stream) {
        writing.streamed(answer, slot);
    } else {
        writing.whole(answer, slot);
    }
}

void Flm::answer_vectors(Exchange& exchange, bool locked) {
    Turn turn(*this);
    take_turn(exchange, turn, false, locked);
    if (!turn.granted || was_scripted(exchange)) {
        return;
    }
    if (!flags_.embed) {
        exchange.reply(200, kPlainJson, "null");
        return;
    }
    answer_embeddings(exchange, json_string(kFlmEmbedding), false);
}

void Flm::answer_transcription(Exchange& exchange) {
    Turn turn(*this);
    take_turn(exchange, turn, false, true);
    if (!turn.granted || was_scripted(exchange)) {
        return;
    }
    if (!flags_.asr) {
        answer_flm_error(exchange, 503, "ASR model is not loaded. Start the server with --asr 1",
                         false);
        return;
    }
    const std::string text = words_for(exchange.request.body, exchange.behaviour());
    exchange.reply(200, kPlainJson,
                   fmt::format("{{\"model\":{},\"text\":{}}}", json_string(kFlmTranscription),
                               json_string(text)));
}

void Flm::page_models(Exchange& exchange) const {
    json::Value list = json::Value::array();
    for (const FlmModel& model : flm_models()) {
        if (model.kind == FlmModel::Kind::chat) {
            list.push_back({{"id", model.tag},
                            {"object", "model"},
                            {"created", std::time(nullptr)},
                            {"owned_by", "FastFlowLM"}});
        }
    }
    exchange.reply(200, kPlainJson, json::dump({{"object", "list"}, {"data", list}}));
}

void Flm::page_tags(Exchange& exchange) const {
    json::Value list = json::Value::array();
    for (const FlmModel& model : flm_models()) {
        list.push_back(
            {{"name", model.tag}, {"model", model.tag}, {"details", flm_details(model)}});
    }
    exchange.reply(200, kPlainJson, json::dump({{"models", list}}));
}

void Flm::page_ps(Exchange& exchange) const {
    const FlmModel* model = current();
    const std::string_view name = model == nullptr ? "model-faker" : model->tag;
    exchange.reply(
        200, kPlainJson,
        json::dump(
            {{"models",
              {{{"name", name}, {"model", name}, {"expires_at", "2099-01-01T00:00:00Z"}}}}}));
}

void Flm::page_npu(Exchange& exchange) const {
    const int active = active_;
    exchange.reply(200, kPlainJson,
                   json::dump({{"npu_available", active == 0},
                               {"active_requests", active},
                               {"message", active == 0 ? "NPU is available" : "NPU is in use"}}));
}

void Flm::describe(json::Value& stats) const {
    const FlmModel* model = current();
    stats["flm"] = {{"model", model == nullptr ? json::Value(nullptr) : json::Value(model->tag)},
                    {"active", active_.load()},
                    {"substitutions", counters_.substitutions.load()},
                    {"downloads", counters_.downloads.load()},
                    {"switches", counters_.switches.load()},
                    {"queued", counters_.queued.load()},
                    {"rejected", counters_.rejected.load()},
                    {"tool_index", counters_.tool_index.load()},
                    {"last_min_p", counters_.last_min_p.load()}};
}

}  // namespace

Result<std::unique_ptr<Personality>> make_flm(const std::vector<std::string>& arguments,
                                              const Script& script) {
    TRILANE_TRY(FlmFlags flags, read_flm_flags(arguments, script.without_flags));
    return std::make_unique<Flm>(std::move(flags));
}

}  // namespace trilane::fake_lane
