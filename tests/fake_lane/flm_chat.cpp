#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <iterator>

#include "flm.h"
#include "json/json.h"
#include "openai_text.h"

namespace trilane::fake_lane {
namespace {

constexpr std::string_view kId = "fastflowlm-chat-completion";

/// What FLM divides without looking: a JSON library writes inf and NaN as null.
json::Value divided(double a, double b, bool null_usage) {
    if (b == 0 && !null_usage) {
        return 0.0;
    }
    const double quotient = a / b;
    return std::isfinite(quotient) ? json::Value(quotient) : json::Value(nullptr);
}

double seconds(std::int64_t tokens, double tps) {
    return tps > 0 ? static_cast<double>(tokens) / tps : 0.0;
}

}  // namespace

void answer_flm_error(Exchange& exchange, unsigned code, std::string_view message, bool as_string) {
    const bool hides = exchange.script().has_quirk("error_status") && code != 400;
    exchange.reply(hides ? 200 : code, "application/json", openai_error(code, message, as_string));
}

FlmWriting::FlmWriting(Exchange& exchange, FlmCounters& counters, const FlmModel& model,
                       std::int64_t context_tokens, Shape shape)
    : exchange_(exchange),
      counters_(counters),
      model_(model),
      context_tokens_(context_tokens),
      shape_(shape) {}

bool FlmWriting::is_ollama() const {
    return shape_ == Shape::ollama_chat || shape_ == Shape::ollama_generate;
}

std::string_view FlmWriting::finish(const Answer& answer) const {
    if (!answer.calls.empty()) {
        return "\"tool_calls\"";
    }
    const bool honest = !exchange_.script().has_quirk("finish_reason");
    return answer.cut && honest ? "\"length\"" : "\"stop\"";
}

std::string FlmWriting::usage(const Answer& answer) const {
    const Behaviour& behaviour = exchange_.behaviour();
    const bool nulls = exchange_.script().has_quirk("null_usage");
    const std::int64_t prompt = answer.prompt_tokens;
    const std::int64_t written = answer.tokens();
    const double prefill_s = seconds(prompt, behaviour.prompt_tps);
    const double decode_s = seconds(written, behaviour.decode_tps);
    const auto total = static_cast<double>(prompt + written);
    return json::dump(
        {{"prompt_tokens", prompt},
         {"completion_tokens", written},
         {"total_tokens", prompt + written},
         {"kv_token_occupancy_rate_percentage",
          100.0 * total / static_cast<double>(context_tokens_)},
         {"load_duration", 0.0},
         {"prefill_duration_ttft", prefill_s},
         {"decoding_duration", decode_s},
         {"prefill_speed_tps", divided(static_cast<double>(prompt), prefill_s, nulls)},
         {"decoding_speed_tps", divided(static_cast<double>(written), decode_s, nulls)}});
}

std::string FlmWriting::call(const ToolCall& call) {
    const std::int64_t index =
        exchange_.script().has_quirk("tool_index") ? counters_.tool_index++ : 0;
    return fmt::format(
        "\"tool_calls\":[{{\"index\":{},\"id\":\"call_{}\",\"type\":\"function\","
        "\"function\":{{\"name\":{},\"arguments\":{}}}}}]",
        index, std::time(nullptr), json_string(call.name), json_string(call.arguments));
}

std::string FlmWriting::message(const Answer& answer) {
    std::string text = "{\"role\":\"assistant\"";
    if (!answer.reasoning.empty()) {
        text += fmt::format(",\"reasoning_content\":{}", json_string(answer.reasoning));
    }
    if (answer.calls.empty()) {
        text += fmt::format(",\"content\":{}", json_string(answer.text));
    } else {
        text += "," + call(answer.calls.front());
    }
    return text + "}";
}

std::string FlmWriting::ollama(const Answer& answer, std::string_view text, bool done) const {
    json::Value line = {{"model", model_.tag}, {"created_at", "2026-01-01T00:00:00.000000Z"}};
    if (shape_ == Shape::ollama_chat) {
        line["message"] = {{"role", "assistant"}, {"content", text}};
    } else {
        line["response"] = text;
    }
    line["done"] = done;
    if (done) {
        const Behaviour& behaviour = exchange_.behaviour();
        const auto ns = [](double s) { return static_cast<std::int64_t>(s * 1e9); };
        line["done_reason"] = "stop";
        line["prompt_eval_count"] = answer.prompt_tokens;
        line["prompt_eval_duration"] = ns(seconds(answer.prompt_tokens, behaviour.prompt_tps));
        line["eval_count"] = answer.tokens();
        line["eval_duration"] = ns(seconds(answer.tokens(), behaviour.decode_tps));
        line["total_duration"] = line["eval_duration"];
        line["load_duration"] = 1'000'000'000;
    }
    return json::dump(line);
}

void FlmWriting::whole(const Answer& answer, Slot* slot) {
    if (!read_prompt(exchange_, answer) || !decode(exchange_, answer, slot, [](std::int64_t) {})) {
        return;
    }
    if (is_ollama()) {
        exchange_.reply(200, "application/json", ollama(answer, answer.text, true));
        return;
    }
    const bool chat = shape_ == Shape::chat;
    const std::string choice = chat ? "\"message\":" + message(answer)
                                    : fmt::format("\"text\":{}", json_string(answer.text));
    exchange_.reply(
        200, "application/json",
        fmt::format("{{\"id\":\"{}\",\"object\":\"{}\",\"created\":{},\"model\":{},\"choices\":[{{"
                    "\"index\":0,{},\"finish_reason\":{}}}],\"usage\":{},"
                    "\"service_tier\":\"default\"}}",
                    kId, chat ? "chat.completion" : "text_completion", std::time(nullptr),
                    json_string(model_.tag), choice, finish(answer), usage(answer)));
}

void FlmWriting::event(std::string_view delta, std::string_view finish_reason,
                       std::string_view after) {
    const bool chat = shape_ == Shape::chat;
    event_.clear();
    fmt::format_to(std::back_inserter(event_),
                   "data: {{\"id\":\"{}\",\"object\":\"{}\",\"created\":{},\"model\":{},"
                   "\"choices\":[{{\"index\":0,{},\"finish_reason\":{}}}]{}}}\n\n",
                   kId, chat ? "chat.completion.chunk" : "text_completion", std::time(nullptr),
                   json_string(model_.tag), delta, finish_reason, after);
    exchange_.chunk(event_);
}

void FlmWriting::token(const Answer& answer, std::int64_t i) {
    const Piece piece = answer.piece(i);
    if (is_ollama()) {
        exchange_.chunk(ollama(answer, piece.text, false) + "\n");
        return;
    }
    if (shape_ == Shape::text) {
        event(fmt::format("\"text\":{}", json_string(piece.text)), "null", {});
        return;
    }
    switch (piece.kind) {
        case Piece::Kind::text:
            event(fmt::format("\"delta\":{{\"role\":\"assistant\",\"content\":{}}}",
                              json_string(piece.text)),
                  "null", {});
            break;
        case Piece::Kind::reasoning:
            event(fmt::format("\"delta\":{{\"role\":\"assistant\",\"reasoning_content\":{}}}",
                              json_string(piece.text)),
                  "null", {});
            break;
        case Piece::Kind::call_name:
            break;  // FLM parses the whole call before it sends any of it.
        case Piece::Kind::call_arguments:
            event(fmt::format("\"delta\":{{\"role\":\"assistant\",{}}}",
                              call(answer.calls[piece.call])),
                  "null", {});
            break;
    }
}

void FlmWriting::end(const Answer& answer) {
    const StreamEnd end = exchange_.behaviour().stream_end;
    if (end == StreamEnd::silence) {
        exchange_.hang();
        return;
    }
    if (end == StreamEnd::eof || end == StreamEnd::reset) {
        exchange_.flush();
        exchange_.cut(end == StreamEnd::reset);
        return;
    }
    if (is_ollama()) {
        exchange_.chunk(ollama(answer, "", true) + "\n");
    } else {
        event(shape_ == Shape::chat ? "\"delta\":{\"content\":null}" : "\"text\":\"\"",
              finish(answer), ",\"usage\":" + usage(answer));
        if (end == StreamEnd::done) {
            exchange_.chunk("data: [DONE]\n\n");
        }
    }
    exchange_.end_stream();
}

void FlmWriting::streamed(const Answer& answer, Slot* slot) {
    if (!read_prompt(exchange_, answer)) {
        return;
    }
    exchange_.begin_stream(kEventStream);
    if (decode(exchange_, answer, slot, [&](std::int64_t i) { token(answer, i); })) {
        end(answer);
    }
}

}  // namespace trilane::fake_lane
