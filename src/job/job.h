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
#include "job/asks.h"
#include "job/chat.h"

namespace trilane::job {

struct Request {
    std::string id;      ///< unique within the daemon; also what the client sees
    std::string model;   ///< as the client named it
    std::string client;  ///< who asks, for fair queues; "" = nobody in particular
    /// Lanes it may be answered on, '*' standing for any text; empty = all.
    std::vector<std::string> lanes;
    /// The answer must have begun by then; the epoch = whenever.
    std::chrono::steady_clock::time_point deadline{};
    std::variant<Chat, Completion, Embed, Rerank, Tokenize, Detokenize, CountTokens, Transcribe,
                 Speak, Draw>
        ask;
    // Of a Chat or Completion; the other asks say all they need themselves.
    Sampling sampling;
    Format format;
    std::uint32_t choices = 1;                ///< independent answers to the same ask
    std::optional<std::uint32_t> max_tokens;  ///< per choice; absent = what the context leaves
    std::vector<std::string> stop;            ///< generation ends before any of these texts
    std::optional<std::uint32_t>
        top_logprobs;         ///< absent = no log-probabilities; 0 = the chosen one's
    bool ignore_end = false;  ///< go on past end-of-text tokens (for measurements)
    /// What the client sent beside all this, for lanes that may know it: name → JSON text.
    std::map<std::string, std::string> extra;
};

/// What the request asks for, as a sentence names it: "chat", "embeddings", "speech" …
std::string_view subject(const Request& request);

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
    std::string lane = {};  ///< by whom; the plane's to say
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
    std::string stop_text = {};  ///< which of Request::stop ended it; "" = none of them
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
    std::string lane = {};  ///< by whom; the plane's to say
};

/// The request failed; the last event of a bad answer.
struct Failed {
    Error error;
};

using Event = std::variant<Started, Text, ToolCallPiece, ChoiceEnd, Vectors, Scores, Tokens,
                           Segment, Transcript, Sound, Picture, Done, Failed>;

/// Receives the events of one request, in order, ending with exactly one Done or Failed.
/// **Threads:** called from the lane's threads; must not block and must not throw.
using EventSink = std::function<void(Event)>;

/// What a model can be asked for.
struct Abilities {
    bool chat = false;
    bool complete = false;  ///< texts as they stand
    bool insert = false;    ///< fill in the middle
    bool tools = false;
    bool vision = false;
    bool hearing = false;  ///< sounds inside messages
    bool thinking = false;
    bool embed = false;
    bool rerank = false;
    bool transcribe = false;
    bool speak = false;
    bool draw = false;
};

/// Whether tokens of text answer it: a Chat or a Completion.
bool is_generation(const Request& request);
/// Whether such a model can answer the request.
bool able(const Abilities& abilities, const Request& request);

/// What a lane says of a model it can serve.
struct ModelCard {
    std::string id;
    std::string name;  ///< for people
    std::string architecture;
    std::string quantization;  ///< "Q4_K_M" …; "" = not known
    Abilities abilities;
    std::uint64_t parameters = 0;
    std::uint64_t bytes = 0;           ///< of the weights as stored
    std::uint32_t context_tokens = 0;  ///< the longest prompt + answer of one request
    std::uint32_t vocab_tokens = 0;
    std::int64_t created_unix_s = 0;
    std::string licence;
};

}  // namespace trilane::job
