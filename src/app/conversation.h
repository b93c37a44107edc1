// Conversation: what a chat in the terminal holds, and the /commands that change it. No terminal,
// no lane: run.cpp brings those.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "job/job.h"

namespace trilane::app {

struct Conversation {
    std::string model_id;
    std::string system;
    std::vector<job::Message> messages;  ///< without the system message
    job::Sampling sampling;
    std::uint32_t max_tokens = 0;   ///< 0 = what the context leaves
    std::optional<job::Done> last;  ///< figures of the last whole answer
};

/// The request that asks for the answer to `messages` as they stand.
job::Request next_request(const Conversation& conversation);

struct CommandReply {
    std::string text;  ///< for the person; ends with a newline unless empty
    bool quit = false;
};

/// Whether a typed line is a command rather than a message.
bool is_command(std::string_view line);

/// Does what a /command says. **Errors:** invalid (unknown command or value, with what is
/// possible), those of files for /save and /load.
Result<CommandReply> obey(std::string_view line, Conversation& conversation);

/// "96 tokens, 241.3 tok/s; prompt 17 tokens (5 cached), 310.2 tok/s".
std::string figures_text(const job::Done& done);

}  // namespace trilane::app
