// The waist of the house: everything a client can ask is a job::Request, everything that answers it
// is a stream of job::Event. Plain structs: no JSON text, no sockets, no model. Dialects translate
// to this, lanes answer from it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"

namespace trilane::job {

enum class Role { system, user, assistant, tool };
/// "system", "user", "assistant", "tool": as every API and template spells it.
std::string_view role_name(Role role);

/// One call of a tool, as an assistant message holds it. `arguments` is JSON text.
struct ToolCall {
    std::string id;
    std::string name;
    std::string arguments;
};

/// One turn of a conversation. `tool_call_id` names the call that a tool message answers.
struct Message {
    Role role = Role::user;
    std::string content;
    std::string reasoning;
    std::vector<ToolCall> tool_calls;
    std::string tool_call_id;
};

/// A function the model may call. `parameters` is a JSON schema as text.
struct Tool {
    std::string name;
    std::string description;
    std::string parameters;
};

/// A conversation to continue with an assistant turn, rendered by the model's own chat template.
struct Chat {
    std::vector<Message> messages;
    std::vector<Tool> tools;
    /// Extra variables for the template (`enable_thinking` …): name → JSON text.
    std::map<std::string, std::string> template_variables;
};

/// A text to continue as it stands. Special tokens in it are read as such.
struct Completion {
    std::variant<std::string, std::vector<std::int32_t>> prompt;  ///< text, or token ids
    bool echo = false;                                            ///< answer starts with the prompt
};

/// How the next token is drawn. Every default leaves the distribution as the model gave it.
struct Sampling {
    float temperature = 1.0F;     ///< 0 = greedy; at most 2
    std::int32_t top_k = 0;       ///< keep the k likeliest; 0 = all
    float top_p = 1.0F;           ///< keep the smallest set with this probability; (0, 1]
    float min_p = 0.0F;           ///< drop what is less likely than min_p × the likeliest; [0, 1]
    float repeat_penalty = 1.0F;  ///< divides positive logits of recent tokens; 1 = off
    float presence_penalty = 0.0F;             ///< subtracted once for each token already generated
    float frequency_penalty = 0.0F;            ///< subtracted per occurrence already generated
    std::map<std::int32_t, float> logit_bias;  ///< token id → added to its logit; −100 … 100
    std::optional<std::uint64_t> seed;         ///< absent = a fresh one for each request
};

struct Request {
    std::string id;      ///< unique within the daemon; also what the client sees
    std::string model;   ///< as the client named it
    std::string client;  ///< who asks, for fair queues; "" = nobody in particular
    /// The answer must have begun by then; the epoch = whenever.
    std::chrono::steady_clock::time_point deadline{};
    std::variant<Chat, Completion> ask;
    Sampling sampling;
    std::uint32_t choices = 1;                ///< independent answers to the same ask
    std::optional<std::uint32_t> max_tokens;  ///< per choice; absent = what the context leaves
    std::vector<std::string> stop;            ///< generation ends before any of these texts
    std::optional<std::uint32_t>
        top_logprobs;         ///< absent = no log-probabilities; 0 = the chosen one's
    bool ignore_end = false;  ///< go on past end-of-text tokens (for measurements)
    /// What the client sent beside all this, for lanes that may know it: name → JSON text.
    std::map<std::string, std::string> extra;
};

/// A token and its log-probability (natural logarithm, before temperature and filters).
struct TokenLogprob {
    std::int32_t id = 0;
    std::string bytes;  ///< may be part of a UTF-8 character
    float logprob = 0.0F;
};

/// The log-probability of one generated token and of its likeliest rivals, likeliest first.
struct LogprobEntry {
    TokenLogprob chosen;
    std::vector<TokenLogprob> top;
};

enum class FinishReason { stop, length, tool_calls, cancelled };

/// The answer begins: the request holds a slot and its prompt is being read.
struct Started {
    std::uint32_t prompt_tokens = 0;
};

/// More text of one choice. Always whole UTF-8 characters; may be empty when only `logprobs` grew.
struct Text {
    std::uint32_t choice = 0;
    std::string text;
    bool reasoning = false;  ///< text of a thinking block rather than of the answer
    std::vector<LogprobEntry> logprobs;
};

/// A piece of a tool call that one choice makes. The first piece of a call has its id and name;
/// the arguments of all its pieces, joined, are JSON text.
struct ToolCallPiece {
    std::uint32_t choice = 0;
    std::uint32_t index = 0;  ///< counts the calls of this choice from 0
    std::string id;
    std::string name;
    std::string arguments;
};

/// One choice has ended.
struct ChoiceEnd {
    std::uint32_t choice = 0;
    FinishReason reason = FinishReason::stop;
};

struct Usage {
    std::uint32_t prompt_tokens = 0;
    std::uint32_t cached_tokens = 0;      ///< of these, how many were already in the KV cache
    std::uint32_t completion_tokens = 0;  ///< over all choices
};

/// Measured in the lane. Prompt figures leave out cached tokens.
struct Timings {
    double queue_ms = 0;
    std::uint32_t prompt_tokens = 0;
    double prompt_ms = 0;
    std::uint32_t predicted_tokens = 0;
    double predicted_ms = 0;
};

/// All choices have ended; the last event of a good answer.
struct Done {
    Usage usage;
    Timings timings;
};

/// The request failed; the last event of a bad answer.
struct Failed {
    Error error;
};

using Event = std::variant<Started, Text, ToolCallPiece, ChoiceEnd, Done, Failed>;

/// Receives the events of one request, in order, ending with exactly one Done or Failed.
/// **Threads:** called from the lane's threads; must not block and must not throw.
using EventSink = std::function<void(Event)>;

/// What a lane says of a model it can serve.
struct ModelCard {
    std::string id;
    std::string name;  ///< for people
    std::string architecture;
    std::uint64_t parameters = 0;
    std::uint64_t bytes = 0;           ///< of the weights as stored
    std::uint32_t context_tokens = 0;  ///< the longest prompt + answer of one request
    std::uint32_t vocab_tokens = 0;
    std::int64_t created_unix_s = 0;
    std::string licence;
};

}  // namespace trilane::job
