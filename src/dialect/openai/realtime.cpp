#include "dialect/openai/realtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/base64.h"
#include "base/utf8.h"
#include "dialect/fields.h"
#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::uint32_t kOpenAiRate = 24'000;
constexpr std::uint32_t kFlatRate = 16'000;
/// OpenAI's threshold is a probability. At its default, 0.5, what is as loud as the flat API's
/// default, 0.01 of full scale, is speech.
constexpr double kLevelPerThreshold = 0.02;
constexpr VoiceSettings kOpenAiVoice{0.5 * kLevelPerThreshold, 500, 300};
constexpr VoiceSettings kFlatVoice{0.01, 800, 250};
constexpr std::int64_t kSilenceMsMax = 10'000;
constexpr std::size_t kShownTypeBytesMax = 60;
constexpr std::size_t kLanguageLengthMax = 32;
constexpr std::size_t kPromptBytesMax = 4096;
constexpr std::size_t kModelBytesMax = 512;
constexpr std::size_t kEventIdBytesMax = 512;

json::Value or_null(const std::string& text) {
    return text.empty() ? json::Value() : json::Value(text);
}

/// The samples of 16 bits, little end first.
std::vector<std::int16_t> samples_of(std::string_view bytes) {
    std::vector<std::int16_t> samples(bytes.size() / 2);
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const auto low = static_cast<unsigned char>(bytes[2 * i]);
        const auto high = static_cast<unsigned char>(bytes[2 * i + 1]);
        samples[i] = static_cast<std::int16_t>(static_cast<std::uint16_t>(low | (high << 8U)));
    }
    return samples;
}

Status read_short(const Fields& fields, std::string_view name, std::size_t bytes_max,
                  std::string& into) {
    TRILANE_TRY(const auto text, fields.text(name));
    if (text && text->size() > bytes_max) {
        return fail(Fault::invalid, "{}: longer than {} bytes; send a shorter text",
                    fields.path_of(name), bytes_max);
    }
    into = text.value_or(std::move(into));
    return {};
}

}  // namespace

json::Value RealtimeSession::Settings::shown_detection() const {
    if (!voice) {
        return {};
    }
    const double threshold = openai ? voice->level / kLevelPerThreshold : voice->level;
    return {{"type", "server_vad"},
            {"threshold", threshold},
            {"prefix_padding_ms", voice->padding_ms},
            {"silence_duration_ms", voice->silence_ms}};
}

RealtimeSession::RealtimeSession(RealtimeOpening opening)
    : opening_(std::move(opening)), cutter_(kFlatRate, kFlatVoice) {
    settings_.openai = opening_.transcription || opening_.beta;
    settings_.transcription.model = opening_.model;
    settings_.rate = settings_.openai ? kOpenAiRate : kFlatRate;
    settings_.voice = settings_.openai ? kOpenAiVoice : kFlatVoice;
    cutter_ = SpeechCutter(settings_.rate, settings_.voice);
}

json::Value RealtimeSession::event_of(std::string_view type) {
    return {{"type", type},
            {"event_id", fmt::format("event_{}_{}", opening_.id_suffix, ++event_count_)}};
}

std::string RealtimeSession::new_item() {
    return fmt::format("item_{}_{}", opening_.id_suffix, ++item_count_);
}

json::Value RealtimeSession::session_object(bool beta) const {
    const json::Value transcription = {{"model", or_null(settings_.transcription.model)},
                                       {"language", or_null(settings_.transcription.language)},
                                       {"prompt", settings_.transcription.prompt}};
    json::Value session = {{"id", "sess_" + opening_.id_suffix},
                           {"object", "realtime.transcription_session"}};
    if (beta) {
        session["input_audio_format"] = "pcm16";
        session["input_audio_transcription"] = transcription;
        session["turn_detection"] = settings_.shown_detection();
        return session;
    }
    session["type"] = "transcription";
    session["model"] = or_null(settings_.transcription.model);
    session["audio"]["input"] = {{"format", {{"type", "audio/pcm"}, {"rate", settings_.rate}}},
                                 {"transcription", transcription},
                                 {"noise_reduction", nullptr},
                                 {"turn_detection", settings_.shown_detection()}};
    return session;
}

RealtimeSession::Events RealtimeSession::opened() {
    const bool beta = opening_.beta && opening_.transcription;
    json::Value event = event_of(beta ? "transcription_session.created" : "session.created");
    event["session"] = session_object(beta);
    return {json::dump(event)};
}

std::string RealtimeSession::error_event(const Error& error, std::string_view client_event_id) {
    json::Value event = event_of("error");
    // The same words as in a body, where they stand beside nothing else.
    const auto body = json::parse(error_body(error));
    event["error"] = body ? body->value("error", json::Value::object()) : json::Value::object();
    event["error"]["event_id"] =
        client_event_id.empty() ? json::Value() : json::Value(client_event_id);
    return json::dump(event);
}

RealtimeSession::Events RealtimeSession::on_binary() {
    return {error_event({Fault::invalid,
                         "the events of this API are JSON texts; send sound as base64 in "
                         "input_audio_buffer.append"},
                        {})};
}

RealtimeSession::Events RealtimeSession::on_event(std::string_view text) {
    Events out;
    const auto event = json::parse(text);
    if (!event) {
        out.push_back(error_event(event.error(), {}));
        return out;
    }
    std::string id;
    if (event->is_object() && event->contains("event_id") && (*event)["event_id"].is_string()) {
        id = (*event)["event_id"].get<std::string>();
        id = utf8_clipped(id, kEventIdBytesMax);
    }
    if (const Status status = take(*event, out); !status) {
        out.push_back(error_event(status.error(), id));
    }
    return out;
}

Status RealtimeSession::take(const json::Value& event, Events& out) {
    if (!event.is_object()) {
        return fail(Fault::invalid, "an event is a JSON object; got {}", json::type_name(event));
    }
    const Fields fields(event, "");
    TRILANE_TRY(const std::string type, fields.required_text("type", "the name of an event"));
    if (type == "input_audio_buffer.append") {
        return append(event, out);
    }
    if (type == "input_audio_buffer.commit") {
        return commit(out);
    }
    if (type == "input_audio_buffer.clear") {
        cutter_.clear();
        speaking_item_.clear();
        out.push_back(json::dump(event_of("input_audio_buffer.cleared")));
        return {};
    }
    if (type == "session.update" || type == "transcription_session.update") {
        return update(event, out);
    }
    return fail(Fault::invalid,
                "type: '{}' is not done here: this API transcribes; send session.update, or "
                "input_audio_buffer.append, .commit or .clear",
                utf8_clipped(type, kShownTypeBytesMax));
}

Status RealtimeSession::update(const json::Value& event, Events& out) {
    const Fields fields(event, "");
    TRILANE_TRY(const json::Value* session, fields.object("session"));
    if (session == nullptr) {
        return fail(Fault::invalid, "session: missing; send the object with what is to change");
    }
    const bool beta = event["type"] == "transcription_session.update";
    Settings wanted = settings_;
    if (beta || session->contains("type") || session->contains("audio") ||
        session->contains("input_audio_format")) {
        if (!wanted.openai && wanted.voice == std::optional(kFlatVoice)) {
            wanted.voice = kOpenAiVoice;
        }
        wanted.openai = true;
    }
    TRILANE_TRY_STATUS(read_settings(*session, wanted));
    if (!wanted.rate_said) {
        wanted.rate = wanted.openai ? kOpenAiRate : kFlatRate;
    }
    if (wanted.rate != cutter_.rate() && cutter_.samples() > 0) {
        return fail(Fault::invalid,
                    "format: there is sound at {} samples per second already; send "
                    "input_audio_buffer.commit or .clear before another rate",
                    cutter_.rate());
    }
    settings_ = std::move(wanted);
    cutter_.change(settings_.rate, settings_.voice);
    json::Value answer = event_of(beta ? "transcription_session.updated" : "session.updated");
    answer["session"] = session_object(beta);
    out.push_back(json::dump(answer));
    return {};
}

Status RealtimeSession::read_settings(const json::Value& session, Settings& settings) const {
    const Fields fields(session, "session");
    TRILANE_TRY(const auto type, fields.word("type", {"transcription", "realtime"}));
    // A conversation's own model is not the one that listens.
    if (type.value_or("") != "realtime") {
        TRILANE_TRY_STATUS(
            read_short(fields, "model", kModelBytesMax, settings.transcription.model));
    }
    TRILANE_TRY_STATUS(
        read_short(fields, "language", kLanguageLengthMax, settings.transcription.language));
    TRILANE_TRY(const auto format, fields.word("input_audio_format", {"pcm16"}));
    if (format) {
        settings.rate = kOpenAiRate;
        settings.rate_said = true;
    }
    TRILANE_TRY(const json::Value* transcription, fields.object("input_audio_transcription"));
    if (transcription != nullptr) {
        TRILANE_TRY_STATUS(
            read_transcription(*transcription, "session.input_audio_transcription", settings));
    }
    if (session.contains("turn_detection")) {
        TRILANE_TRY_STATUS(
            read_detection(session["turn_detection"], "session.turn_detection", settings));
    }
    TRILANE_TRY(const json::Value* audio, fields.object("audio"));
    if (audio != nullptr) {
        TRILANE_TRY(const json::Value* input, Fields(*audio, "session.audio").object("input"));
        if (input != nullptr) {
            TRILANE_TRY_STATUS(read_input(*input, settings));
        }
    }
    return {};
}

Status RealtimeSession::read_input(const json::Value& input, Settings& settings) {
    const Fields fields(input, "session.audio.input");
    TRILANE_TRY(const json::Value* format, fields.object("format"));
    if (format != nullptr) {
        const Fields of(*format, "session.audio.input.format");
        TRILANE_TRY(const auto type, of.word("type", {"audio/pcm"}));
        TRILANE_TRY(const auto rate, of.integer("rate", kRealtimeRateMin, kRealtimeRateMax));
        settings.rate = static_cast<std::uint32_t>(rate.value_or(kOpenAiRate));
        settings.rate_said = true;
    }
    TRILANE_TRY(const json::Value* transcription, fields.object("transcription"));
    if (transcription != nullptr) {
        TRILANE_TRY_STATUS(
            read_transcription(*transcription, "session.audio.input.transcription", settings));
    }
    if (input.contains("turn_detection")) {
        TRILANE_TRY_STATUS(read_detection(input["turn_detection"],
                                          "session.audio.input.turn_detection", settings));
    }
    return {};
}

Status RealtimeSession::read_transcription(const json::Value& object, std::string path,
                                           Settings& settings) {
    const Fields fields(object, std::move(path));
    Transcription& into = settings.transcription;
    TRILANE_TRY_STATUS(read_short(fields, "model", kModelBytesMax, into.model));
    TRILANE_TRY_STATUS(read_short(fields, "language", kLanguageLengthMax, into.language));
    return read_short(fields, "prompt", kPromptBytesMax, into.prompt);
}

Status RealtimeSession::read_detection(const json::Value& value, const std::string& path,
                                       Settings& settings) {
    if (value.is_null()) {
        settings.voice.reset();
        return {};
    }
    if (!value.is_object()) {
        return refuse(path, value, "an object, or null to cut turns yourself");
    }
    const Fields fields(value, path);
    TRILANE_TRY(const auto type, fields.word("type", {"server_vad"}));
    const bool openai = settings.openai || type.has_value();
    VoiceSettings voice = openai ? kOpenAiVoice : kFlatVoice;
    TRILANE_TRY(const auto threshold, fields.number("threshold", 0, 1));
    if (threshold) {
        voice.level = openai ? *threshold * kLevelPerThreshold : *threshold;
    }
    TRILANE_TRY(const auto silence, fields.integer("silence_duration_ms", 0, kSilenceMsMax));
    TRILANE_TRY(const auto padding, fields.integer("prefix_padding_ms", 0, kSilenceMsMax));
    voice.silence_ms = static_cast<std::uint32_t>(silence.value_or(voice.silence_ms));
    voice.padding_ms = static_cast<std::uint32_t>(padding.value_or(voice.padding_ms));
    settings.voice = voice;
    return {};
}

std::size_t RealtimeSession::waiting_samples() const {
    std::size_t samples = 0;
    for (const RealtimeTurn& turn : waiting_) {
        samples += turn.samples.size();
    }
    return samples;
}

Status RealtimeSession::append(const json::Value& event, Events& out) {
    const Fields fields(event, "");
    TRILANE_TRY(const auto audio, fields.text("audio"));
    const auto bytes = audio ? base64_decoded(*audio) : std::nullopt;
    if (!bytes || bytes->size() % 2 != 0) {
        return fail(Fault::invalid, "audio: send samples of 16 bits, little end first, as base64");
    }
    const std::vector<std::int16_t> samples = samples_of(*bytes);
    if (waiting_samples() + cutter_.samples() + samples.size() > kRealtimeSamplesMax ||
        waiting_.size() >= kRealtimeTurnsMax) {
        return fail(Fault::exhausted,
                    "{} turns wait to be transcribed already; send sound no faster than it is "
                    "heard",
                    waiting_.size());
    }
    std::vector<SpeechBorder> borders;
    if (!cutter_.push(samples, borders)) {
        return fail(Fault::exhausted,
                    "the turn has {} s of sound; send input_audio_buffer.commit or .clear before "
                    "more",
                    cutter_.samples() / cutter_.rate());
    }
    return tell(borders, out);
}

Status RealtimeSession::tell(std::vector<SpeechBorder>& borders, Events& out) {
    std::size_t dropped = 0;
    for (SpeechBorder& border : borders) {
        if (border.started) {
            speaking_item_ = new_item();
        }
        json::Value answer = event_of(border.started ? "input_audio_buffer.speech_started"
                                                     : "input_audio_buffer.speech_stopped");
        answer[border.started ? "audio_start_ms" : "audio_end_ms"] = border.at_ms;
        answer["item_id"] = speaking_item_;
        out.push_back(json::dump(answer));
        if (border.started) {
            continue;
        }
        std::string item = std::exchange(speaking_item_, {});
        if (waiting_.size() < kRealtimeTurnsMax) {
            cut(std::move(item), std::move(border.turn), out);
        } else {
            ++dropped;
        }
    }
    if (dropped > 0) {
        return fail(Fault::exhausted,
                    "{} turns wait to be transcribed already, and {} more were dropped; send sound "
                    "no faster than it is heard",
                    waiting_.size(), dropped);
    }
    return {};
}

Status RealtimeSession::commit(Events& out) {
    const std::size_t samples_min = std::size_t{cutter_.rate()} * kTurnMsMin / 1000;
    if (cutter_.voice() && !cutter_.speaking()) {
        return fail(Fault::invalid,
                    "there is no speech to commit: what was silent is dropped, and what was spoken "
                    "has been committed; set turn_detection to null to cut turns yourself");
    }
    if (cutter_.samples() < samples_min) {
        return fail(Fault::invalid, "there are {} ms of sound to commit; send at least {}",
                    cutter_.samples() * 1000 / cutter_.rate(), kTurnMsMin);
    }
    if (waiting_.size() >= kRealtimeTurnsMax) {
        return fail(Fault::exhausted, "{} turns wait to be transcribed already; wait for some",
                    waiting_.size());
    }
    std::string item = std::exchange(speaking_item_, {});
    cut(item.empty() ? new_item() : std::move(item), cutter_.take(), out);
    return {};
}

void RealtimeSession::cut(std::string item_id, std::vector<std::int16_t> samples, Events& out) {
    json::Value event = event_of("input_audio_buffer.committed");
    event["previous_item_id"] = or_null(last_item_);
    event["item_id"] = item_id;
    out.push_back(json::dump(event));
    last_item_ = item_id;
    const Transcription& as = settings_.transcription;
    const double seconds = static_cast<double>(samples.size()) / cutter_.rate();
    waiting_.push_back({std::move(item_id), cutter_.rate(), std::move(samples), seconds, as.model,
                        as.language, as.prompt});
}

std::optional<RealtimeTurn> RealtimeSession::next_turn() {
    if (waiting_.empty()) {
        return std::nullopt;
    }
    RealtimeTurn turn = std::move(waiting_.front());
    waiting_.pop_front();
    heard_ = {};
    return turn;
}

RealtimeSession::Events RealtimeSession::on_answer(const RealtimeTurn& turn,
                                                   const job::Event& event) {
    const auto answer = [&](std::string_view kind) {
        json::Value out =
            event_of(fmt::format("conversation.item.input_audio_transcription.{}", kind));
        out["item_id"] = turn.item_id;
        out["content_index"] = 0;
        return out;
    };
    Events out;
    if (const auto* segment = std::get_if<job::Segment>(&event)) {
        heard_.segments.push_back(*segment);
        json::Value delta = answer("delta");
        delta["delta"] = segment->text;
        out.push_back(json::dump(delta));
    } else if (const auto* transcript = std::get_if<job::Transcript>(&event)) {
        heard_.transcript = *transcript;
    } else if (const auto* failed = std::get_if<job::Failed>(&event)) {
        json::Value failure = answer("failed");
        const auto body = json::parse(error_body(failed->error));
        failure["error"] = body ? body->value("error", json::Value()) : json::Value();
        out.push_back(json::dump(failure));
    } else if (std::holds_alternative<job::Done>(event)) {
        const std::string text = heard_.text();
        if (heard_.segments.empty() && !text.empty()) {
            json::Value delta = answer("delta");
            delta["delta"] = text;
            out.push_back(json::dump(delta));
        }
        json::Value done = answer("completed");
        done["transcript"] = text;
        done["usage"] = {{"type", "duration"}, {"seconds", turn.seconds}};
        out.push_back(json::dump(done));
    }
    return out;
}

}  // namespace trilane::dialect::openai
