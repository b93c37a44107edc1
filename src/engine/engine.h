// Engine: one loaded model that answers several requests at once. Requests share each forward step
// (continuous batching), long prompts are read in chunks between the others' tokens, and a request
// whose prompt begins like an earlier one starts from that one's KV cache. Speaks token ids; text,
// templates and stop strings are the lane's.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "grammar/matcher.h"
#include "job/job.h"
#include "kernels/kernels.h"
#include "token/tokenizer.h"

namespace trilane::gguf {
class File;
}
namespace trilane::model {
class Model;
}
namespace trilane::os {
class ThreadTeam;
}

namespace trilane::engine {

struct Options {
    std::uint32_t context_tokens =
        0;                    ///< per request, prompt + answer; 0 = what the model was made for
    std::uint32_t slots = 8;  ///< requests that generate at once
    std::uint32_t queue_max = 64;              ///< requests that may wait for a slot
    std::uint32_t prefill_chunk_tokens = 128;  ///< prompt tokens read per step, of all requests
    std::size_t threads = 0;                   ///< 0 = the cores this process may use
    std::optional<kernels::Isa> isa;           ///< absent = the best this CPU has
};

/// One drawn token.
struct Sampled {
    token::Id id = 0;
    std::optional<float> logprob;  ///< when asked for: of `id`, before temperature and filters
    std::vector<std::pair<token::Id, float>> top;  ///< likeliest first, as many as asked for
};

/// How a generation ended, with its measurements.
struct Ending {
    std::optional<Error> error;  ///< absent = a good end
    job::FinishReason reason = job::FinishReason::stop;
    std::uint32_t cached_tokens = 0;
    job::Timings timings;
};

/// Hears of one generation. **Threads:** called from the engine's thread only; must not block.
class Listener {
public:
    virtual ~Listener() = default;
    /// A slot is held and the prompt will now be read, less its first `cached_tokens`.
    virtual void on_start(std::uint32_t cached_tokens) = 0;
    /// Log-probability of prompt token i given those before it, 1 ≤ i; only when asked for.
    virtual void on_prompt_token(std::uint32_t i, const Sampled& token) = 0;
    /// Returning false ends the generation here (a stop string was found).
    virtual bool on_token(const Sampled& token) = 0;
    /// Exactly once, last.
    virtual void on_end(const Ending& ending) = 0;
};

/// By when an answer must have begun: the first token of it, whichever of the generations that make
/// it up brings that. Copies are of one answer. **Threads:** any.
class BeginBy {
public:
    using Clock = std::chrono::steady_clock;

    BeginBy() = default;  ///< whenever
    explicit BeginBy(Clock::time_point time)
        : time_(time), begun_(std::make_shared<std::atomic<bool>>(false)) {}

    void begin() const {
        if (begun_ != nullptr) {
            begun_->store(true, std::memory_order_relaxed);
        }
    }
    /// It has not begun, and will no more in time.
    [[nodiscard]] bool missed(Clock::time_point now) const {
        return begun_ != nullptr && now >= time_ && !begun_->load(std::memory_order_relaxed);
    }

private:
    Clock::time_point time_{};
    std::shared_ptr<std::atomic<bool>> begun_;
};

/// Why an answer that has missed its time ends.
inline Error begun_too_late() {
    return {Fault::timeout,
            "the answer had not begun by its deadline; try again, or allow more time"};
}

/// One sequence to continue.
struct Generation {
    std::vector<token::Id> prompt;  ///< at least one token
    job::Sampling sampling;
    std::uint32_t max_tokens = 0;               ///< 0 is allowed with prompt_logprobs
    std::optional<std::uint32_t> top_logprobs;  ///< absent = none
    bool prompt_logprobs = false;               ///< also report the prompt's own tokens
    bool ignore_end = false;
    /// What the answer must be; null = anything. Ends the answer where nothing more may follow, and
    /// `ignore_end` does not go past that.
    std::unique_ptr<grammar::Matcher> constraint;
    /// What the constraint binds comes to its end within `max_tokens` where they are enough for its
    /// shortest text: as they run out, only what still leaves room for an end is drawn. An answer
    /// that was hastened so ends with FinishReason::length all the same.
    bool ends_in_time = false;
    CancelToken cancel;
    BeginBy begin_by{};  ///< ends with Fault::timeout when that is missed
    std::unique_ptr<Listener> listener;
};

/// The engine's state at one instant.
struct Snapshot {
    std::uint32_t slots = 0;
    std::uint32_t slots_busy = 0;
    std::uint32_t queued = 0;
    std::uint64_t prompt_tokens_total = 0;
    std::uint64_t cached_tokens_total = 0;
    std::uint64_t predicted_tokens_total = 0;
    std::uint64_t steps_total = 0;
};

/// What of a loaded model is in memory. Not what the allocator keeps for it: the tokenizer, norms
/// and biases, stacks, and what requests hold.
struct InMemory {
    std::uint64_t own_bytes = 0;   ///< packed weights, KV cache and buffers, as far as touched
    std::uint64_t file_bytes = 0;  ///< of the model file, as os::resident_bytes says
};

class Engine {
public:
    /// Maps the file, builds the tokenizer, packs the weights, reserves the KV cache, starts the
    /// thread.
    /// **Errors:** those of the file and tokenizer; invalid for architectures or tensor types it
    /// does not know (named); exhausted when the KV cache cannot be had; cancelled: `cancel` is
    /// looked at before every tensor.
    static Result<std::unique_ptr<Engine>> load(const std::string& path, const Options& options,
                                                const CancelToken& cancel = {});
    ~Engine();  ///< fails what still runs and joins

    /// Runs a short prompt through the model, apart from the slots and their counts: its logits
    /// must be numbers that differ, and a token is drawn from them. Touches all weights of a step.
    /// **Errors:** corrupt, with what came instead; exhausted; cancelled (before it begins).
    [[nodiscard]] Status check_sanity(const CancelToken& cancel = {}) const;

    /// Queues the generation; its listener hears the rest. **Threads:** any.
    /// **Errors:** exhausted (queue full), invalid (empty prompt, prompt does not fit the context,
    /// an id outside the vocabulary), unavailable (stopping). The listener hears nothing then.
    Status submit(Generation generation);
    /// All of them or none: several choices of one request.
    Status submit(std::vector<Generation> generations);

    /// Takes no more, waits up to `patience_ms` for what runs, ends the rest with `unavailable`.
    void stop(std::uint32_t patience_ms);

    [[nodiscard]] Snapshot snapshot() const;
    /// Measured page by page: slow where there are many gigabytes. **Threads:** any.
    [[nodiscard]] InMemory in_memory() const;
    [[nodiscard]] const Options& options() const;  ///< with the defaults filled in
    [[nodiscard]] const model::Model& model() const;
    /// The threads that run it; who else uses them takes turns with the engine.
    [[nodiscard]] os::ThreadTeam& team() const;
    [[nodiscard]] const gguf::File& file() const;
    [[nodiscard]] const std::shared_ptr<const token::Tokenizer>& tokenizer() const;
    /// The vocabulary as matchers want it; built when first asked for. **Threads:** any.
    [[nodiscard]] const std::shared_ptr<const grammar::TokenTrie>& token_trie() const;

private:
    struct State;
    explicit Engine(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace trilane::engine
