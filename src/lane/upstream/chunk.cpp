#include "lane/upstream/chunk.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "lane/upstream/json_cursor.h"

namespace trilane::lane::upstream {
namespace {

using JsonKind = JsonCursor::Kind;

constexpr double kMsPerSecond = 1e3;

std::optional<std::uint32_t> count_of(double value) {
    if (!(value >= 0)) {
        return std::nullopt;
    }
    constexpr double kMax = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(std::min(value, kMax));
}

Finish finish_of(std::string_view word) {
    if (word == "length") {
        return Finish::length;
    }
    if (word == "tool_calls" || word == "function_call") {
        return Finish::tool_calls;
    }
    if (word == "abort" || word == "cancelled") {
        return Finish::cancelled;
    }
    if (word == "error") {
        return Finish::error;
    }
    // "stop", "content_filter", "eos" and whatever else servers call an end of their own.
    return word.empty() ? Finish::none : Finish::stop;
}

/// A token as the older shape of log-probabilities has it: its text stands for its bytes.
struct OldLogprobs {
    std::vector<std::string> tokens;
    std::vector<float> logprobs;
    std::vector<std::vector<job::TokenLogprob>> top;
};

class ChunkReader {
public:
    ChunkReader(std::string_view text, Chunk& chunk) : in_(text), chunk_(chunk) {}

    ChunkShape read() {
        if (in_.kind() != JsonKind::object) {
            return in_.skip() && in_.at_end() ? ChunkShape::other_value : ChunkShape::broken;
        }
        const bool good = in_.object([this](std::string_view key) { return top(key); });
        if (!good || !in_.at_end()) {
            return ChunkShape::broken;
        }
        if (says_error_ || (!message_.empty() && !chunk_.has_choices && !chunk_.has_usage)) {
            own_error().message = std::move(message_);
        }
        return ChunkShape::object;
    }

private:
    bool top(std::string_view key) {
        if (key == "choices") {
            return choices();
        }
        if (key == "model") {
            return in_.kind() == JsonKind::string ? in_.plain(chunk_.model) : in_.skip();
        }
        if (key == "usage") {
            return figures([this](std::string_view name) { return usage(name); });
        }
        if (key == "timings") {
            return figures([this](std::string_view name) { return timings(name); });
        }
        if (key == "error") {
            return error();
        }
        if (key == "object") {
            std::string_view name;
            if (in_.kind() != JsonKind::string) {
                return in_.skip();
            }
            const bool good = in_.plain(name);
            says_error_ = name == "error";
            return good;
        }
        if (key == "message" || key == "detail") {
            return text(message_);
        }
        if (key == "code" || key == "status") {
            return code(code_);
        }
        return native(key);
    }

    /// llama-server's own shape, where the chunk is the one choice.
    bool native(std::string_view key) {
        if (key == "content" && in_.kind() == JsonKind::string) {
            return in_.string(native_choice().content);
        }
        if (key == "stop_type" && in_.kind() == JsonKind::string) {
            std::string_view word;
            const bool good = in_.plain(word);
            native_choice().finish = word == "none"    ? Finish::none
                                     : word == "limit" ? Finish::length
                                                       : Finish::stop;
            return good;
        }
        if (key == "stopping_word") {
            return in_.kind() == JsonKind::string ? in_.string(native_choice().stop_text)
                                                  : in_.skip();
        }
        if (key == "tokens_evaluated") {
            chunk_.has_usage = true;
            return count(chunk_.figures.prompt_tokens);
        }
        return key == "tokens_predicted" ? count(chunk_.figures.completion_tokens) : in_.skip();
    }

    ChoiceDelta& native_choice() {
        chunk_.is_native = true;
        chunk_.has_choices = true;
        return chunk_.choices.empty() ? chunk_.choices.emplace_back() : chunk_.choices.front();
    }

    /// Appends a string; skips anything else.
    bool text(std::string& into) {
        return in_.kind() == JsonKind::string ? in_.string(into) : in_.skip();
    }

    /// A message's text: a string, or the text parts of an array.
    bool content(std::string& into) {
        if (in_.kind() != JsonKind::array) {
            return text(into);
        }
        return in_.array([&] {
            if (in_.kind() != JsonKind::object) {
                return text(into);
            }
            return in_.object(
                [&](std::string_view key) { return key == "text" ? text(into) : in_.skip(); });
        });
    }

    bool real(std::optional<double>& into, double scale = 1) {
        if (in_.kind() != JsonKind::number) {
            return in_.skip();
        }
        double value = 0;
        if (!in_.number(value)) {
            return false;
        }
        if (value >= 0 && std::isfinite(value * scale)) {
            into = value * scale;
        }
        return true;
    }

    bool count(std::optional<std::uint32_t>& into) {
        std::optional<double> value;
        if (!real(value)) {
            return false;
        }
        if (value) {
            into = count_of(*value);
        }
        return true;
    }

    /// A number, or a string of digits.
    bool code(unsigned& into) {
        if (in_.kind() == JsonKind::string) {
            std::string_view digits;
            const bool good = in_.plain(digits);
            std::from_chars(digits.data(), digits.data() + digits.size(), into);
            return good;
        }
        std::optional<std::uint32_t> value;
        if (!count(value)) {
            return false;
        }
        into = value.value_or(into);
        return true;
    }

    template <class Field>
    bool figures(Field field) {
        if (in_.kind() != JsonKind::object) {
            return in_.skip();
        }
        chunk_.has_usage = true;
        return in_.object(field);
    }

    bool usage(std::string_view key) {
        Figures& figures = chunk_.figures;
        if (key == "prompt_tokens") {
            return count(figures.prompt_tokens);
        }
        if (key == "completion_tokens") {
            return count(figures.completion_tokens);
        }
        if (key == "prompt_tokens_details" && in_.kind() == JsonKind::object) {
            return in_.object([&](std::string_view name) {
                return name == "cached_tokens" ? count(figures.cached_tokens) : in_.skip();
            });
        }
        // FLM's additions, in seconds.
        if (key == "prefill_duration_ttft") {
            return figures.prompt_ms ? in_.skip() : real(figures.prompt_ms, kMsPerSecond);
        }
        if (key == "decoding_duration") {
            return figures.predicted_ms ? in_.skip() : real(figures.predicted_ms, kMsPerSecond);
        }
        return in_.skip();
    }

    bool timings(std::string_view key) {
        Figures& figures = chunk_.figures;
        if (key == "cache_n") {
            return figures.cached_tokens ? in_.skip() : count(figures.cached_tokens);
        }
        if (key == "prompt_n") {
            return count(figures.read_tokens);
        }
        if (key == "prompt_ms") {
            return real(figures.prompt_ms);
        }
        if (key == "predicted_n") {
            return count(figures.predicted_tokens);
        }
        if (key == "predicted_ms") {
            return real(figures.predicted_ms);
        }
        return in_.skip();
    }

    ServerError& own_error() {
        if (!chunk_.error) {
            chunk_.error.emplace();
            chunk_.error->code = code_;
        }
        return *chunk_.error;
    }

    bool error() {
        if (in_.kind() == JsonKind::null) {
            return in_.skip();
        }
        if (in_.kind() == JsonKind::string) {
            std::string message;
            if (!in_.string(message)) {
                return false;
            }
            if (!message.empty()) {
                own_error().message = std::move(message);
            }
            return true;
        }
        if (in_.kind() != JsonKind::object) {
            std::string_view raw;
            if (!in_.raw(raw)) {
                return false;
            }
            if (raw != "false") {
                own_error().message = std::string(raw);
            }
            return true;
        }
        ServerError& error = own_error();
        return in_.object([&](std::string_view key) {
            if (key == "message") {
                return text(error.message);
            }
            if (key == "type") {
                return text(error.type);
            }
            return key == "code" ? code(error.code) : in_.skip();
        });
    }

    bool choices() {
        if (in_.kind() != JsonKind::array) {
            return in_.skip();
        }
        chunk_.has_choices = true;
        return in_.array([this] {
            if (in_.kind() != JsonKind::object || chunk_.choices.size() == kChunkPartsMax) {
                return false;
            }
            ChoiceDelta& choice = chunk_.choices.emplace_back();
            choice.index = static_cast<std::uint32_t>(chunk_.choices.size() - 1);
            return in_.object([&](std::string_view key) { return choice_field(key, choice); });
        });
    }

    bool choice_field(std::string_view key, ChoiceDelta& choice) {
        if (key == "delta" || key == "message") {
            if (in_.kind() != JsonKind::object) {
                return in_.skip();
            }
            return in_.object([&](std::string_view name) { return delta(name, choice); });
        }
        if (key == "text") {
            return text(choice.content);
        }
        if (key == "index") {
            std::optional<std::uint32_t> index;
            const bool good = count(index);
            choice.index = index.value_or(choice.index);
            return good;
        }
        if (key == "finish_reason") {
            std::string_view word;
            if (in_.kind() != JsonKind::string) {
                return in_.skip();
            }
            const bool good = in_.plain(word);
            choice.finish = finish_of(word);
            return good;
        }
        // vLLM's name and SGLang's; numbers are tokens.
        if (key == "stop_reason" || key == "matched_stop") {
            choice.stop_text.clear();
            return text(choice.stop_text);
        }
        if (key == "logprobs" && in_.kind() == JsonKind::object) {
            return logprobs(choice);
        }
        return in_.skip();
    }

    bool delta(std::string_view key, ChoiceDelta& choice) {
        if (key == "content" || key == "refusal") {
            return content(choice.content);
        }
        if (key == "reasoning_content" || key == "reasoning") {
            // Some servers send the same text under both names.
            return choice.reasoning.empty() ? content(choice.reasoning) : in_.skip();
        }
        if (key != "tool_calls" || in_.kind() != JsonKind::array) {
            return in_.skip();
        }
        return in_.array([&] {
            if (in_.kind() != JsonKind::object || choice.tool_calls.size() == kChunkPartsMax) {
                return false;
            }
            ToolDelta& call = choice.tool_calls.emplace_back();
            return in_.object([&](std::string_view name) { return tool_field(name, call); });
        });
    }

    bool tool_field(std::string_view key, ToolDelta& call) {
        if (key == "index") {
            return count(call.index);
        }
        if (key == "id") {
            return text(call.id);
        }
        if (key != "function" || in_.kind() != JsonKind::object) {
            return in_.skip();
        }
        return in_.object([&](std::string_view name) {
            if (name == "name") {
                return text(call.name);
            }
            if (name != "arguments") {
                return in_.skip();
            }
            if (in_.kind() != JsonKind::object) {
                return text(call.arguments);
            }
            // Not as the protocol has it, but as some servers do: an object rather than its text.
            std::string_view raw;
            const bool good = in_.raw(raw);
            call.arguments += raw;
            return good;
        });
    }

    bool logprobs(ChoiceDelta& choice) {
        OldLogprobs old;
        const bool good = in_.object([&](std::string_view key) {
            if (in_.kind() != JsonKind::array) {
                return in_.skip();
            }
            if (key == "content") {
                return in_.array([&] { return logprob_entry(choice.logprobs.emplace_back()); });
            }
            if (key == "tokens") {
                return in_.array([&] { return text(old.tokens.emplace_back()); });
            }
            if (key == "token_logprobs") {
                return in_.array([&] { return logprob(old.logprobs.emplace_back()); });
            }
            if (key == "top_logprobs") {
                return in_.array([&] { return old_top(old.top.emplace_back()); });
            }
            return in_.skip();
        });
        if (!good) {
            return false;
        }
        for (std::size_t i = 0; i < old.tokens.size() && i < old.logprobs.size(); ++i) {
            job::LogprobEntry& entry = choice.logprobs.emplace_back();
            entry.chosen.bytes = std::move(old.tokens[i]);
            entry.chosen.logprob = old.logprobs[i];
            if (i < old.top.size()) {
                entry.top = std::move(old.top[i]);
            }
        }
        return true;
    }

    bool logprob(float& into) {
        // The first token of an echoed prompt has none: null.
        into = std::numeric_limits<float>::quiet_NaN();
        if (in_.kind() != JsonKind::number) {
            return in_.skip();
        }
        double value = 0;
        const bool good = in_.number(value);
        into = static_cast<float>(std::max<double>(value, std::numeric_limits<float>::lowest()));
        return good;
    }

    bool old_top(std::vector<job::TokenLogprob>& top) {
        if (in_.kind() != JsonKind::object) {
            return in_.skip();
        }
        const bool good = in_.object([&](std::string_view key) {
            job::TokenLogprob& token = top.emplace_back();
            token.bytes = key;
            return logprob(token.logprob);
        });
        std::ranges::stable_sort(top, std::ranges::greater(), &job::TokenLogprob::logprob);
        return good;
    }

    bool logprob_entry(job::LogprobEntry& entry) {
        if (in_.kind() != JsonKind::object) {
            return false;
        }
        return in_.object([&](std::string_view key) {
            if (key == "top_logprobs" && in_.kind() == JsonKind::array) {
                return in_.array([&] {
                    job::TokenLogprob& token = entry.top.emplace_back();
                    if (in_.kind() != JsonKind::object) {
                        return false;
                    }
                    return in_.object(
                        [&](std::string_view name) { return token_field(name, token); });
                });
            }
            return token_field(key, entry.chosen);
        });
    }

    bool token_field(std::string_view key, job::TokenLogprob& token) {
        if (key == "id") {
            std::optional<std::uint32_t> id;
            const bool good = count(id);
            token.id = static_cast<std::int32_t>(
                std::min<std::uint32_t>(id.value_or(0), std::numeric_limits<std::int32_t>::max()));
            return good;
        }
        if (key == "token") {
            std::string letters;
            const bool good = text(letters);
            if (token.bytes.empty()) {
                token.bytes = std::move(letters);
            }
            return good;
        }
        if (key == "bytes" && in_.kind() == JsonKind::array) {
            token.bytes.clear();
            return in_.array([&] {
                std::optional<std::uint32_t> byte;
                const bool good = count(byte);
                token.bytes += static_cast<char>(byte.value_or(0) & 0xFFU);
                return good;
            });
        }
        return key == "logprob" ? logprob(token.logprob) : in_.skip();
    }

    JsonCursor in_;
    Chunk& chunk_;
    std::string message_;
    bool says_error_ = false;
    unsigned code_ = 0;
};

}  // namespace

ChunkShape read_chunk(std::string_view text, Chunk& chunk) {
    chunk.model = {};
    chunk.choices.clear();
    chunk.has_choices = false;
    chunk.has_usage = false;
    chunk.is_native = false;
    chunk.figures = {};
    chunk.error.reset();
    return ChunkReader(text, chunk).read();
}

}  // namespace trilane::lane::upstream
