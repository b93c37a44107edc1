// FLM's server: what it says to chats, in its own shape and with its own faults (flm_chat.cpp), and
// the routes around them (flm.cpp).
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "answer.h"
#include "flm_models.h"
#include "personality.h"
#include "slots.h"

namespace trilane::fake_lane {

/// Counts of GET /fake/stats.
struct FlmCounters {
    std::atomic<std::uint64_t> substitutions{0};  ///< unknown tags answered by another model
    std::atomic<std::uint64_t> downloads{0};
    std::atomic<std::uint64_t> switches{0};
    std::atomic<std::uint64_t> queued{0};
    std::atomic<std::uint64_t> rejected{0};
    std::atomic<std::int64_t> tool_index{0};  ///< the next tool call's "index"
    std::atomic<std::int64_t> last_min_p{-1};
};

/// The writing of one chat, text or Ollama answer.
class FlmWriting {
public:
    enum class Shape { chat, text, ollama_chat, ollama_generate };

    FlmWriting(Exchange& exchange, FlmCounters& counters, const FlmModel& model,
               std::int64_t context_tokens, Shape shape);

    void whole(const Answer& answer, Slot* slot);
    void streamed(const Answer& answer, Slot* slot);

private:
    [[nodiscard]] bool is_ollama() const;
    [[nodiscard]] std::string_view finish(const Answer& answer) const;
    [[nodiscard]] std::string usage(const Answer& answer) const;
    [[nodiscard]] std::string call(const ToolCall& call);
    [[nodiscard]] std::string message(const Answer& answer);
    [[nodiscard]] std::string ollama(const Answer& answer, std::string_view text, bool done) const;
    void event(std::string_view delta, std::string_view finish_reason, std::string_view after);
    void token(const Answer& answer, std::int64_t i);
    void end(const Answer& answer);

    Exchange& exchange_;
    FlmCounters& counters_;
    const FlmModel& model_;
    std::int64_t context_tokens_;
    Shape shape_;
    std::string event_;
};

/// Answers with FLM's idea of an error: HTTP 200 and an "error" in the body, but for code 400.
void answer_flm_error(Exchange& exchange, unsigned code, std::string_view message, bool as_string);

}  // namespace trilane::fake_lane
