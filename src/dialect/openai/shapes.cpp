#include "dialect/openai/shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "base/utf8.h"
#include "json/text.h"

namespace trilane::dialect::openai {
namespace {

/// A token's text. Tokens that are part of a character are shown byte by byte, as OpenAI does.
std::string token_text(std::string_view bytes, std::string_view prefix) {
    if (is_valid_utf8(bytes)) {
        return std::string(bytes);
    }
    std::string text(prefix);
    for (const char c : bytes) {
        fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(c));
    }
    return text;
}

void append_logprob(std::string& out, float logprob) {
    constexpr float kImpossible = -9999.0F;  // what OpenAI writes where JSON has no −infinity
    if (std::isnan(logprob)) {
        out += "null";
    } else {
        fmt::format_to(std::back_inserter(out), "{}", std::isinf(logprob) ? kImpossible : logprob);
    }
}

/// `"token":…,"logprob":…,"bytes":[…]`
void append_chat_token(std::string& out, const job::TokenLogprob& token) {
    out += "\"token\":";
    append_string(out, token_text(token.bytes, ""));
    out += ",\"logprob\":";
    append_logprob(out, token.logprob);
    out += ",\"bytes\":[";
    for (std::size_t i = 0; i < token.bytes.size(); ++i) {
        fmt::format_to(std::back_inserter(out), "{}{}", i == 0 ? "" : ",",
                       static_cast<unsigned char>(token.bytes[i]));
    }
    out += ']';
}

/// `{"text":logprob,…}`: the likeliest tokens, and the chosen one even when it is not among them.
void append_completion_top(std::string& out, const job::LogprobEntry& entry) {
    if (std::isnan(entry.chosen.logprob)) {
        out += "null";
        return;
    }
    std::set<std::string> seen;  // several control tokens may share the text ""
    const auto append = [&](const job::TokenLogprob& token) {
        std::string text = token_text(token.bytes, "bytes:");
        if (seen.contains(text)) {
            return;
        }
        out += seen.empty() ? "" : ",";
        append_string(out, text);
        out += ':';
        append_logprob(out, token.logprob);
        seen.insert(std::move(text));
    };
    out += '{';
    for (const job::TokenLogprob& token : entry.top) {
        append(token);
    }
    append(entry.chosen);
    out += '}';
}

std::uint32_t characters_begun(std::string_view bytes) {
    return static_cast<std::uint32_t>(std::count_if(bytes.begin(), bytes.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

/// Calls `append` for each entry, with commas between, inside `"name":[…]`.
template <class Append>
void append_list(std::string& out, std::string_view name,
                 std::span<const job::LogprobEntry> entries, Append append) {
    fmt::format_to(std::back_inserter(out), "\"{}\":[", name);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        out += i == 0 ? "" : ",";
        append(entries[i]);
    }
    out += ']';
}

/// `"kind_n":…,"kind_ms":…,"kind_per_token_ms":…,"kind_per_second":…`
void append_rate(std::string& out, std::string_view kind, std::uint32_t tokens, double ms) {
    const double sane_ms = std::isfinite(ms) && ms > 0 ? ms : 0.0;
    const double per_token_ms = tokens > 0 ? sane_ms / tokens : 0.0;
    const double per_second = sane_ms > 0 ? tokens * 1000.0 / sane_ms : 0.0;
    fmt::format_to(
        std::back_inserter(out),
        R"("{0}_n":{1},"{0}_ms":{2:.3f},"{0}_per_token_ms":{3:.3f},"{0}_per_second":{4:.3f})", kind,
        tokens, sane_ms, per_token_ms, per_second);
}

}  // namespace

void Tally::add(const job::Done& done) {
    usage.prompt_tokens += done.usage.prompt_tokens;
    usage.cached_tokens += done.usage.cached_tokens;
    usage.completion_tokens += done.usage.completion_tokens;
    timings.queue_ms += done.timings.queue_ms;
    timings.prompt_tokens += done.timings.prompt_tokens;
    timings.prompt_ms += done.timings.prompt_ms;
    timings.predicted_tokens += done.timings.predicted_tokens;
    timings.predicted_ms += done.timings.predicted_ms;
}

void append_head(std::string& out, const Parsed& parsed, std::string_view object) {
    out += "{\"id\":";
    append_string(out, parsed.response_id);
    fmt::format_to(std::back_inserter(out), R"(,"object":"{}","created":{},"model":)", object,
                   parsed.created_unix_s);
    append_string(out, parsed.model);
    out += ",\"system_fingerprint\":";
    append_string(out, parsed.system_fingerprint);
    out += ",\"choices\":[";
}

void append_logprob_list(std::string& out, std::span<const job::LogprobEntry> entries) {
    out += '[';
    for (const job::LogprobEntry& entry : entries) {
        out += &entry == entries.data() ? "{" : ",{";
        append_chat_token(out, entry.chosen);
        out += ",\"top_logprobs\":[";
        for (std::size_t i = 0; i < entry.top.size(); ++i) {
            out += i == 0 ? "{" : ",{";
            append_chat_token(out, entry.top[i]);
            out += '}';
        }
        out += "]}";
    }
    out += ']';
}

void append_chat_logprobs(std::string& out, std::span<const job::LogprobEntry> entries) {
    out += "{\"content\":";
    append_logprob_list(out, entries);
    out += ",\"refusal\":null}";
}

void append_completion_logprobs(std::string& out, std::span<const job::LogprobEntry> entries,
                                std::uint32_t& characters) {
    out += '{';
    append_list(out, "tokens", entries, [&](const job::LogprobEntry& entry) {
        append_string(out, token_text(entry.chosen.bytes, "bytes:"));
    });
    out += ',';
    append_list(out, "token_logprobs", entries,
                [&](const job::LogprobEntry& entry) { append_logprob(out, entry.chosen.logprob); });
    out += ',';
    append_list(out, "top_logprobs", entries,
                [&](const job::LogprobEntry& entry) { append_completion_top(out, entry); });
    out += ',';
    append_list(out, "text_offset", entries, [&](const job::LogprobEntry& entry) {
        fmt::format_to(std::back_inserter(out), "{}", characters);
        characters += characters_begun(entry.chosen.bytes);
    });
    out += '}';
}

void append_usage(std::string& out, const job::Usage& usage) {
    fmt::format_to(std::back_inserter(out),
                   R"("usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},)"
                   R"("prompt_tokens_details":{{"cached_tokens":{}}}}})",
                   usage.prompt_tokens, usage.completion_tokens,
                   std::uint64_t{usage.prompt_tokens} + usage.completion_tokens,
                   usage.cached_tokens);
}

void append_timings(std::string& out, const Tally& tally) {
    const job::Timings& timings = tally.timings;
    fmt::format_to(std::back_inserter(out), R"("timings":{{"cache_n":{},)",
                   tally.usage.cached_tokens);
    append_rate(out, "prompt", timings.prompt_tokens, timings.prompt_ms);
    out += ',';
    append_rate(out, "predicted", timings.predicted_tokens, timings.predicted_ms);
    out += '}';
}

void append_stop_text(std::string& out, std::string_view stop_text) {
    if (!stop_text.empty()) {
        out += ",\"stop_reason\":";
        append_string(out, stop_text);
    }
}

std::string_view finish_reason(job::FinishReason reason, bool old_functions) {
    switch (reason) {
        case job::FinishReason::stop:
            return "stop";
        case job::FinishReason::tool_calls:
            return old_functions ? "function_call" : "tool_calls";
        case job::FinishReason::length:
        case job::FinishReason::cancelled:
            break;
    }
    // Clients know no "cancelled"; "length" is their word for an answer that was cut short.
    return "length";
}

std::vector<std::size_t> first_choices(std::span<const job::Request> jobs) {
    std::vector<std::size_t> first = {0};
    for (const job::Request& job : jobs) {
        first.push_back(first.back() + job.choices);
    }
    return first;
}

}  // namespace trilane::dialect::openai
