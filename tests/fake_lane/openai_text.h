// Chat and text completions in OpenAI's shape, as llama-server and vLLM write them. FLM's are its
// own (flm_chat.cpp).
#pragma once

#include <string>

#include "answer.h"
#include "exchange.h"
#include "slots.h"

namespace trilane::fake_lane {

struct OpenAiShape {
    std::string model;          ///< JSON text, with its quotes
    bool with_timings = false;  ///< llama-server's "timings" and "system_fingerprint"
};

/// Reads the prompt, writes the answer, streamed or whole. The slot may be null.
void answer_openai(Exchange& exchange, const Asked& asked, const Answer& answer,
                   const OpenAiShape& shape, bool chat, Slot* slot);

/// {"error": {…}} in the words that OpenAI-compatible servers use for a status.
std::string openai_error(unsigned status, std::string_view message, bool as_string);

/// `"text"` with quotes and escapes.
std::string json_string(std::string_view text);

/// POST /v1/embeddings in OpenAI's shape: one vector per input, from the input's own text.
void answer_embeddings(Exchange& exchange, std::string_view model_json, bool with_usage);
/// POST /v1/rerank: documents that contain the query come first. All scores are zero when `broken`.
void answer_rerank(Exchange& exchange, std::string_view model_json, bool broken);

}  // namespace trilane::fake_lane
