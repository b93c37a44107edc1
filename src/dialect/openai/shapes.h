// The pieces of OpenAI's answers as JSON text, appended straight to the bytes to send: no value
// tree per token. Private to this dialect.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "dialect/openai/openai.h"
#include "job/job.h"
#include "json/text.h"

namespace trilane::dialect::openai {

using json::append_string;

/// `{"id":…,"object":…,"created":…,"model":…,"system_fingerprint":…,"choices":[`
void append_head(std::string& out, const Parsed& parsed, std::string_view object);

/// `[{"token","logprob","bytes","top_logprobs"}]`
void append_logprob_list(std::string& out, std::span<const job::LogprobEntry> entries);

/// `{"content":[{"token","logprob","bytes","top_logprobs"}],"refusal":null}`
void append_chat_logprobs(std::string& out, std::span<const job::LogprobEntry> entries);

/// `{"tokens","token_logprobs","top_logprobs","text_offset"}`. Offsets count Unicode characters
/// from the start of the choice's text; `characters` is how many were before, and grows. A
/// log-probability that is NaN (the first token of an echoed prompt has none) is null.
void append_completion_logprobs(std::string& out, std::span<const job::LogprobEntry> entries,
                                std::uint32_t& characters);

/// `"usage":{…}`
void append_usage(std::string& out, const job::Usage& usage);

/// `"timings":{…}` as llama.cpp's server names them. **Units:** milliseconds, tokens per second.
void append_timings(std::string& out, const Tally& tally);

/// "stop", "length" or "tool_calls", which was "function_call" once.
std::string_view finish_reason(job::FinishReason reason, bool old_functions = false);

/// `,"stop_reason":…` as vLLM's server says which text ended the answer; nothing when none did.
void append_stop_text(std::string& out, std::string_view stop_text);

/// Where the choices of each job begin, and one past the last.
std::vector<std::size_t> first_choices(std::span<const job::Request> jobs);

}  // namespace trilane::dialect::openai
