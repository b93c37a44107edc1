// UpstreamRules: what a kind of server does differently. Plain flags, so that each quirk has a name
// and a test; which kind of lane sets which is written beside that lane.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trilane::lane {

/// What a server can hold its answers to.
enum class UpstreamFormats : std::uint8_t {
    schemas,   ///< `response_format`: JSON, or JSON of a schema
    grammars,  ///< llama-server: `grammar` (GBNF) besides
    none,      ///< nothing: ignores what it is asked
};

/// How a server is asked to go on with the assistant's last message.
enum class UpstreamContinuing : std::uint8_t {
    by_parameter,     ///< vLLM, SGLang: `continue_final_message`
    by_last_message,  ///< llama-server: does so whenever the last message is the assistant's
    never,
};

/// How a server is asked to call a tool.
enum class UpstreamToolChoice : std::uint8_t {
    full,   ///< as OpenAI has it
    words,  ///< llama-server: "auto", "none", "required"; no names
    none,   ///< ignored
};

struct UpstreamRules {
    /// Never ask for fewer, and cut the answer to what was asked.
    std::uint32_t max_tokens_min = 0;
    bool retry_once_on_error = false;  ///< FLM: "basic_string::substr" of single tokens
    bool errors_in_200 = false;        ///< says that it does; every body is looked at anyway
    bool renumber_tool_calls = false;  ///< indices are not per choice
    bool never_says_length = false;    ///< finish_reason "stop" at max_tokens means "length"
    bool stops_ignored = false;        ///< cut at stop texts ourselves
    bool single_choice = false;        ///< `n` is ignored: ask n times, one after the other
    bool end_may_be_missing = false;   ///< a stream without [DONE] ends with its finish_reason
    bool check_model = false;          ///< the answer's model must be the one that was asked for
    bool integer_min_p = false;
    bool health_at_tags = false;     ///< no /health: ask /api/tags
    bool no_health = false;          ///< remote: /v1/models instead
    bool cancel_may_linger = false;  ///< after a cancel wait for an idle slot before the next
    /// Write only what differs from job::Sampling's defaults: strict servers refuse names that they
    /// do not know. Otherwise all of it is written, since the server's defaults are its own.
    bool sparse_parameters = false;
    /// Thinking is switched by a top-level "think" rather than by a variable of the template.
    bool think_is_a_parameter = false;
    UpstreamFormats formats = UpstreamFormats::schemas;
    UpstreamToolChoice tool_choice = UpstreamToolChoice::full;
    UpstreamContinuing continuing = UpstreamContinuing::by_parameter;
    bool infill = false;              ///< texts with a suffix go to /infill
    bool fetches_urls = false;        ///< addresses of pictures may be passed on: not our network
    bool vectors_one_by_one = false;  ///< embeddings: one input per request, as plain numbers
    bool no_token_pages = false;      ///< neither /tokenize nor /detokenize
    bool renders_templates = false;   ///< llama-server: /apply-template
    bool own_inference_page = false;  ///< whisper.cpp: speech goes to /inference
    bool plain_transcripts = false;   ///< speech comes back as a text alone; no further fields
    bool draws_by_sdapi = false;      ///< stable-diffusion.cpp: /sdapi/v1 knows all fields
};

namespace upstream {

/// What all requests to one server share.
struct Upstream {
    std::string model;                 ///< as the server calls it
    std::string api_key;               ///< never shown: redacted from whatever the server says
    std::uint32_t context_tokens = 0;  ///< prompt + answer of one request; 0 = not known
    UpstreamRules rules;
    std::vector<std::string> voices = {};  ///< that it speaks with; empty = not known
};

}  // namespace upstream
}  // namespace trilane::lane
