// llama-server as a supervisor and a client meet it: its routes, its loading phase, its slots.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>

#include "answer.h"
#include "base/utf8.h"
#include "json/json.h"
#include "llama_flags.h"
#include "openai_text.h"
#include "personality.h"
#include "skim.h"
#include "slots.h"

namespace trilane::fake_lane {
namespace {

constexpr std::int64_t kAutomaticSlots = 4;
constexpr std::size_t kTokenBytes = 3;

std::string_view file_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

bool is_one_of(std::string_view path, std::initializer_list<std::string_view> paths) {
    return std::find(paths.begin(), paths.end(), path) != paths.end();
}

class LlamaServer final : public Personality {
public:
    explicit LlamaServer(LlamaFlags flags)
        : flags_(std::move(flags)),
          model_(flags_.alias.empty() ? std::string(file_name(flags_.model_path)) : flags_.alias) {
        shape_.model = json_string(model_);
        shape_.with_timings = true;
    }

    [[nodiscard]] std::string_view name() const override { return "llama-server"; }
    [[nodiscard]] std::string_view model() const override {
        return flags_.model_path.empty() ? std::string_view(model_) : flags_.model_path;
    }
    [[nodiscard]] const Address& address() const override { return flags_.address; }
    [[nodiscard]] Opening opening(const Script&) const override { return Opening::answers_503; }
    [[nodiscard]] std::string_view head_lines() const override { return "Server: llama.cpp\r\n"; }

    void print(Milestone milestone, std::uint16_t port) const override;
    void print_load_failure(std::string_view reason) const override;
    void print_bind_failure(std::uint16_t port) const override;
    [[nodiscard]] std::string load_failure(const Script& script) const override;
    void adjust(Script& script) const override;
    void prepare(const Script& script) override;
    void answer(Exchange& exchange) override;
    void describe(json::Value& stats) const override;

private:
    bool is_refused(Exchange& exchange) const;
    bool answer_page(Exchange& exchange) const;
    bool answer_tokens(Exchange& exchange) const;
    void answer_inference(Exchange& exchange);
    void answer_text(Exchange& exchange, bool chat);
    void answer_insertion(Exchange& exchange);
    void page_health(Exchange& exchange) const;
    void page_props(Exchange& exchange) const;
    void page_slots(Exchange& exchange) const;
    void page_metrics(Exchange& exchange) const;
    void page_models(Exchange& exchange) const;
    void error(Exchange& exchange, unsigned status, std::string_view message) const;
    [[nodiscard]] std::int64_t slot_context() const;

    LlamaFlags flags_;
    std::string model_;
    OpenAiShape shape_;
    std::unique_ptr<Slots> slots_;
};

void LlamaServer::print(Milestone milestone, std::uint16_t port) const {
    switch (milestone) {
        case Milestone::loading:
            fmt::print(stderr, "build: 6123 (fa4e1a9e) with cc for x86_64-linux-gnu\n");
            fmt::print(stderr, "main: loading model\n");
            fmt::print(stderr, "srv    load_model: loading model '{}'\n", flags_.model_path);
            break;
        case Milestone::loaded:
            fmt::print(stderr, "main: model loaded\n");
            break;
        case Milestone::listening:
            fmt::print(stderr, "main: server is listening on http://{}:{}\n", flags_.address.host,
                       port);
            break;
        case Milestone::idle:
            fmt::print(stderr, "srv  update_slots: all slots are idle\n");
            break;
        case Milestone::stopping:
            fmt::print(stderr, "srv    operator(): operator(): cleaning up before exit...\n");
            break;
        case Milestone::stopped:
            fmt::print(stderr,
                       "llama_memory_breakdown_print: | memory breakdown [MiB] | total |\n");
            fmt::print(stderr,
                       "llama_memory_breakdown_print: |   - Host               |   512 |\n");
            break;
    }
}

void LlamaServer::print_load_failure(std::string_view reason) const {
    fmt::print(stderr, "llama_model_load: error loading model: {}\n", reason);
    fmt::print(stderr, "llama_model_load_from_file_impl: failed to load model\n");
    fmt::print(stderr, "srv    load_model: failed to load model, '{}'\n", flags_.model_path);
    fmt::print(stderr, "main: exiting due to model loading error\n");
}

void LlamaServer::print_bind_failure(std::uint16_t port) const {
    fmt::print(stderr,
               "srv         start: couldn't bind HTTP server socket, hostname: {}, port: {}\n",
               flags_.address.host, port);
    fmt::print(stderr, "main: exiting due to HTTP server error\n");
}

std::string LlamaServer::load_failure(const Script& script) const {
    struct stat found {};
    if (script.check_model_file && ::stat(flags_.model_path.c_str(), &found) != 0) {
        return fmt::format("llama_model_loader: failed to load model from {}", flags_.model_path);
    }
    return {};
}

void LlamaServer::adjust(Script& script) const {
    script.base.sse_ping_ms = flags_.sse_ping_s * 1000;
    script.api_key = flags_.api_key;
}

void LlamaServer::prepare(const Script& script) {
    std::int64_t count = script.slots >= 0 ? script.slots : flags_.slots;
    count = count < 0 ? kAutomaticSlots : count;
    slots_ = std::make_unique<Slots>(static_cast<std::size_t>(count));
}

void LlamaServer::error(Exchange& exchange, unsigned status, std::string_view message) const {
    exchange.reply(status, kJson, openai_error(status, message, false));
}

bool LlamaServer::is_refused(Exchange& exchange) const {
    const Request& request = exchange.request;
    const std::string& key = exchange.script().api_key;
    const bool open =
        is_one_of(request.path, {"/health", "/v1/health", "/models", "/v1/models", "/"});
    if (!key.empty() && !open && request.api_key != key &&
        request.authorization != "Bearer " + key) {
        error(exchange, 401, "Invalid API Key");
        return true;
    }
    if (!exchange.world.ready) {
        error(exchange, 503, "Loading model");
        return true;
    }
    return false;
}

void LlamaServer::answer(Exchange& exchange) {
    const Request& request = exchange.request;
    if (is_one_of(request.path, {"/health", "/v1/health"}) && exchange.script().hang_health) {
        exchange.hang();
        return;
    }
    if (is_refused(exchange)) {
        return;
    }
    if (request.is_inference()) {
        answer_inference(exchange);
        return;
    }
    if (exchange.was_spoiled()) {
        return;
    }
    if (const std::int64_t status = exchange.behaviour().error_status; status > 0) {
        error(exchange, static_cast<unsigned>(status), exchange.behaviour().error_message);
        return;
    }
    if (!answer_page(exchange) && !answer_tokens(exchange)) {
        error(exchange, 404, "File Not Found");
    }
}

bool LlamaServer::answer_page(Exchange& exchange) const {
    const Request& request = exchange.request;
    if (request.method != "GET") {
        return false;
    }
    if (is_one_of(request.path, {"/health", "/v1/health"})) {
        page_health(exchange);
    } else if (request.path == "/props") {
        page_props(exchange);
    } else if (request.path == "/slots") {
        page_slots(exchange);
    } else if (request.path == "/metrics") {
        page_metrics(exchange);
    } else if (is_one_of(request.path, {"/v1/models", "/models"})) {
        page_models(exchange);
    } else if (request.path == "/") {
        exchange.reply(200, "text/html; charset=utf-8", "<!doctype html><title>fake</title>");
    } else {
        return false;
    }
    return true;
}

namespace {

/// Three bytes each; a piece that is no UTF-8 comes as its bytes.
std::string tokens_of(std::string_view text, bool with_pieces) {
    std::string out = "{\"tokens\":[";
    for (std::size_t at = 0; at < text.size(); at += kTokenBytes) {
        const std::string_view piece = text.substr(at, kTokenBytes);
        std::uint32_t token = 0;
        for (std::size_t k = 0; k < piece.size(); ++k) {
            token |= static_cast<std::uint32_t>(static_cast<unsigned char>(piece[k])) << (8U * k);
        }
        out += at > 0 ? "," : "";
        if (!with_pieces) {
            fmt::format_to(std::back_inserter(out), "{}", token);
        } else if (is_valid_utf8(piece)) {
            fmt::format_to(std::back_inserter(out), "{{\"id\":{},\"piece\":{}}}", token,
                           json_string(piece));
        } else {
            std::vector<int> bytes;
            for (const char c : piece) {
                bytes.push_back(static_cast<unsigned char>(c));
            }
            fmt::format_to(std::back_inserter(out), "{{\"id\":{},\"piece\":[{}]}}", token,
                           fmt::join(bytes, ","));
        }
    }
    return out + "]}";
}

/// As a template would render it: roles in brackets, texts behind them.
std::string rendered(std::string_view messages) {
    std::string text;
    Skim list(messages);
    std::string_view none;
    std::string_view message;
    while (list.next(none, message)) {
        text +=
            '<' + unquoted(member(message, "role")) + '>' + unquoted(member(message, "content"));
    }
    return text + "<assistant>";
}

}  // namespace

bool LlamaServer::answer_tokens(Exchange& exchange) const {
    const Request& request = exchange.request;
    std::string out;
    if (request.method == "POST" && request.path == "/tokenize") {
        out = tokens_of(unquoted(member(request.body, "content")),
                        member(request.body, "with_pieces") == "true");
    } else if (request.method == "POST" && request.path == "/detokenize") {
        std::string text;
        Skim tokens(member(request.body, "tokens"));
        std::string_view none;
        std::string_view value;
        while (tokens.next(none, value)) {
            for (auto token = integer(value).value_or(0); token > 0; token >>= 8U) {
                text += static_cast<char>(token & 0xff);
            }
        }
        out = fmt::format("{{\"content\":{}}}", json_string(text));
    } else if (request.method == "POST" && request.path == "/apply-template") {
        out = fmt::format("{{\"prompt\":{}}}",
                          json_string(rendered(member(request.body, "messages"))));
    } else {
        return false;
    }
    exchange.reply(200, kJson, out);
    return true;
}

void LlamaServer::page_health(Exchange& exchange) const {
    exchange.reply(200, kJson, "{\"status\":\"ok\"}");
}

std::int64_t LlamaServer::slot_context() const {
    const auto count = static_cast<std::int64_t>(slots_->all().size());
    return flags_.context_tokens / std::max<std::int64_t>(1, count);
}

void LlamaServer::page_props(Exchange& exchange) const {
    const json::Value props = {
        {"default_generation_settings",
         {{"n_ctx", slot_context()}, {"params", {{"temperature", 0.8}, {"top_k", 40}}}}},
        {"total_slots", slots_->all().size()},
        {"model_alias", model_},
        {"model_path", flags_.model_path},
        {"modalities", {{"vision", false}, {"audio", false}}},
        {"chat_template", "{{ messages }}"},
        {"chat_template_caps", {{"supports_tools", true}, {"supports_system_role", true}}},
        {"build_info", "b6123-fa4e1a9e"},
        {"is_sleeping", false}};
    exchange.reply(200, kJson, json::dump(props));
}

void LlamaServer::page_slots(Exchange& exchange) const {
    if (!flags_.slots_page) {
        error(exchange, 501,
              "This server does not support slots endpoint. Start it with `--slots`");
        return;
    }
    json::Value list = json::Value::array();
    bool any_free = slots_->all().empty();
    for (const Slot& slot : slots_->all()) {
        any_free = any_free || !slot.busy;
        list.push_back({{"id", list.size()},
                        {"id_task", slot.task.load()},
                        {"n_ctx", slot_context()},
                        {"speculative", false},
                        {"is_processing", slot.busy.load()},
                        {"next_token", {{"n_decoded", slot.decoded.load()}, {"n_remain", -1}}}});
    }
    if (!any_free && exchange.request.query.find("fail_on_no_slot") != std::string_view::npos) {
        error(exchange, 503, "no slot available");
        return;
    }
    exchange.reply(200, kJson, json::dump(list));
}

void LlamaServer::page_metrics(Exchange& exchange) const {
    if (!flags_.metrics) {
        error(exchange, 501,
              "This server does not support metrics endpoint. Start it with `--metrics`");
        return;
    }
    const Counters& counters = exchange.world.counters;
    std::string text;
    const auto add = [&text](std::string_view kind, std::string_view name, std::uint64_t value) {
        fmt::format_to(std::back_inserter(text),
                       "# HELP llamacpp:{1} see the documentation\n# TYPE llamacpp:{1} {0}\n"
                       "llamacpp:{1} {2}\n",
                       kind, name, value);
    };
    add("counter", "prompt_tokens_total", counters.prompt_tokens);
    add("counter", "tokens_predicted_total", counters.tokens);
    add("gauge", "predicted_tokens_seconds", 0);
    add("gauge", "requests_processing", slots_->busy());
    add("gauge", "requests_deferred", slots_->waiting());
    add("gauge", "n_busy_slots_per_decode", slots_->busy());
    exchange.reply(200, "text/plain; version=0.0.4", text);
}

void LlamaServer::page_models(Exchange& exchange) const {
    const json::Value list = {{"object", "list"},
                              {"data",
                               {{{"id", model_},
                                 {"object", "model"},
                                 {"created", std::time(nullptr)},
                                 {"owned_by", "llamacpp"},
                                 {"meta",
                                  {{"n_ctx_train", flags_.context_tokens},
                                   {"n_params", 1'000'000'000},
                                   {"size", 600'000'000}}}}}}};
    exchange.reply(200, kJson, json::dump(list));
}

void LlamaServer::answer_inference(Exchange& exchange) {
    const std::string_view path = exchange.request.path;
    const bool chat = is_one_of(path, {"/v1/chat/completions", "/chat/completions"});
    const bool text = is_one_of(path, {"/v1/completions", "/completions"});
    const bool infill = path == "/infill";
    const bool vectors = is_one_of(path, {"/v1/embeddings", "/embeddings"});
    const bool ranks = is_one_of(path, {"/v1/rerank", "/rerank", "/v1/reranking", "/reranking"});
    if (!chat && !text && !infill && !vectors && !ranks) {
        error(exchange, 404, "File Not Found");
        return;
    }
    if ((chat || text || infill) && (flags_.embedding || flags_.reranking)) {
        error(exchange, 501, "This server does not support completions.");
        return;
    }
    if (vectors && !flags_.embedding) {
        error(exchange, 501,
              "This server does not support embeddings. Start it with `--embeddings`");
        return;
    }
    if (ranks && !flags_.reranking) {
        error(exchange, 501, "This server does not support reranking. Start it with `--reranking`");
        return;
    }
    if (chat || text) {
        answer_text(exchange, chat);
        return;
    }
    if (infill) {
        answer_insertion(exchange);
        return;
    }
    auto lease = slots_->take(exchange);
    if (!lease) {
        return;
    }
    exchange.set_release([&lease] { lease->release(); });
    if (exchange.was_spoiled()) {
        return;
    }
    const Behaviour& behaviour = exchange.behaviour();
    if (behaviour.error_status > 0) {
        error(exchange, static_cast<unsigned>(behaviour.error_status), behaviour.error_message);
    } else if (vectors) {
        answer_embeddings(exchange, shape_.model, true);
    } else {
        answer_rerank(exchange, shape_.model, flags_.embedding);
    }
}

void LlamaServer::answer_text(Exchange& exchange, bool chat) {
    const Result<Asked> asked = read_asked(exchange.request.body);
    if (!asked) {
        error(exchange, 400, asked.error().message);
        return;
    }
    if (asked->prompt.empty()) {
        error(exchange, 400, chat ? "'messages' is required" : "\"prompt\" must be provided");
        return;
    }
    const Behaviour& behaviour = exchange.behaviour();
    const Answer answer =
        compose(*asked, behaviour, {.insane = exchange.script().ready_but_insane});
    if (answer.prompt_tokens > slot_context()) {
        error(exchange, 400,
              fmt::format("the request exceeds the available context size ({} > {} tokens)",
                          answer.prompt_tokens, slot_context()));
        return;
    }
    auto lease = slots_->take(exchange);
    if (!lease) {
        return;
    }
    exchange.set_release([&lease] { lease->release(); });
    if (exchange.was_spoiled()) {
        return;
    }
    if (behaviour.error_status > 0) {
        const std::string retry = behaviour.retry_after_s < 0
                                      ? std::string()
                                      : fmt::format("Retry-After: {}\r\n", behaviour.retry_after_s);
        const auto status = static_cast<unsigned>(behaviour.error_status);
        exchange.reply(status, kJson,
                       openai_error(status, behaviour.error_message, behaviour.error_as_string),
                       retry);
        return;
    }
    answer_openai(exchange, *asked, answer, shape_, chat, lease->slot());
}

/// In its own shape: no choices, no end mark.
void LlamaServer::answer_insertion(Exchange& exchange) {
    Result<Asked> asked = read_asked(exchange.request.body);
    const std::string_view prefix = member(exchange.request.body, "input_prefix");
    if (!asked || prefix.empty() || member(exchange.request.body, "input_suffix").empty()) {
        error(exchange, 400, "\"input_prefix\" and \"input_suffix\" are required");
        return;
    }
    asked->prompt = asked->last = prefix;
    const Answer answer = compose(*asked, exchange.behaviour(), {});
    auto lease = slots_->take(exchange);
    if (!lease) {
        return;
    }
    exchange.set_release([&lease] { lease->release(); });
    if (exchange.was_spoiled() || !read_prompt(exchange, answer)) {
        return;
    }
    exchange.begin_stream(kEventStream);
    std::int64_t count = 0;
    const bool whole = decode(exchange, answer, lease->slot(), [&](std::int64_t i) {
        exchange.chunk(
            fmt::format("data: {{\"index\":0,\"content\":{},\"stop\":false,\"tokens_predicted\":{},"
                        "\"tokens_evaluated\":{}}}\n\n",
                        json_string(answer.piece(i).text), ++count, answer.prompt_tokens));
    });
    if (whole) {
        exchange.chunk(fmt::format(
            "data: "
            "{{\"index\":0,\"content\":\"\",\"stop\":true,\"model\":{},\"tokens_predicted\":{},"
            "\"tokens_evaluated\":{},\"stop_type\":\"{}\",\"stopping_word\":\"\"}}\n\n",
            shape_.model, count, answer.prompt_tokens, answer.cut ? "limit" : "eos"));
        exchange.end_stream();
    }
}

void LlamaServer::describe(json::Value& stats) const {
    stats["slots"] = {
        {"total", slots_->all().size()}, {"busy", slots_->busy()}, {"waiting", slots_->waiting()}};
}

void print_devices(const Script& script) {
    static const std::vector<std::string> kUsual = {
        "Vulkan0: Radeon 8060S Graphics (RADV GFX1151) (98304 MiB, 97280 MiB free)",
        "ROCm0: AMD Radeon Graphics (98304 MiB, 97280 MiB free)"};
    fmt::print("Available devices:\n");
    for (const std::string& device : script.devices.empty() ? kUsual : script.devices) {
        fmt::print("  {}\n", device);
    }
}

}  // namespace

Result<std::unique_ptr<Personality>> make_llama_server(const std::vector<std::string>& arguments,
                                                       const Script& script) {
    TRILANE_TRY(LlamaFlags flags, read_llama_flags(arguments, script.without_flags));
    return std::make_unique<LlamaServer>(std::move(flags));
}

std::optional<int> llama_server_verb(const std::vector<std::string>& arguments,
                                     const Script& script) {
    const Result<LlamaFlags> flags = read_llama_flags(arguments, script.without_flags);
    if (!flags) {
        return std::nullopt;
    }
    if (flags->help) {
        fmt::print("{}", llama_help(script.without_flags));
        return 0;
    }
    if (flags->version) {
        fmt::print(stderr, "version: {}\nbuilt with cc for x86_64-linux-gnu\n",
                   script.version.empty() ? "6123 (fa4e1a9e)" : script.version);
        return 0;
    }
    if (flags->list_devices) {
        print_devices(script);
        return 0;
    }
    return std::nullopt;
}

}  // namespace trilane::fake_lane
