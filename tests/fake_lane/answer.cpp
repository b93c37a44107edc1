#include "answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "json/json.h"
#include "skim.h"

namespace trilane::fake_lane {
namespace {

constexpr std::size_t kBytesPerToken = 3;
constexpr std::int64_t kReasoningTokens = 3;
constexpr std::int64_t kAnswerTokensMax = 10'000'000;
constexpr std::size_t kCallPieces = 2;  ///< its name, its arguments
constexpr std::string_view kInsane = "@@@@GGGG";

/// Finds "user" and "tool" in the raw messages.
void read_messages(Asked& asked) {
    Skim messages(asked.prompt);
    std::string_view none;
    std::string_view message;
    while (messages.next(none, message)) {
        const std::string_view role = member(message, "role");
        asked.after_tool = role == "\"tool\"";
        if (role == "\"user\"") {
            asked.last = message;
        }
    }
}

void read_member(Asked& asked, std::string_view key, std::string_view value) {
    const bool yes = value == "true";
    if (key == "model") {
        asked.model = value;
    } else if (key == "messages" || key == "prompt") {
        asked.prompt = value;
    } else if (key == "stream") {
        asked.stream = yes;
        asked.stream_given = true;
    } else if (key == "stream_options") {
        asked.include_usage = member(value, "include_usage") == "true";
    } else if (key == "max_tokens" || key == "max_completion_tokens" || key == "n_predict") {
        asked.max_tokens = integer(value).value_or(-1);
    } else if (key == "n") {
        asked.choices = std::clamp<std::int64_t>(integer(value).value_or(1), 1, 128);
    } else if (key == "stop") {
        asked.stop = value;
    } else if (key == "tools") {
        asked.tools = value;
    } else if (key == "min_p") {
        asked.min_p = value;
    } else if (key == "logprobs") {
        asked.logprobs = yes || integer(value).value_or(0) > 0;
    } else if (key == "think") {
        asked.think = yes;
    }
}

void split_words(std::string_view text, std::vector<std::uint32_t>& ends) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t space = text.find(' ', at + 1);
        at = std::min(space, text.size());
        ends.push_back(static_cast<std::uint32_t>(at));
    }
}

/// "tok0 tok1 …", or "<id>.0 <id>.1 …" for a prompt that carries [[id:…]].
void write_words(std::string_view prompt, std::int64_t count, Answer& answer) {
    const std::optional<std::string_view> id = directive(prompt, "id");
    for (std::int64_t i = 0; i < count; ++i) {
        auto out = std::back_inserter(answer.text);
        if (i > 0) {
            *out = ' ';
        }
        if (id) {
            fmt::format_to(out, "{}.{}", *id, i);
        } else {
            fmt::format_to(out, "tok{}", i);
        }
        answer.text_ends.push_back(static_cast<std::uint32_t>(answer.text.size()));
    }
}

void write_text(const Asked& asked, const Behaviour& behaviour, bool insane, Answer& answer) {
    std::int64_t count = std::clamp<std::int64_t>(behaviour.tokens, 0, kAnswerTokensMax);
    if (const auto given = directive(asked.last, "tokens")) {
        count = std::clamp<std::int64_t>(integer(*given).value_or(count), 0, kAnswerTokensMax);
    }
    // Words that max_tokens will take away again need not be written; one more shows the cut.
    const std::int64_t room = asked.max_tokens < 0 ? count : asked.max_tokens + 1;
    if (insane) {
        for (std::int64_t i = 0; i < std::min(count, room); ++i) {
            answer.text += kInsane;
            answer.text_ends.push_back(static_cast<std::uint32_t>(answer.text.size()));
        }
        return;
    }
    if (behaviour.garbage == Garbage::empty) {
        return;
    }
    if (const auto said = directive(asked.last, "text")) {
        answer.text = unquoted(fmt::format("\"{}\"", *said));
    } else if (behaviour.has_text) {
        answer.text = behaviour.text;
    } else {
        write_words(asked.last, std::min(count, room), answer);
        return;
    }
    split_words(answer.text, answer.text_ends);
}

/// Cuts the text at the first of the stop texts.
void apply_stops(std::string_view raw, Answer& answer) {
    if (raw.empty() || raw == "null") {
        return;
    }
    std::vector<std::string> stops;
    if (raw.front() == '"') {
        stops.push_back(unquoted(raw));
    }
    Skim list(raw.front() == '[' ? raw : "[]");
    std::string_view none;
    std::string_view value;
    while (list.next(none, value)) {
        stops.push_back(unquoted(value));
    }
    std::size_t end = answer.text.size();
    for (const std::string& stop : stops) {
        if (!stop.empty()) {
            end = std::min(end, answer.text.find(stop));
        }
    }
    if (end == answer.text.size()) {
        return;
    }
    answer.text.resize(end);
    while (!answer.text_ends.empty() && answer.text_ends.back() > end) {
        answer.text_ends.pop_back();
    }
    const std::size_t last = answer.text_ends.empty() ? 0 : answer.text_ends.back();
    if (last < end) {
        answer.text_ends.push_back(static_cast<std::uint32_t>(end));
    }
}

void apply_max_tokens(std::int64_t max_tokens, Answer& answer) {
    if (max_tokens < 0 || answer.tokens() <= max_tokens) {
        return;
    }
    answer.cut = true;
    const auto room = static_cast<std::size_t>(max_tokens);
    if (answer.reasoning_ends.size() > room) {
        answer.reasoning_ends.resize(room);
        answer.reasoning.resize(room == 0 ? 0 : answer.reasoning_ends.back());
    }
    const std::size_t words = room - answer.reasoning_ends.size();
    if (answer.text_ends.size() > words) {
        answer.text_ends.resize(words);
        answer.text.resize(words == 0 ? 0 : answer.text_ends.back());
    }
    const std::size_t calls = (words - answer.text_ends.size()) / kCallPieces;
    answer.calls.resize(std::min(answer.calls.size(), calls));
}

void write_calls(const Asked& asked, std::size_t calls_max, Answer& answer) {
    const std::int64_t wanted = integer(directive(asked.last, "tool").value_or("1")).value_or(1);
    Skim tools(asked.tools);
    std::string_view none;
    std::string_view tool;
    if (!tools.next(none, tool)) {
        return;
    }
    const std::string name = unquoted(member(member(tool, "function"), "name"));
    const std::string_view id = directive(asked.last, "id").value_or("tok");
    const auto count =
        std::min(static_cast<std::size_t>(std::max<std::int64_t>(1, wanted)), calls_max);
    for (std::size_t i = 0; i < count; ++i) {
        answer.calls.push_back({name, fmt::format("{{\"id\":\"{}\",\"call\":{}}}", id, i)});
    }
}

bool is_marker(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_' || c == '.' || c == '-' || c == ':';
    });
}

}  // namespace

std::int64_t count_tokens(std::size_t bytes) {
    return static_cast<std::int64_t>((bytes + kBytesPerToken - 1) / kBytesPerToken);
}

std::optional<std::string_view> directive(std::string_view text, std::string_view name) {
    const std::string opening = fmt::format("[[{}:", name);
    const std::size_t at = text.rfind(opening);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view rest = text.substr(at + opening.size());
    const std::size_t end = rest.find("]]");
    if (end == std::string_view::npos || (name == "id" && !is_marker(rest.substr(0, end)))) {
        return std::nullopt;
    }
    return rest.substr(0, end);
}

bool has_directive(std::string_view text, std::string_view name) {
    return text.find(fmt::format("[[{}]]", name)) != std::string_view::npos ||
           text.find(fmt::format("[[{}:", name)) != std::string_view::npos;
}

std::string words_for(std::string_view marked, const Behaviour& behaviour) {
    if (behaviour.garbage == Garbage::text) {
        return std::string(kInsane);
    }
    if (behaviour.has_text) {
        return behaviour.text;
    }
    Answer answer;
    write_words(marked, std::clamp<std::int64_t>(behaviour.tokens, 0, kAnswerTokensMax), answer);
    return std::move(answer.text);
}

Result<Asked> read_asked(std::string_view body) {
    Asked asked;
    Skim members(body);
    std::string_view key;
    std::string_view value;
    while (members.next(key, value)) {
        read_member(asked, key, value);
    }
    if (!members.ok() || !members.is_object()) {
        return fail(Fault::invalid, "the body is not a JSON object");
    }
    asked.last = asked.prompt;
    if (!asked.prompt.empty() && asked.prompt.front() == '[') {
        read_messages(asked);
    }
    return asked;
}

std::int64_t Answer::tokens() const {
    return static_cast<std::int64_t>(reasoning_ends.size() + text_ends.size() +
                                     calls.size() * kCallPieces);
}

Piece Answer::piece(std::int64_t i) const {
    const auto cut_out = [](std::string_view whole, const std::vector<std::uint32_t>& ends,
                            std::size_t at) {
        const std::size_t begin = at == 0 ? 0 : ends[at - 1];
        return whole.substr(begin, ends[at] - begin);
    };
    auto at = static_cast<std::size_t>(i);
    if (at < reasoning_ends.size()) {
        return {Piece::Kind::reasoning, cut_out(reasoning, reasoning_ends, at)};
    }
    at -= reasoning_ends.size();
    if (at < text_ends.size()) {
        return {Piece::Kind::text, cut_out(text, text_ends, at)};
    }
    at -= text_ends.size();
    const ToolCall& call = calls[at / kCallPieces];
    if (at % kCallPieces == 0) {
        return {Piece::Kind::call_name, call.name, at / kCallPieces};
    }
    return {Piece::Kind::call_arguments, call.arguments, at / kCallPieces};
}

Answer compose(const Asked& asked, const Behaviour& behaviour, Composing how) {
    Answer answer;
    answer.prompt_tokens = behaviour.prompt_tokens >= 0
                               ? behaviour.prompt_tokens
                               : std::max<std::int64_t>(1, count_tokens(asked.prompt.size()));
    answer.cached_tokens = std::min(behaviour.cached_tokens, answer.prompt_tokens);
    const bool insane = how.insane || behaviour.garbage == Garbage::text;
    const bool calls =
        !asked.tools.empty() && !asked.after_tool && has_directive(asked.last, "tool");
    if (asked.think || has_directive(asked.last, "think")) {
        for (std::int64_t i = 0; i < kReasoningTokens; ++i) {
            answer.reasoning += fmt::format("{}think{}", i > 0 ? " " : "", i);
            answer.reasoning_ends.push_back(static_cast<std::uint32_t>(answer.reasoning.size()));
        }
    }
    if (calls) {
        write_calls(asked, how.calls_max, answer);
    } else {
        write_text(asked, behaviour, insane, answer);
        if (how.stops) {
            apply_stops(asked.stop, answer);
        }
    }
    apply_max_tokens(asked.max_tokens, answer);
    return answer;
}

bool read_prompt(Exchange& exchange, const Answer& answer) {
    const double tps = exchange.behaviour().prompt_tps;
    exchange.world.counters.prompt_tokens += static_cast<std::uint64_t>(answer.prompt_tokens);
    if (tps <= 0) {
        return true;
    }
    const auto tokens = static_cast<double>(answer.prompt_tokens - answer.cached_tokens);
    return exchange.wait_until(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                  std::chrono::duration<double>(tokens / tps)));
}

bool decode_end(Exchange& exchange, std::int64_t tokens) {
    const Behaviour& behaviour = exchange.behaviour();
    if (behaviour.crash_after_tokens == tokens) {
        exchange.flush();
        die(behaviour.crash_signal);
    }
    if (behaviour.hang_after_tokens == tokens) {
        ++exchange.world.counters.faults;
        exchange.hang();
    }
    return !exchange.is_dead();
}

bool decode_step(Exchange& exchange, std::int64_t i, Clock::time_point start) {
    const Behaviour& behaviour = exchange.behaviour();
    if ((behaviour.crash_after_tokens == i || behaviour.hang_after_tokens == i) &&
        !decode_end(exchange, i)) {
        return false;
    }
    if (behaviour.decode_tps <= 0) {
        return true;
    }
    const std::chrono::duration<double> due(static_cast<double>(i + 1) / behaviour.decode_tps);
    return exchange.wait_until(start + std::chrono::duration_cast<Clock::duration>(due));
}

bool token_done(Exchange& exchange, Slot* slot) {
    ++exchange.world.counters.tokens;
    if (slot != nullptr) {
        ++slot->decoded;
    }
    const Behaviour& behaviour = exchange.behaviour();
    if (exchange.is_streaming() && (behaviour.decode_tps > 0 || behaviour.write_each)) {
        exchange.flush();
    }
    return !exchange.is_dead() || behaviour.refuse_cancel;
}

}  // namespace trilane::fake_lane
