// The parts of Ollama's requests: messages, tools, options. Private to this dialect.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "dialect/fields.h"
#include "job/job.h"

namespace trilane::dialect::ollama {

/// "model" or, from older clients, "name", without ":latest".
Result<std::string> read_model(const Fields& body);

/// The messages and tools of /api/chat. `system` is said first when no message does.
Result<job::Chat> read_chat(const Fields& body, const std::string& system);

/// "think": whether, and how much, the model is to think first.
Status read_think(const Fields& body, job::Chat& chat);

/// Pictures as base64, at the end of `message`.
Status read_images(const Fields& owner, job::Message& message);

/// "options" over those of the preset: sampling, lengths, stop texts; what only some engines know
/// goes into Request::extra. Returns num_ctx.
Result<std::optional<std::uint32_t>> read_options(const json::Value& options,
                                                  job::Request& request);

/// The client's options, and the preset's where it says nothing.
Result<json::Value> merged_options(const Fields& body, const std::string& preset);

/// A conversation as the numbers of "context", and back. They are no tokens: each holds up to three
/// bytes of the conversation's text, so that any lane can go on with it.
std::vector<std::int32_t> context_of(const std::vector<job::Message>& messages);
/// **Errors:** invalid: not numbers that context_of() gave.
Result<std::vector<job::Message>> read_context(const Fields& body);

}  // namespace trilane::dialect::ollama
