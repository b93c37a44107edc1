// What a language model is asked: a conversation or a text to continue, what the model may call,
// and which shape its answer must have. Part of the waist.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

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

/// A picture or a sound inside a message, or one to work on: its bytes, or where they are.
struct Media {
    enum class Kind { image, audio };
    Kind kind = Kind::image;
    std::string type;    ///< "image/png", "audio/wav" …; "" = not said
    std::string bytes;   ///< of the file, decoded from base64
    std::string url;     ///< "http…", when the client sent that instead: for lanes that fetch it
    std::size_t at = 0;  ///< stands before this byte of its message's content
};

/// One turn of a conversation. `tool_call_id` names the call that a tool message answers.
struct Message {
    Role role = Role::user;
    std::string content;
    std::string reasoning;
    std::vector<ToolCall> tool_calls;
    std::string tool_call_id = {};
    std::vector<Media> media = {};  ///< in order of `at`
};

/// A function the model may call. `parameters` is a JSON schema as text.
struct Tool {
    std::string name;
    std::string description;
    std::string parameters;
};

/// Whether the model may call tools, must, or must call one of them.
struct ToolChoice {
    enum class Kind { automatic, none, required, named };
    Kind kind = Kind::automatic;
    std::string name;  ///< of the tool, when `named`
};

/// A conversation to continue with an assistant turn, rendered by the model's own chat template.
struct Chat {
    std::vector<Message> messages;
    std::vector<Tool> tools;
    ToolChoice tool_choice = {};
    bool parallel_tool_calls = true;  ///< several calls in one answer are welcome
    /// The last message is the assistant's, and the answer goes on where it ends.
    bool continue_last = false;
    /// Extra variables for the template (`enable_thinking` …): name → JSON text.
    std::map<std::string, std::string> template_variables = {};
};

/// A text to continue as it stands. Special tokens in it are read as such.
struct Completion {
    std::variant<std::string, std::vector<std::int32_t>> prompt;  ///< text, or token ids
    bool echo = false;                                            ///< answer starts with the prompt
    std::string suffix = {};  ///< what follows the answer: fill in the middle; "" = nothing
};

/// What the answer's text must look like, whatever the model would rather say.
struct Format {
    enum class Kind { text, json_object, json_schema, gbnf, regex, choice };
    Kind kind = Kind::text;
    std::string source;                ///< the schema (JSON text), the grammar or the expression
    std::string name;                  ///< of the schema, for lanes that want one
    bool strict = false;               ///< of the schema, as the client said
    std::vector<std::string> choices;  ///< exactly one of these, when `choice`
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

}  // namespace trilane::job
