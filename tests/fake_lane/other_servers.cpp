// The servers that speak OpenAI's shapes or one route of their own: whisper-server, sd-server,
// kokoro, and "openai" (vLLM, SGLang, any remote with a key). Minimal: what a lane asks of them.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "answer.h"
#include "json/json.h"
#include "openai_text.h"
#include "personality.h"
#include "skim.h"
#include "slots.h"

namespace trilane::fake_lane {
namespace {

constexpr std::size_t kSpeechPieces = 4;
constexpr std::size_t kSamplesPerLetter = 240;
constexpr std::uint32_t kSamplesPerSecond = 24'000;
constexpr std::size_t kSpeechLettersMax = 100'000;

/// A picture of one pixel.
constexpr std::string_view kPixelPng =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg==";

struct OtherFlags {
    Address address{"127.0.0.1", 8000};
    std::string model;
    std::string served_name;
    std::string api_key;
    std::string inference_path = "/inference";
};

/// Flags that are not known are taken as they come: these engines have many.
Result<OtherFlags> read_flags(const std::vector<std::string>& arguments) {
    OtherFlags flags;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string name = arguments[i];
        std::string value;
        if (!name.starts_with("-")) {
            flags.model = name == "serve" || name == "openai" ? flags.model : name;
            continue;
        }
        if (const std::size_t equals = name.find('='); equals != std::string::npos) {
            value = name.substr(equals + 1);
            name.resize(equals);
        } else if (i + 1 < arguments.size() && !arguments[i + 1].starts_with("-")) {
            value = arguments[++i];
        }
        if (name == "--host" || name == "--ip" || name == "--listen-ip" || name == "-l") {
            flags.address.host = value;
        } else if (name == "--port" || name == "--listen-port") {
            TRILANE_TRY(flags.address.port, port_of(value));
        } else if (name == "-m" || name == "--model" || name == "--diffusion-model") {
            flags.model = value;
        } else if (name == "--served-model-name" || name == "--alias") {
            flags.served_name = value;
        } else if (name == "--api-key") {
            flags.api_key = value;
        } else if (name == "--inference-path") {
            flags.inference_path = value;
        }
    }
    return flags;
}

/// The value of a field of a multipart body; "" when there is none.
std::string_view form_field(std::string_view body, std::string_view name) {
    const std::size_t at = body.find(fmt::format("name=\"{}\"", name));
    const std::size_t begin = at == std::string_view::npos ? at : body.find("\r\n\r\n", at);
    if (begin == std::string_view::npos) {
        return {};
    }
    return body.substr(begin + 4, body.find("\r\n", begin + 4) - begin - 4);
}

void append_little(std::string& out, std::uint32_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
        out += static_cast<char>(value >> (8U * i) & 0xffU);
    }
}

/// A sawtooth as long as the text.
std::string pcm_of(std::string_view text) {
    std::string pcm;
    const std::size_t samples = std::min(text.size(), kSpeechLettersMax) * kSamplesPerLetter;
    for (std::size_t i = 0; i < samples; ++i) {
        append_little(pcm, static_cast<std::uint32_t>(i * 64 % 8192), 2);
    }
    return pcm;
}

std::string wav_of(const std::string& pcm) {
    std::string wav = "RIFF";
    const auto size = static_cast<std::uint32_t>(pcm.size());
    append_little(wav, size + 36, 4);
    wav += "WAVEfmt ";
    append_little(wav, 16, 4);
    append_little(wav, 1, 2);
    append_little(wav, 1, 2);
    append_little(wav, kSamplesPerSecond, 4);
    append_little(wav, kSamplesPerSecond * 2, 4);
    append_little(wav, 2, 2);
    append_little(wav, 16, 2);
    wav += "data";
    append_little(wav, size, 4);
    return wav + pcm;
}

class OtherServer final : public Personality {
public:
    enum class Kind { whisper, sd, kokoro, openai };

    OtherServer(Kind kind, std::string_view name, OtherFlags flags)
        : kind_(kind), name_(name), flags_(std::move(flags)) {
        const std::string& model = flags_.served_name.empty() ? flags_.model : flags_.served_name;
        model_ = model.empty() ? name_ : model;
        shape_.model = json_string(model_);
    }

    [[nodiscard]] std::string_view name() const override { return name_; }
    [[nodiscard]] std::string_view model() const override {
        return flags_.model.empty() ? std::string_view(model_) : flags_.model;
    }
    [[nodiscard]] const Address& address() const override { return flags_.address; }
    [[nodiscard]] Opening opening(const Script&) const override { return Opening::closed; }
    [[nodiscard]] std::string_view head_lines() const override { return "Server: fake\r\n"; }

    void print(Milestone milestone, std::uint16_t port) const override {
        if (milestone == Milestone::loading) {
            fmt::print(stderr, "{}: loading model '{}'\n", name_, flags_.model);
        } else if (milestone == Milestone::listening) {
            fmt::print(stderr, "{}: listening at http://{}:{}\n", name_, flags_.address.host, port);
        }
    }
    void print_load_failure(std::string_view reason) const override {
        fmt::print(stderr, "error: failed to load '{}': {}\n", flags_.model, reason);
    }
    void print_bind_failure(std::uint16_t port) const override {
        fmt::print(stderr, "error: couldn't bind to server socket: port {}\n", port);
    }
    void adjust(Script& script) const override { script.api_key = flags_.api_key; }
    void prepare(const Script& script) override {
        const std::int64_t usual = kind_ == Kind::openai ? 0 : 1;
        slots_ = std::make_unique<Slots>(
            static_cast<std::size_t>(script.slots >= 0 ? script.slots : usual));
    }
    void answer(Exchange& exchange) override;
    void describe(json::Value& stats) const override {
        stats["slots"] = {{"total", slots_->all().size()}, {"busy", slots_->busy()}};
    }

private:
    bool answer_page(Exchange& exchange) const;
    bool answer_work(Exchange& exchange);
    void answer_text(Exchange& exchange, bool chat);
    void answer_transcription(Exchange& exchange) const;
    void answer_speech(Exchange& exchange) const;
    void answer_images(Exchange& exchange) const;
    void answer_sdapi(Exchange& exchange) const;
    void error(Exchange& exchange, unsigned status, std::string_view message) const {
        const Behaviour& behaviour = exchange.behaviour();
        const std::string retry = behaviour.retry_after_s < 0
                                      ? std::string()
                                      : fmt::format("Retry-After: {}\r\n", behaviour.retry_after_s);
        exchange.reply(status, kJson, openai_error(status, message, behaviour.error_as_string),
                       retry);
    }
    [[nodiscard]] bool speaks_all() const { return kind_ == Kind::openai; }

    Kind kind_;
    std::string name_;
    OtherFlags flags_;
    std::string model_;
    OpenAiShape shape_;
    std::unique_ptr<Slots> slots_;
};

void OtherServer::answer(Exchange& exchange) {
    const Request& request = exchange.request;
    const std::string& key = exchange.script().api_key;
    const bool health = request.path == "/health" || request.path == "/";
    const bool asked = health || request.path == "/v1/models";
    if (asked && exchange.script().hang_health) {
        exchange.hang();
        return;
    }
    if (!key.empty() && !health && request.authorization != "Bearer " + key) {
        error(exchange, 401, "Unauthorized");
        return;
    }
    if (!request.is_inference()) {
        if (exchange.was_spoiled()) {
            return;
        }
        if (exchange.behaviour().error_status > 0) {
            error(exchange, static_cast<unsigned>(exchange.behaviour().error_status),
                  exchange.behaviour().error_message);
        } else if (!answer_page(exchange)) {
            error(exchange, 404, "Not Found");
        }
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
    if (exchange.behaviour().error_status > 0) {
        error(exchange, static_cast<unsigned>(exchange.behaviour().error_status),
              exchange.behaviour().error_message);
    } else if (!answer_work(exchange)) {
        error(exchange, 404, "Not Found");
    }
}

bool OtherServer::answer_page(Exchange& exchange) const {
    const std::string_view path = exchange.request.path;
    if (exchange.request.method != "GET") {
        return false;
    }
    if (path == "/health") {
        const std::string_view body = kind_ == Kind::openai ? "" : "{\"status\":\"ok\"}";
        exchange.reply(200, kJson, body);
    } else if (path == "/v1/models" && kind_ != Kind::whisper) {
        const json::Value list = {{"object", "list"},
                                  {"data",
                                   {{{"id", model_},
                                     {"object", "model"},
                                     {"created", std::time(nullptr)},
                                     {"owned_by", name_},
                                     {"max_model_len", 32768}}}}};
        exchange.reply(200, kJson, json::dump(list));
    } else if (path == "/v1/audio/voices" && (kind_ == Kind::kokoro || speaks_all())) {
        exchange.reply(200, kJson, "{\"voices\":[\"af_heart\",\"am_adam\"]}");
    } else if (path == "/" && !speaks_all()) {
        exchange.reply(200, "text/html; charset=utf-8", "<!doctype html><title>fake</title>");
    } else {
        return false;
    }
    return true;
}

bool OtherServer::answer_work(Exchange& exchange) {
    const std::string_view path = exchange.request.path;
    const bool transcribes = (kind_ == Kind::whisper && path == flags_.inference_path) ||
                             (speaks_all() && path == "/v1/audio/transcriptions");
    if (speaks_all() && path == "/v1/chat/completions") {
        answer_text(exchange, true);
    } else if (speaks_all() && path == "/v1/completions") {
        answer_text(exchange, false);
    } else if (speaks_all() && path == "/v1/embeddings") {
        answer_embeddings(exchange, shape_.model, true);
    } else if (speaks_all() && path == "/v1/rerank") {
        answer_rerank(exchange, shape_.model, false);
    } else if (transcribes) {
        answer_transcription(exchange);
    } else if ((kind_ == Kind::kokoro || speaks_all()) && path == "/v1/audio/speech") {
        answer_speech(exchange);
    } else if ((kind_ == Kind::sd || speaks_all()) &&
               (path == "/v1/images/generations" || path == "/v1/images/edits")) {
        answer_images(exchange);
    } else if (kind_ == Kind::sd && (path == "/sdapi/v1/txt2img" || path == "/sdapi/v1/img2img")) {
        answer_sdapi(exchange);
    } else {
        return false;
    }
    return true;
}

void OtherServer::answer_text(Exchange& exchange, bool chat) {
    const Result<Asked> asked = read_asked(exchange.request.body);
    if (!asked || asked->prompt.empty()) {
        error(exchange, 400, asked ? "messages or prompt must be given" : asked.error().message);
        return;
    }
    const Answer answer =
        compose(*asked, exchange.behaviour(), {.insane = exchange.script().ready_but_insane});
    answer_openai(exchange, *asked, answer, shape_, chat, nullptr);
}

void OtherServer::answer_transcription(Exchange& exchange) const {
    const std::string_view body = exchange.request.body;
    if (body.find("name=\"file\"") == std::string_view::npos) {
        exchange.reply(400, kJson, "{\"error\":\"no 'file' field in the request\"}");
        return;
    }
    // whisper.cpp reads what its decoder knows, and resamples nothing but that.
    const bool wav = body.find("\r\n\r\nRIFF") != std::string_view::npos;
    if (kind_ == Kind::whisper && !wav) {
        exchange.reply(400, kJson, "{\"error\":\"failed to read audio data\"}");
        return;
    }
    const std::string text = words_for(body, exchange.behaviour());
    const std::string_view format = form_field(body, "response_format");
    if (format == "text") {
        exchange.reply(200, "text/plain; charset=utf-8", text + "\n");
    } else if (format == "srt") {
        exchange.reply(200, "application/x-subrip",
                       "1\n00:00:00,000 --> 00:00:01,000\n" + text + "\n\n");
    } else if (format == "vtt") {
        exchange.reply(200, "text/vtt",
                       "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n" + text + "\n\n");
    } else if (format == "verbose_json") {
        exchange.reply(200, kJson,
                       json::dump({{"task", "transcribe"},
                                   {"language", "english"},
                                   {"duration", 1.0},
                                   {"text", text},
                                   {"segments",
                                    {{{"id", 0},
                                      {"start", 0.0},
                                      {"end", 1.0},
                                      {"text", text},
                                      {"tokens", {1, 2, 3}},
                                      {"temperature", 0.0},
                                      {"avg_logprob", -0.25}}}}}));
    } else {
        exchange.reply(200, kJson, fmt::format("{{\"text\":{}}}", json_string(text)));
    }
}

void OtherServer::answer_speech(Exchange& exchange) const {
    const std::string_view body = exchange.request.body;
    const std::string input = unquoted(member(body, "input"));
    if (input.empty()) {
        error(exchange, 400, "input must be given");
        return;
    }
    const std::string format = unquoted(member(body, "response_format"));
    std::string sound = pcm_of(input);
    std::string_view type = "audio/pcm";
    if (format == "wav") {
        sound = wav_of(sound);
        type = "audio/wav";
    } else if (format != "pcm") {
        sound = "ID3" + sound;
        type = "audio/mpeg";
    }
    if (member(body, "stream") != "true") {
        exchange.reply(200, type, sound);
        return;
    }
    exchange.begin_stream(type);
    const std::size_t piece = sound.size() / kSpeechPieces + 1;
    for (std::size_t at = 0; at < sound.size(); at += piece) {
        exchange.chunk(std::string_view(sound).substr(at, piece));
        exchange.flush();
    }
    exchange.end_stream();
}

/// stable-diffusion.cpp's other API. A picture to change comes back as it is.
void OtherServer::answer_sdapi(Exchange& exchange) const {
    const std::string_view body = exchange.request.body;
    if (member(body, "prompt").empty()) {
        exchange.reply(400, kJson, "{\"error\":\"prompt required\"}");
        return;
    }
    std::string_view picture = kPixelPng;
    std::string first;
    Skim images(member(body, "init_images"));
    std::string_view none;
    std::string_view value;
    if (images.next(none, value)) {
        first = unquoted(value);
        picture = first;
    }
    const auto wanted =
        std::clamp<std::int64_t>(integer(member(body, "batch_size")).value_or(1), 1, 10);
    std::string out = "{\"images\":[";
    for (std::int64_t i = 0; i < wanted; ++i) {
        fmt::format_to(std::back_inserter(out), "{}\"{}\"", i > 0 ? "," : "", picture);
    }
    exchange.reply(200, kJson, out + "],\"parameters\":{},\"info\":\"{}\"}");
}

void OtherServer::answer_images(Exchange& exchange) const {
    const std::string_view body = exchange.request.body;
    const bool edits = exchange.request.path == "/v1/images/edits";
    if (edits && (form_field(body, "prompt").empty() ||
                  body.find("name=\"image") == std::string_view::npos)) {
        error(exchange, 400, "prompt and image must be given");
        return;
    }
    if (!edits && member(body, "prompt").empty()) {
        error(exchange, 400, "prompt must be given");
        return;
    }
    const auto number = edits ? integer(form_field(body, "n")) : integer(member(body, "n"));
    const auto wanted = std::clamp<std::int64_t>(number.value_or(1), 1, 10);
    std::string out = fmt::format("{{\"created\":{},\"data\":[", std::time(nullptr));
    for (std::int64_t i = 0; i < wanted; ++i) {
        fmt::format_to(std::back_inserter(out), "{}{{\"b64_json\":\"{}\"}}", i > 0 ? "," : "",
                       kPixelPng);
    }
    exchange.reply(200, kJson, out + "],\"output_format\":\"png\"}");
}

}  // namespace

Result<std::unique_ptr<Personality>> make_other(std::string_view kind,
                                                const std::vector<std::string>& arguments) {
    using Kind = OtherServer::Kind;
    Kind played = Kind::openai;
    if (kind == "whisper-server") {
        played = Kind::whisper;
    } else if (kind == "sd-server") {
        played = Kind::sd;
    } else if (kind == "kokoro") {
        played = Kind::kokoro;
    }
    TRILANE_TRY(OtherFlags flags, read_flags(arguments));
    return std::make_unique<OtherServer>(played, kind, std::move(flags));
}

std::optional<int> other_verb(const std::vector<std::string>& arguments) {
    if (std::find(arguments.begin(), arguments.end(), "--help") == arguments.end()) {
        return std::nullopt;
    }
    fmt::print(
        "options:\n  -h,  --help      show this\n  -m,  --model     FNAME model\n"
        "  -ng, --no-gpu    disable gpu\n       --port PORT listen here\n");
    return 0;
}

}  // namespace trilane::fake_lane
