// For tests: what servers send, as they send it, and events as lines of text.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "job/job.h"
#include "lane/upstream/answer_reader.h"

namespace trilane::lane::upstream {

inline std::string described(const std::vector<job::LogprobEntry>& entries) {
    std::string out;
    for (const job::LogprobEntry& entry : entries) {
        out += fmt::format(" [{} {} {:.2f}", entry.chosen.id, entry.chosen.bytes,
                           entry.chosen.logprob);
        for (const job::TokenLogprob& top : entry.top) {
            out += fmt::format(" | {} {} {:.2f}", top.id, top.bytes, top.logprob);
        }
        out += ']';
    }
    return out;
}

inline std::string_view described(job::FinishReason reason) {
    switch (reason) {
        case job::FinishReason::stop:
            return "stop";
        case job::FinishReason::length:
            return "length";
        case job::FinishReason::tool_calls:
            return "tool_calls";
        case job::FinishReason::cancelled:
            break;
    }
    return "cancelled";
}

inline std::string described(const job::Event& event) {
    if (const auto* started = std::get_if<job::Started>(&event)) {
        return fmt::format("started {}", started->prompt_tokens);
    }
    if (const auto* text = std::get_if<job::Text>(&event)) {
        return fmt::format("{} {} '{}'{}", text->reasoning ? "thought" : "text", text->choice,
                           text->text, described(text->logprobs));
    }
    if (const auto* call = std::get_if<job::ToolCallPiece>(&event)) {
        return fmt::format("call {}.{} id={} name={} '{}'", call->choice, call->index, call->id,
                           call->name, call->arguments);
    }
    if (const auto* end = std::get_if<job::ChoiceEnd>(&event)) {
        return fmt::format("end {} {}{}{}", end->choice, described(end->reason),
                           end->stop_text.empty() ? "" : " at ", end->stop_text);
    }
    if (const auto* done = std::get_if<job::Done>(&event)) {
        return fmt::format(
            "done prompt={} cached={} completion={} read={} in {:.1f} ms, {} in "
            "{:.1f} ms",
            done->usage.prompt_tokens, done->usage.cached_tokens, done->usage.completion_tokens,
            done->timings.prompt_tokens, done->timings.prompt_ms, done->timings.predicted_tokens,
            done->timings.predicted_ms);
    }
    if (const auto* vectors = std::get_if<job::Vectors>(&event)) {
        std::string out = "vectors";
        for (const std::vector<float>& vector : vectors->vectors) {
            out += fmt::format(" [{:.2f}]", fmt::join(vector, " "));
        }
        return out;
    }
    if (const auto* scores = std::get_if<job::Scores>(&event)) {
        return fmt::format("scores {:.2f}", fmt::join(scores->scores, " "));
    }
    if (const auto* tokens = std::get_if<job::Tokens>(&event)) {
        return fmt::format("tokens {} '{}'", fmt::join(tokens->ids, " "),
                           fmt::join(tokens->pieces, "|"));
    }
    if (const auto* segment = std::get_if<job::Segment>(&event)) {
        std::string out = fmt::format("segment {:.2f}-{:.2f} '{}'", segment->start_s,
                                      segment->end_s, segment->text);
        for (const job::Word& word : segment->words) {
            out += fmt::format(" {}@{:.2f}-{:.2f}", word.text, word.start_s, word.end_s);
        }
        return out;
    }
    if (const auto* transcript = std::get_if<job::Transcript>(&event)) {
        return fmt::format("transcript {} {:.2f} '{}'", transcript->language,
                           transcript->duration_s, transcript->text);
    }
    if (const auto* sound = std::get_if<job::Sound>(&event)) {
        return fmt::format("sound {} {}", sound->type, sound->bytes.size());
    }
    if (const auto* picture = std::get_if<job::Picture>(&event)) {
        return fmt::format("picture {} {} {} '{}'", picture->index, picture->type,
                           picture->bytes.size(), picture->revised_prompt);
    }
    const Error& error = std::get<job::Failed>(event).error;
    return fmt::format("failed {}: {}", fault_name(error.fault), error.message);
}

inline bool is_last(const job::Event& event) {
    return std::holds_alternative<job::Done>(event) || std::holds_alternative<job::Failed>(event);
}

/// One HTTP answer and what it answers.
struct Transcript {
    Upstream server;
    job::Request request;
    unsigned status = 200;  ///< 0 = no answer at all
    std::string content_type = "text/event-stream";
    std::string body;
    Status end;
};

/// The events that come of a transcript whose body arrives in pieces that end at `cuts`.
inline std::vector<std::string> events_of(const Transcript& transcript,
                                          const std::vector<std::size_t>& cuts = {}) {
    std::vector<std::string> events;
    const WrittenRequest asked = write_request(transcript.request, transcript.server).value();
    AnswerReader reader(transcript.server, transcript.request, asked,
                        [&](const job::Event& event) { events.push_back(described(event)); });
    if (transcript.status != 0) {
        reader.on_head(transcript.status, transcript.content_type);
    }
    const std::string_view body = transcript.body;
    std::size_t begin = 0;
    for (const std::size_t cut : cuts) {
        // A copy, so that reading beyond a piece is seen by the address sanitizer.
        const std::string piece(body.substr(begin, cut - begin));
        reader.on_body(piece);
        begin = cut;
    }
    const std::string piece(body.substr(begin));
    reader.on_body(piece);
    reader.on_end(transcript.end);
    return events;
}

inline job::Request chat_request(std::string_view words = "Hello") {
    job::Request request;
    request.id = "r1";
    request.model = "m";
    job::Message message;
    message.content = words;
    request.ask = job::Chat{{message}, {}, {}};
    return request;
}

inline constexpr std::string_view kLlamaChat =
    R"(data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1766000000,"id":"chatcmpl-Wq8","model":"qwen3-4b","system_fingerprint":"b7100-1a2b3c4d","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hel"}}],"created":1766000000,"id":"chatcmpl-Wq8","model":"qwen3-4b","system_fingerprint":"b7100-1a2b3c4d","object":"chat.completion.chunk"}

: ping

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"lo \"\u00e4\ud83d\ude00\"\n"}}],"created":1766000000,"id":"chatcmpl-Wq8","model":"qwen3-4b","system_fingerprint":"b7100-1a2b3c4d","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"wörld"}}],"created":1766000000,"id":"chatcmpl-Wq8","model":"qwen3-4b","system_fingerprint":"b7100-1a2b3c4d","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"created":1766000000,"id":"chatcmpl-Wq8","model":"qwen3-4b","system_fingerprint":"b7100-1a2b3c4d","object":"chat.completion.chunk"}

data: {"choices":[],"created":1766000000,"id":"chatcmpl-Wq8","model":"qwen3-4b","system_fingerprint":"b7100-1a2b3c4d","object":"chat.completion.chunk","usage":{"completion_tokens":4,"prompt_tokens":12,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":8}},"timings":{"cache_n":8,"prompt_n":4,"prompt_ms":21.5,"prompt_per_token_ms":5.375,"prompt_per_second":186.04,"predicted_n":4,"predicted_ms":80.25,"predicted_per_token_ms":20.06,"predicted_per_second":49.84}}

data: [DONE]

)";

inline constexpr std::string_view kFlmChat =
    R"(data: {"id":"fastflowlm-chat-completion","object":"chat.completion.chunk","created":1766000000,"model":"qwen3:0.6b","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":"Hm"},"finish_reason":null}]}

data: {"id":"fastflowlm-chat-completion","object":"chat.completion.chunk","created":1766000000,"model":"qwen3:0.6b","choices":[{"index":0,"delta":{"role":"assistant","content":"One"},"finish_reason":null}]}

data: {"id":"fastflowlm-chat-completion","object":"chat.completion.chunk","created":1766000000,"model":"qwen3:0.6b","choices":[{"index":0,"delta":{"role":"assistant","content":" two"},"finish_reason":null}]}

data: {"id":"fastflowlm-chat-completion","object":"chat.completion.chunk","created":1766000000,"model":"qwen3:0.6b","choices":[{"index":0,"delta":{"content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"kv_token_occupancy_rate_percentage":0.03,"load_duration":1.5,"prefill_duration_ttft":0.25,"decoding_duration":0.125,"prefill_speed_tps":36.0,"decoding_speed_tps":null}}

data: [DONE]

)";

}  // namespace trilane::lane::upstream
