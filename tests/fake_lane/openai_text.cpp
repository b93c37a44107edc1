#include "openai_text.h"

#include <fmt/format.h>

#include <ctime>
#include <iterator>

#include "json/text.h"

namespace trilane::fake_lane {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

double rate(std::int64_t tokens, double took_ms) {
    return took_ms <= 0 ? 0.0 : static_cast<double>(tokens) * 1000.0 / took_ms;
}

void append_logprob(std::string& out, std::string_view token) {
    out += "{\"id\":0,\"token\":\"";
    json::append_escaped(out, token);
    out += "\",\"bytes\":[";
    for (std::size_t i = 0; i < token.size(); ++i) {
        fmt::format_to(std::back_inserter(out), "{}{}", i > 0 ? "," : "",
                       static_cast<unsigned char>(token[i]));
    }
    out += "],\"logprob\":-0.25,\"top_logprobs\":[]}";
}

/// The writing of one answer. Lives on the stack of its request.
class Writing {
public:
    Writing(Exchange& exchange, const Asked& asked, const Answer& answer, const OpenAiShape& shape,
            bool chat)
        : exchange_(exchange), asked_(asked), answer_(answer), shape_(shape), chat_(chat) {
        number_ = ++exchange.world.answer_numbers;
        tail_ = fmt::format(",\"created\":{},\"id\":\"{}-{:08x}\",\"model\":{},\"object\":\"{}\"{}",
                            std::time(nullptr), chat ? "chatcmpl" : "cmpl", number_, shape.model,
                            object(),
                            shape.with_timings ? ",\"system_fingerprint\":\"b6123-fake\"" : "");
    }

    void whole(Slot* slot) {
        const Clock::time_point began = Clock::now();
        if (!read_prompt(exchange_, answer_)) {
            return;
        }
        const Clock::time_point read = Clock::now();
        if (!decode(exchange_, answer_, slot, [](std::int64_t) {})) {
            return;
        }
        std::string body = "{\"choices\":[";
        for (std::int64_t i = 0; i < asked_.choices; ++i) {
            body += i > 0 ? "," : "";
            append_choice(body, i);
        }
        body += "]";
        body += tail_;
        append_usage(body);
        append_timings(body, read - began, Clock::now() - read);
        body += "}";
        exchange_.reply(200, kJson, body);
    }

    void streamed(Slot* slot) {
        const Clock::time_point began = Clock::now();
        if (exchange_.behaviour().sse_ping_ms > 0 && exchange_.behaviour().prompt_tps > 0) {
            exchange_.begin_stream(kEventStream);
        }
        if (!read_prompt(exchange_, answer_)) {
            return;
        }
        exchange_.begin_stream(kEventStream);
        const Clock::time_point read = Clock::now();
        if (chat_) {
            for (std::int64_t i = 0; i < asked_.choices; ++i) {
                event(i, "\"delta\":{\"role\":\"assistant\",\"content\":null}", "null", {});
            }
        }
        const bool whole = decode(exchange_, answer_, slot, [this](std::int64_t i) {
            for (std::int64_t choice = 0; choice < asked_.choices; ++choice) {
                token_event(choice, answer_.piece(i));
            }
        });
        if (whole) {
            end_stream(read - began, Clock::now() - read);
        }
    }

private:
    [[nodiscard]] std::string_view object() const {
        if (!chat_) {
            return "text_completion";
        }
        return asked_.stream ? "chat.completion.chunk" : "chat.completion";
    }

    [[nodiscard]] std::string_view finish() const {
        if (!answer_.calls.empty()) {
            return "\"tool_calls\"";
        }
        return answer_.cut ? "\"length\"" : "\"stop\"";
    }

    [[nodiscard]] std::string call_id(std::int64_t choice, std::size_t call) const {
        return fmt::format("call_{:08x}_{}_{}", number_, choice, call);
    }

    void append_choice(std::string& out, std::int64_t index) const {
        fmt::format_to(std::back_inserter(out), "{{\"finish_reason\":{},\"index\":{},", finish(),
                       index);
        if (chat_) {
            append_message(out, index);
        } else {
            out += "\"text\":\"";
            json::append_escaped(out, answer_.text);
            out += "\"";
        }
        append_logprobs(out);
        out += "}";
    }

    void append_message(std::string& out, std::int64_t choice) const {
        out += "\"message\":{\"role\":\"assistant\",";
        if (!answer_.reasoning.empty()) {
            out += "\"reasoning_content\":\"";
            json::append_escaped(out, answer_.reasoning);
            out += "\",";
        }
        if (answer_.calls.empty()) {
            out += "\"content\":\"";
            json::append_escaped(out, answer_.text);
            out += "\"}";
            return;
        }
        out += "\"content\":null,\"tool_calls\":[";
        for (std::size_t i = 0; i < answer_.calls.size(); ++i) {
            fmt::format_to(std::back_inserter(out),
                           "{}{{\"id\":\"{}\",\"type\":\"function\",\"function\":{{\"name\":{},"
                           "\"arguments\":{}}}}}",
                           i > 0 ? "," : "", call_id(choice, i), json_string(answer_.calls[i].name),
                           json_string(answer_.calls[i].arguments));
        }
        out += "]}";
    }

    void append_logprobs(std::string& out) const {
        if (!asked_.logprobs) {
            return;
        }
        out += ",\"logprobs\":{\"content\":[";
        bool first = true;
        for (std::int64_t i = 0; i < answer_.tokens(); ++i) {
            const Piece piece = answer_.piece(i);
            if (piece.kind == Piece::Kind::text) {
                out += first ? "" : ",";
                append_logprob(out, piece.text);
                first = false;
            }
        }
        out += "]}";
    }

    void append_usage(std::string& out) const {
        const std::int64_t completion = answer_.tokens() * asked_.choices;
        fmt::format_to(std::back_inserter(out),
                       ",\"usage\":{{\"completion_tokens\":{},\"prompt_tokens\":{},"
                       "\"total_tokens\":{},\"prompt_tokens_details\":{{\"cached_tokens\":{}}}}}",
                       completion, answer_.prompt_tokens, completion + answer_.prompt_tokens,
                       answer_.cached_tokens);
    }

    void append_timings(std::string& out, Milliseconds prompt, Milliseconds predicted) const {
        if (!shape_.with_timings) {
            return;
        }
        const std::int64_t read = answer_.prompt_tokens - answer_.cached_tokens;
        const std::int64_t written = answer_.tokens();
        const double prompt_ms = prompt.count();
        const double predicted_ms = predicted.count();
        fmt::format_to(std::back_inserter(out),
                       ",\"timings\":{{\"cache_n\":{},\"prompt_n\":{},\"prompt_ms\":{:.3f},"
                       "\"prompt_per_token_ms\":{:.5f},\"prompt_per_second\":{:.3f},"
                       "\"predicted_n\":{},\"predicted_ms\":{:.3f},"
                       "\"predicted_per_token_ms\":{:.5f},\"predicted_per_second\":{:.3f}}}",
                       answer_.cached_tokens, read, prompt_ms,
                       read > 0 ? prompt_ms / static_cast<double>(read) : 0.0,
                       rate(read, prompt_ms), written, predicted_ms,
                       written > 0 ? predicted_ms / static_cast<double>(written) : 0.0,
                       rate(written, predicted_ms));
    }

    /// One event of one choice. `fields` is what the choice holds beside index and finish_reason.
    void event(std::int64_t choice, std::string_view fields, std::string_view finish_reason,
               std::string_view after) {
        event_.clear();
        fmt::format_to(std::back_inserter(event_),
                       "data: {{\"choices\":[{{\"finish_reason\":{},\"index\":{},{}}}]",
                       finish_reason, choice, fields);
        event_ += tail_;
        event_ += after;
        event_ += "}\n\n";
        exchange_.chunk(event_);
    }

    void token_event(std::int64_t choice, const Piece& piece) {
        std::string fields = chat_ ? "\"delta\":{" : "";
        switch (piece.kind) {
            case Piece::Kind::text:
                fields += chat_ ? "\"content\":\"" : "\"text\":\"";
                json::append_escaped(fields, piece.text);
                fields += "\"";
                break;
            case Piece::Kind::reasoning:
                fields += chat_ ? "\"reasoning_content\":\"" : "\"text\":\"";
                json::append_escaped(fields, piece.text);
                fields += "\"";
                break;
            case Piece::Kind::call_name:
                fields += fmt::format(
                    "\"tool_calls\":[{{\"index\":{},\"id\":\"{}\",\"type\":\"function\","
                    "\"function\":{{\"name\":{},\"arguments\":\"\"}}}}]",
                    piece.call, call_id(choice, piece.call), json_string(piece.text));
                break;
            case Piece::Kind::call_arguments:
                fields += fmt::format(
                    "\"tool_calls\":[{{\"index\":{},\"function\":{{\"arguments\":{}}}}}]",
                    piece.call, json_string(piece.text));
                break;
        }
        fields += chat_ ? "}" : "";
        if (asked_.logprobs && piece.kind == Piece::Kind::text) {
            fields += ",\"logprobs\":{\"content\":[";
            append_logprob(fields, piece.text);
            fields += "]}";
        }
        event(choice, fields, "null", {});
    }

    void end_stream(Milliseconds prompt, Milliseconds predicted) {
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
        std::string timings;
        append_timings(timings, prompt, predicted);
        for (std::int64_t i = 0; i < asked_.choices; ++i) {
            const bool last = i + 1 == asked_.choices;
            event(i, chat_ ? "\"delta\":{}" : "\"text\":\"\"", finish(),
                  last && !asked_.include_usage ? timings : std::string_view());
        }
        if (asked_.include_usage) {
            event_ = "data: {\"choices\":[]";
            event_ += tail_;
            append_usage(event_);
            event_ += timings;
            event_ += "}\n\n";
            exchange_.chunk(event_);
        }
        if (end == StreamEnd::done) {
            exchange_.chunk("data: [DONE]\n\n");
        }
        exchange_.end_stream();
    }

    Exchange& exchange_;
    const Asked& asked_;
    const Answer& answer_;
    const OpenAiShape& shape_;
    bool chat_;
    std::uint64_t number_ = 0;
    std::string tail_;
    std::string event_;
};

std::string_view error_type(unsigned status) {
    switch (status) {
        case 400:
            return "invalid_request_error";
        case 401:
            return "authentication_error";
        case 404:
            return "not_found_error";
        case 429:
            return "rate_limit_error";
        case 501:
            return "not_supported_error";
        case 503:
            return "unavailable_error";
        default:
            return "server_error";
    }
}

}  // namespace

std::string json_string(std::string_view text) {
    std::string out = "\"";
    json::append_escaped(out, text);
    out += "\"";
    return out;
}

std::string openai_error(unsigned status, std::string_view message, bool as_string) {
    if (as_string) {
        return fmt::format("{{\"error\":{}}}", json_string(message));
    }
    return fmt::format("{{\"error\":{{\"code\":{},\"message\":{},\"type\":\"{}\"}}}}", status,
                       json_string(message), error_type(status));
}

void answer_openai(Exchange& exchange, const Asked& asked, const Answer& answer,
                   const OpenAiShape& shape, bool chat, Slot* slot) {
    Writing writing(exchange, asked, answer, shape, chat);
    if (asked.stream) {
        writing.streamed(slot);
    } else {
        writing.whole(slot);
    }
}

}  // namespace trilane::fake_lane
