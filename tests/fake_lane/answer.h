// Answer: what is asked for and the words that are answered, token by token. The words follow from
// the prompt, so that a client can tell whether it got its own. No bytes of any API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "exchange.h"
#include "slots.h"

namespace trilane::fake_lane {

/// What a chat or completion request says, as far as it matters here. Views into its body.
struct Asked {
    std::string_view model;   ///< raw JSON
    std::string_view prompt;  ///< raw JSON: "messages", "prompt" or "input"
    std::string_view last;   ///< raw JSON of the last user message; the prompt where there are none
    std::string_view stop;   ///< raw JSON
    std::string_view tools;  ///< raw JSON
    std::string_view min_p;  ///< raw JSON
    bool after_tool = false;  ///< the last message is a tool's
    bool stream = false;
    bool stream_given = false;
    bool include_usage = false;
    bool logprobs = false;
    bool think = false;
    std::int64_t max_tokens = -1;
    std::int64_t choices = 1;
};
/// **Errors:** invalid: no JSON object.
Result<Asked> read_asked(std::string_view body);

struct ToolCall {
    std::string name;
    std::string arguments;  ///< JSON text
};

/// One token of an answer.
struct Piece {
    enum class Kind { reasoning, text, call_name, call_arguments };
    Kind kind;
    std::string_view text;
    std::size_t call = 0;
};

struct Answer {
    std::string text;
    std::vector<std::uint32_t> text_ends;  ///< of its tokens
    std::string reasoning;
    std::vector<std::uint32_t> reasoning_ends;
    std::vector<ToolCall> calls;
    bool cut = false;  ///< by max_tokens
    std::int64_t prompt_tokens = 0;
    std::int64_t cached_tokens = 0;

    [[nodiscard]] std::int64_t tokens() const;
    /// The i-th token; `text` points into this answer.
    [[nodiscard]] Piece piece(std::int64_t i) const;
};

/// What an engine does to what it is asked.
struct Composing {
    bool stops = true;  ///< honours stop texts
    std::size_t calls_max = 8;
    bool insane = false;
};
Answer compose(const Asked& asked, const Behaviour& behaviour, Composing how);

/// The text between "[[name:" and "]]" at its last place in `text`; absent when there is none.
std::optional<std::string_view> directive(std::string_view text, std::string_view name);
/// Whether "[[name]]" or "[[name:" is there.
bool has_directive(std::string_view text, std::string_view name);
/// The words for something that is no chat, such as a transcription: from its marker if it has one.
std::string words_for(std::string_view marked, const Behaviour& behaviour);

/// Tokens are three bytes each.
std::int64_t count_tokens(std::size_t bytes);

/// The prompt's time. False when the client has gone or the answer is over otherwise.
bool read_prompt(Exchange& exchange, const Answer& answer);
/// The answer's time: calls `on_token(i)` at the scripted speed, hangs and crashes where the script
/// says so. False when there is nobody to answer any more.
template <class OnToken>
bool decode(Exchange& exchange, const Answer& answer, Slot* slot, OnToken on_token);

/// A step of decode(): waits until token `i` is due. False = over.
bool decode_step(Exchange& exchange, std::int64_t i, Clock::time_point start);
/// Counts a token, and sends it when it must not wait for others.
bool token_done(Exchange& exchange, Slot* slot);
/// Hangs and crashes that come after the last token. False = over.
bool decode_end(Exchange& exchange, std::int64_t tokens);

template <class OnToken>
bool decode(Exchange& exchange, const Answer& answer, Slot* slot, OnToken on_token) {
    const std::int64_t tokens = answer.tokens();
    const Clock::time_point start = Clock::now();
    for (std::int64_t i = 0; i < tokens; ++i) {
        if (!decode_step(exchange, i, start)) {
            return false;
        }
        on_token(i);
        if (!token_done(exchange, slot)) {
            return false;
        }
    }
    return decode_end(exchange, tokens);
}

}  // namespace trilane::fake_lane
