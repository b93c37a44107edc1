// POST /v1/audio/speech: a text → the bytes of a sound.
#include <fmt/format.h>

#include <utility>

#include "base/base64.h"
#include "dialect/body.h"
#include "dialect/openai/asks.h"
#include "dialect/openai/common_fields.h"
#include "dialect/openai/openai.h"
#include "dialect/whole_answer.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::string_view kBytesType = "application/octet-stream";

class SpeechAnswer final : public WholeAnswer {
public:
    using WholeAnswer::WholeAnswer;

    [[nodiscard]] std::string body() const override { return bytes_; }
    [[nodiscard]] std::string content_type() const override {
        return type_.empty() ? std::string(kBytesType) : type_;
    }

protected:
    Status take(const job::Event& event) override {
        if (const auto* sound = std::get_if<job::Sound>(&event)) {
            type_ = type_.empty() ? sound->type : type_;
            bytes_ += sound->bytes;
        }
        return {};
    }
    Status complete() override {
        return bytes_.empty() ? fail(Fault::internal, "the model gave no sound; see its log")
                              : Status();
    }

private:
    std::string type_;
    std::string bytes_;
};

/// The same, sent as it comes. Its type is known with the first bytes.
class SpeechStream final : public AnswerWriter {
public:
    void name_model(std::string_view /*id*/) override {}

    std::string on_event(std::size_t /*job_index*/, const job::Event& event) override {
        if (finished_) {
            return {};
        }
        if (const auto* sound = std::get_if<job::Sound>(&event)) {
            type_ = type_.empty() ? sound->type : type_;
            return sound->bytes;
        }
        if (const auto* failed = std::get_if<job::Failed>(&event)) {
            error_ = failed->error;
        }
        finished_ = error_ || std::holds_alternative<job::Done>(event);
        return {};
    }
    [[nodiscard]] bool finished() const override { return finished_; }
    [[nodiscard]] const Error* error() const override { return error_ ? &*error_ : nullptr; }
    [[nodiscard]] std::string content_type() const override {
        return type_.empty() && finished_ ? std::string(kBytesType) : type_;
    }

private:
    std::string type_;
    std::optional<Error> error_;
    bool finished_ = false;
};

/// speech.audio.delta events and speech.audio.done.
class SpeechEvents final : public AnswerWriter {
public:
    void name_model(std::string_view /*id*/) override {}

    std::string on_event(std::size_t /*job_index*/, const job::Event& event) override {
        if (finished_) {
            return {};
        }
        if (const auto* sound = std::get_if<job::Sound>(&event)) {
            return fmt::format("data: {{\"type\":\"speech.audio.delta\",\"audio\":\"{}\"}}\n\n",
                               base64_encoded(sound->bytes));
        }
        if (const auto* failed = std::get_if<job::Failed>(&event)) {
            finished_ = true;
            return "data: " + error_body(failed->error) + "\n\n";
        }
        if (const auto* done = std::get_if<job::Done>(&event)) {
            finished_ = true;
            const job::Usage& usage = done->usage;
            return fmt::format(
                "data: {{\"type\":\"speech.audio.done\",\"usage\":{{\"input_tokens\":{},"
                "\"output_tokens\":{},\"total_tokens\":{}}}}}\n\n",
                usage.prompt_tokens, usage.completion_tokens,
                std::uint64_t{usage.prompt_tokens} + usage.completion_tokens);
        }
        return {};
    }
    [[nodiscard]] bool finished() const override { return finished_; }
    [[nodiscard]] std::string content_type() const override {
        return std::string(kEventStreamType);
    }
    [[nodiscard]] std::string heartbeat() const override { return ": ping\n\n"; }

private:
    bool finished_ = false;
};

/// A name, or {"id": …}.
Result<std::string> read_voice(const Fields& fields) {
    const json::Value* voice = fields.find("voice");
    if (voice != nullptr && voice->is_object()) {
        return Fields(*voice, "voice").required_text("id", "the id of a voice");
    }
    TRILANE_TRY(const auto name, fields.text("voice"));
    return name.value_or("");
}

Result<job::Speak> read_speech(const Fields& fields) {
    job::Speak speak;
    TRILANE_TRY(speak.text, fields.required_text("input", "the text to speak"));
    if (speak.text.size() > kSpeechBytesMax) {
        return fail(Fault::invalid, "input: got {} bytes; send at most {}", speak.text.size(),
                    kSpeechBytesMax);
    }
    TRILANE_TRY(speak.voice, read_voice(fields));
    TRILANE_TRY(const auto format,
                fields.word("response_format", {"mp3", "opus", "aac", "flac", "wav", "pcm"}));
    speak.format = format.value_or("mp3");
    TRILANE_TRY(const auto speed, fields.number("speed", 0.25, 4));
    speak.speed = static_cast<float>(speed.value_or(1));
    TRILANE_TRY(const auto instructions, fields.text("instructions"));
    speak.instructions = instructions.value_or("");
    return speak;
}

}  // namespace

Result<Asked> ask_speech(std::string_view body, const Context& context) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    TRILANE_TRY(job::Request request,
                read_common(fields, ModelField::required, "speech-", context));
    TRILANE_TRY(job::Speak speak, read_speech(fields));
    TRILANE_TRY(const auto stream, fields.word("stream_format", {"audio", "sse"}));
    TRILANE_TRY_STATUS(read_extra(value,
                                  {"model", "input", "voice", "response_format", "speed",
                                   "instructions", "stream_format", "user"},
                                  request));
    Asked asked;
    asked.model = request.model;
    asked.stream = stream.has_value();
    // A client that does not ask for pieces may read slower than they come: it gets the whole file,
    // whose length it then knows.
    if (!stream) {
        asked.writer = std::make_unique<SpeechAnswer>(request.model);
    } else if (*stream == "audio") {
        asked.writer = std::make_unique<SpeechStream>();
    } else {
        asked.writer = std::make_unique<SpeechEvents>();
    }
    request.ask = std::move(speak);
    asked.jobs.push_back(std::move(request));
    return asked;
}

}  // namespace trilane::dialect::openai
