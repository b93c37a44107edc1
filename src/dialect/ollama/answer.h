// Writers of Ollama's answers. Private to this dialect.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dialect/dialect.h"
#include "dialect/ollama/ollama.h"

namespace trilane::dialect::ollama {

/// How an answer is to be written.
struct Style {
    Endpoint endpoint = Endpoint::chat;
    std::string model;  ///< as the client named it, which is what Ollama answers
    bool stream = true;
    bool logprobs = false;
    /// Of /api/generate: what was asked, for "context"; empty = it gets none.
    std::vector<job::Message> conversation;
    Clock clock;
    std::int64_t began_ns = 0;  ///< by the steady clock
};

std::unique_ptr<AnswerWriter> writer_of(Style style);

/// `{"model":…,"created_at":…` without an end.
void append_head(std::string& out, std::string_view model, std::int64_t now_unix_ns);

}  // namespace trilane::dialect::ollama
