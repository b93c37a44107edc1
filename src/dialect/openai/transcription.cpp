// POST /v1/audio/transcriptions and translations: a form with a sound → its text.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dialect/fields.h"
#include "dialect/openai/asks.h"
#include "dialect/openai/common_fields.h"
#include "dialect/openai/form.h"
#include "dialect/openai/openai.h"
#include "dialect/openai/transcript.h"
#include "dialect/whole_answer.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::size_t kLanguageBytesMax = 32;

class TranscriptAnswer final : public WholeAnswer {
public:
    TranscriptAnswer(std::string model, TranscriptWishes wishes)
        : WholeAnswer(std::move(model)), wishes_(std::move(wishes)) {}

    [[nodiscard]] std::string body() const override { return transcript_body(heard_, wishes_); }
    [[nodiscard]] std::string content_type() const override {
        if (wishes_.format == "text" || wishes_.format == "srt") {
            return "text/plain; charset=utf-8";
        }
        return std::string(wishes_.format == "vtt" ? "text/vtt; charset=utf-8" : kJsonType);
    }

protected:
    Status take(const job::Event& event) override {
        if (const auto* segment = std::get_if<job::Segment>(&event)) {
            heard_.segments.push_back(*segment);
        } else if (const auto* transcript = std::get_if<job::Transcript>(&event)) {
            heard_.transcript = *transcript;
        }
        return {};
    }

private:
    const TranscriptWishes wishes_;
    Heard heard_;
};

/// Segments as they are heard: transcript.text.delta, and transcript.text.done at the end.
class TranscriptStream final : public AnswerWriter {
public:
    void name_model(std::string_view /*id*/) override {}

    std::string on_event(std::size_t /*job_index*/, const job::Event& event) override {
        if (finished_) {
            return {};
        }
        std::string out;
        if (const auto* segment = std::get_if<job::Segment>(&event)) {
            heard_.segments.push_back(*segment);
            out = R"(data: {"type":"transcript.text.delta","delta":)";
            json::append_string(out, segment->text);
            out += "}\n\n";
        } else if (const auto* transcript = std::get_if<job::Transcript>(&event)) {
            heard_.transcript = *transcript;
        } else if (const auto* failed = std::get_if<job::Failed>(&event)) {
            out = "data: " + error_body(failed->error) + "\n\n";
            finished_ = true;
        } else if (std::holds_alternative<job::Done>(event)) {
            out = R"(data: {"type":"transcript.text.done","text":)";
            json::append_string(out, heard_.text());
            out += "}\n\n";  // usage is of tokens here, and none are known
            finished_ = true;
        }
        return out;
    }
    [[nodiscard]] bool finished() const override { return finished_; }
    [[nodiscard]] std::string content_type() const override {
        return std::string(kEventStreamType);
    }
    [[nodiscard]] std::string heartbeat() const override { return ": ping\n\n"; }

private:
    Heard heard_;
    bool finished_ = false;
};

Result<job::Media> read_sound(const Form& form, job::Transcribe& transcribe) {
    const auto file = std::ranges::find(form.files, "file", &FormPart::name);
    if (file == form.files.end()) {
        return fail(Fault::invalid,
                    "file: missing; send the sound as a file of a multipart/form-data body");
    }
    if (file->content.empty()) {
        return fail(Fault::invalid, "file: got an empty file; send a sound");
    }
    transcribe.file_name = file->file_name;
    return media_of_file(job::Media::Kind::audio, *file);
}

Status read_granularities(const Fields& fields, TranscriptWishes& wishes) {
    const json::Value* list = fields.find("timestamp_granularities");
    if (list == nullptr) {
        return {};
    }
    wishes.with_segments = false;
    const json::Value one = list->is_array() ? *list : json::Value::array({*list});
    for (const json::Value& word : one) {
        if (word == "segment") {
            wishes.with_segments = true;
        } else if (word == "word") {
            wishes.with_words = true;
        } else {
            return refuse("timestamp_granularities", word, "\"segment\" and \"word\"");
        }
    }
    return {};
}

Status read_details(const Fields& fields, job::Transcribe& transcribe, TranscriptWishes& wishes) {
    TRILANE_TRY(const auto language, fields.text("language"));
    if (language && language->size() > kLanguageBytesMax) {
        return refuse("language", json::Value(*language), "a code such as \"en\"");
    }
    transcribe.language = transcribe.translate ? "" : language.value_or("");
    TRILANE_TRY(const auto prompt, fields.text("prompt"));
    transcribe.prompt = prompt.value_or("");
    TRILANE_TRY(const auto temperature, fields.number("temperature", 0, 2));
    if (temperature) {
        transcribe.temperature = static_cast<float>(*temperature);
        wishes.temperature = *temperature;
    }
    TRILANE_TRY(const auto format,
                fields.word("response_format", {"json", "text", "verbose_json", "srt", "vtt"}));
    wishes.format = format.value_or("json");
    wishes.translate = transcribe.translate;
    TRILANE_TRY_STATUS(read_granularities(fields, wishes));
    transcribe.word_times = wishes.with_words;
    return {};
}

}  // namespace

Result<Asked> ask_transcription(std::string_view content_type, std::string_view body,
                                const Context& context, bool translate) {
    TRILANE_TRY(const Form form, read_form(content_type, body));
    const Fields fields(form.fields, "");
    TRILANE_TRY(job::Request request, read_common(fields, ModelField::required, "audio-", context));
    job::Transcribe transcribe;
    transcribe.translate = translate;
    TRILANE_TRY(transcribe.sound, read_sound(form, transcribe));
    TranscriptWishes wishes;
    TRILANE_TRY_STATUS(read_details(fields, transcribe, wishes));
    TRILANE_TRY(const auto stream, fields.boolean("stream"));
    TRILANE_TRY_STATUS(read_extra(form.fields,
                                  {"model", "language", "prompt", "temperature", "response_format",
                                   "timestamp_granularities", "stream", "user"},
                                  request));
    Asked asked;
    asked.model = request.model;
    asked.stream = stream.value_or(false);
    if (asked.stream && wishes.format != "json" && wishes.format != "text") {
        return fail(Fault::invalid,
                    "response_format: got \"{}\" with stream; send \"json\", or leave stream out",
                    wishes.format);
    }
    if (asked.stream) {
        asked.writer = std::make_unique<TranscriptStream>();
    } else {
        asked.writer = std::make_unique<TranscriptAnswer>(request.model, std::move(wishes));
    }
    request.ask = std::move(transcribe);
    asked.jobs.push_back(std::move(request));
    return asked;
}

}  // namespace trilane::dialect::openai
