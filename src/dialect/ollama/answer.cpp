#include "dialect/ollama/answer.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "base/utf8.h"
#include "dialect/ollama/reading.h"
#include "dialect/overloaded.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::dialect::ollama {
namespace {

using json::append_string;

constexpr double kNsPerMs = 1e6;

/// A number that JSON can write.
template <class Float>
Float finite(Float value, Float otherwise) {
    return std::isfinite(value) ? value : otherwise;
}

std::uint64_t nanoseconds(double ms) {
    return static_cast<std::uint64_t>(std::max(finite(ms, 0.0), 0.0) * kNsPerMs);
}

void append_token(std::string& out, const job::TokenLogprob& token) {
    constexpr float kImpossible = -9999.0F;
    out += "\"token\":";
    append_string(out, token.bytes);
    fmt::format_to(std::back_inserter(out), ",\"logprob\":{},\"bytes\":[",
                   finite(token.logprob, kImpossible));
    for (std::size_t i = 0; i < token.bytes.size(); ++i) {
        fmt::format_to(std::back_inserter(out), "{}{}", i == 0 ? "" : ",",
                       static_cast<unsigned char>(token.bytes[i]));
    }
    out += ']';
}

void append_logprobs(std::string& out, const std::vector<job::LogprobEntry>& entries) {
    out += ",\"logprobs\":[";
    for (std::size_t i = 0; i < entries.size(); ++i) {
        out += i == 0 ? "{" : ",{";
        append_token(out, entries[i].chosen);
        if (!entries[i].top.empty()) {
            out += ",\"top_logprobs\":[";
            for (std::size_t k = 0; k < entries[i].top.size(); ++k) {
                out += k == 0 ? "{" : ",{";
                append_token(out, entries[i].top[k]);
                out += '}';
            }
            out += ']';
        }
        out += '}';
    }
    out += ']';
}

/// Arguments are an object here. What a model wrote that is none stands in one.
std::string arguments_object(const std::string& text) {
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
        return "{}";
    }
    const auto value = is_valid_utf8(text) ? json::parse(text) : json::Value(text);
    if (value && value->is_object()) {
        return json::dump(*value);
    }
    return json::dump({{"arguments", value ? *value : json::Value(text)}});
}

/// What one piece of an answer holds: text, thinking, tool calls; in a whole answer, all of it.
struct Piece {
    std::string text;
    std::string thinking;
    std::vector<std::pair<std::size_t, job::ToolCall>> calls;  // with their numbers
    std::vector<job::LogprobEntry> logprobs;

    [[nodiscard]] bool empty() const {
        return text.empty() && thinking.empty() && calls.empty() && logprobs.empty();
    }
};

class GenerationWriter final : public AnswerWriter {
public:
    explicit GenerationWriter(Style style) : style_(std::move(style)) {}

    void name_model(std::string_view /*id*/) override {}
    std::string on_event(std::size_t job_index, const job::Event& event) override;
    [[nodiscard]] bool finished() const override { return finished_; }
    /// A stream has told its failure in a line of its own.
    [[nodiscard]] const Error* error() const override {
        return error_ && !style_.stream ? &*error_ : nullptr;
    }
    [[nodiscard]] std::string body() const override { return body_; }
    [[nodiscard]] std::string content_type() const override {
        return std::string(style_.stream ? kNdjsonType : kJsonType);
    }

private:
    void on_text(std::string& out, const job::Text& text);
    void on_call(std::string& out, const job::ToolCallPiece& piece);
    void end_calls(std::string& out);
    void send(std::string& out);
    void append_piece(std::string& out, const Piece& piece) const;
    void on_done(std::string& out, const job::Done& done);
    void append_context(std::string& out) const;

    Style style_;
    Piece piece_;
    std::vector<job::ToolCall> calls_;  // of the whole answer
    std::size_t calls_sent_ = 0;
    std::string said_;  // for the context
    bool cut_short_ = false;
    std::int64_t started_ns_ = 0;
    bool finished_ = false;
    std::string body_;
    std::optional<Error> error_;
};

std::string GenerationWriter::on_event(std::size_t /*job_index*/, const job::Event& event) {
    std::string out;
    if (finished_) {
        return out;
    }
    std::visit(Overloaded{
                   [&](const job::Started&) {
                       started_ns_ = started_ns_ == 0 ? style_.clock.steady_ns() : started_ns_;
                   },
                   [&](const job::Text& text) { on_text(out, text); },
                   [&](const job::ToolCallPiece& piece) { on_call(out, piece); },
                   [&](const job::ChoiceEnd& end) {
                       cut_short_ = end.reason == job::FinishReason::length ||
                                    end.reason == job::FinishReason::cancelled;
                       end_calls(out);
                   },
                   [&](const job::Done& done) { on_done(out, done); },
                   [&](const job::Failed& failed) {
                       out = style_.stream ? error_body(failed.error) + '\n' : "";
                       error_ = failed.error;
                       finished_ = true;
                   },
                   [](const auto&) {},  // events of asks that these endpoints do not make
               },
               event);
    return out;
}

void GenerationWriter::on_text(std::string& out, const job::Text& text) {
    (text.reasoning ? piece_.thinking : piece_.text) += text.text;
    if (style_.logprobs) {
        piece_.logprobs.insert(piece_.logprobs.end(), text.logprobs.begin(), text.logprobs.end());
    }
    if (!text.reasoning && !style_.conversation.empty()) {
        said_ += text.text;
    }
    send(out);
}

void GenerationWriter::on_call(std::string& out, const job::ToolCallPiece& piece) {
    if (piece.index >= kToolCallsMax) {
        return;
    }
    if (calls_.size() <= piece.index) {
        end_calls(out);  // a new call: those before it are whole
        calls_.resize(piece.index + std::size_t{1});
    }
    job::ToolCall& call = calls_[piece.index];
    call.id += piece.id;
    call.name += piece.name;
    call.arguments += piece.arguments;
}

void GenerationWriter::end_calls(std::string& out) {
    for (; calls_sent_ < calls_.size(); ++calls_sent_) {
        if (!calls_[calls_sent_].name.empty()) {
            piece_.calls.emplace_back(calls_sent_, calls_[calls_sent_]);
        }
    }
    send(out);
}

void GenerationWriter::send(std::string& out) {
    if (!style_.stream || piece_.empty()) {
        return;
    }
    append_head(out, style_.model, style_.clock.unix_ns());
    append_piece(out, piece_);
    out += ",\"done\":false}\n";
    piece_ = {};
}

void GenerationWriter::append_piece(std::string& out, const Piece& piece) const {
    const bool chat = style_.endpoint == Endpoint::chat;
    out += chat ? R"(,"message":{"role":"assistant","content":)" : ",\"response\":";
    append_string(out, piece.text);
    // Clients take an empty text for one that is there: it is left out.
    if (!piece.thinking.empty()) {
        out += ",\"thinking\":";
        append_string(out, piece.thinking);
    }
    for (const auto& [number, call] : piece.calls) {
        out += &call == &piece.calls.front().second ? ",\"tool_calls\":[{" : ",{";
        if (!call.id.empty()) {
            out += "\"id\":";
            append_string(out, call.id);
            out += ',';
        }
        fmt::format_to(std::back_inserter(out), R"("function":{{"index":{},"name":)", number);
        append_string(out, call.name);
        out += ",\"arguments\":";
        out += arguments_object(call.arguments);
        out += "}}";
    }
    out += piece.calls.empty() ? "" : "]";
    out += chat ? "}" : "";
    if (!piece.logprobs.empty()) {
        append_logprobs(out, piece.logprobs);
    }
}

void GenerationWriter::append_context(std::string& out) const {
    std::vector<job::Message> messages = style_.conversation;
    messages.push_back({job::Role::assistant, said_, {}, {}});
    const char* mark = ",\"context\":[";
    for (const std::int32_t number : context_of(messages)) {
        fmt::format_to(std::back_inserter(out), "{}{}", mark, number);
        mark = ",";
    }
    out += ']';
}

void GenerationWriter::on_done(std::string& out, const job::Done& done) {
    end_calls(out);
    const std::int64_t now_ns = style_.clock.steady_ns();
    const std::int64_t started_ns = started_ns_ == 0 ? now_ns : started_ns_;
    std::string last;
    append_head(last, style_.model, style_.clock.unix_ns());
    append_piece(last, piece_);
    fmt::format_to(std::back_inserter(last), R"(,"done":true,"done_reason":"{}")",
                   cut_short_ ? "length" : "stop");
    if (!style_.conversation.empty()) {
        append_context(last);
    }
    fmt::format_to(std::back_inserter(last),
                   R"(,"total_duration":{},"load_duration":{},"prompt_eval_count":{},)"
                   R"("prompt_eval_duration":{},"eval_count":{},"eval_duration":{}}})",
                   now_ns - style_.began_ns, started_ns - style_.began_ns, done.usage.prompt_tokens,
                   nanoseconds(done.timings.prompt_ms), done.usage.completion_tokens,
                   nanoseconds(done.timings.predicted_ms));
    finished_ = true;
    if (style_.stream) {
        out += last;
        out += '\n';
    } else {
        body_ = std::move(last);
    }
}

class VectorsWriter final : public AnswerWriter {
public:
    explicit VectorsWriter(Style style) : style_(std::move(style)) {}

    void name_model(std::string_view /*id*/) override {}
    std::string on_event(std::size_t /*job_index*/, const job::Event& event) override {
        std::visit(Overloaded{
                       [&](const job::Started&) { started_ns_ = style_.clock.steady_ns(); },
                       [&](const job::Vectors& vectors) { vectors_ = vectors; },
                       [&](const job::Done& done) { on_done(done); },
                       [&](const job::Failed& failed) {
                           error_ = failed.error;
                           finished_ = true;
                       },
                       [](const auto&) {},
                   },
                   event);
        return {};
    }
    [[nodiscard]] bool finished() const override { return finished_; }
    [[nodiscard]] const Error* error() const override { return error_ ? &*error_ : nullptr; }
    [[nodiscard]] std::string body() const override { return body_; }
    [[nodiscard]] std::string content_type() const override { return std::string(kJsonType); }

private:
    void append_vector(const std::vector<float>& vector) {
        const char* mark = "[";
        for (const float value : vector) {
            fmt::format_to(std::back_inserter(body_), "{}{}", mark, finite(value, 0.0F));
            mark = ",";
        }
        body_ += vector.empty() ? "[]" : "]";
    }

    void on_done(const job::Done& done) {
        finished_ = true;
        if (style_.endpoint == Endpoint::embeddings) {
            body_ = "{\"embedding\":";
            append_vector(vectors_.vectors.empty() ? std::vector<float>()
                                                   : vectors_.vectors.front());
            body_ += '}';
            return;
        }
        const std::int64_t now_ns = style_.clock.steady_ns();
        body_ = "{\"model\":";
        append_string(body_, style_.model);
        body_ += ",\"embeddings\":[";
        for (const std::vector<float>& vector : vectors_.vectors) {
            body_ += &vector == vectors_.vectors.data() ? "" : ",";
            append_vector(vector);
        }
        fmt::format_to(std::back_inserter(body_),
                       R"(],"total_duration":{},"load_duration":{},"prompt_eval_count":{}}})",
                       now_ns - style_.began_ns,
                       (started_ns_ == 0 ? now_ns : started_ns_) - style_.began_ns,
                       done.usage.prompt_tokens);
    }

    Style style_;
    job::Vectors vectors_;
    std::int64_t started_ns_ = 0;
    bool finished_ = false;
    std::string body_;
    std::optional<Error> error_;
};

}  // namespace

std::unique_ptr<AnswerWriter> writer_of(Style style) {
    if (style.endpoint == Endpoint::embed || style.endpoint == Endpoint::embeddings) {
        return std::make_unique<VectorsWriter>(std::move(style));
    }
    return std::make_unique<GenerationWriter>(std::move(style));
}

void append_head(std::string& out, std::string_view model, std::int64_t now_unix_ns) {
    out += "{\"model\":";
    append_string(out, model);
    out += ",\"created_at\":\"";
    out += time_text(now_unix_ns);
    out += '"';
}

std::string loaded_body(Endpoint endpoint, std::string_view model, std::string_view reason,
                        std::int64_t now_unix_ns) {
    std::string out;
    if (endpoint == Endpoint::embeddings) {
        return R"({"embedding":[]})";
    }
    if (endpoint == Endpoint::embed) {
        out = "{\"model\":";
        append_string(out, model);
        return out + ",\"embeddings\":[]}";
    }
    append_head(out, model, now_unix_ns);
    out += endpoint == Endpoint::chat ? R"(,"message":{"role":"assistant","content":""})"
                                      : R"(,"response":"")";
    out += R"(,"done":true,"done_reason":")";
    out += reason;
    return out + "\"}";
}

}  // namespace trilane::dialect::ollama
