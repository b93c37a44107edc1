// Batcher: the thread that runs one model for many generations. Each step takes one token of every
// generation that is writing and a bounded chunk of the prompts being read.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "engine/sampler.h"
#include "engine/session.h"
#include "model/model.h"

namespace trilane::engine {

class Batcher {
public:
    using Clock = std::chrono::steady_clock;

    /// `options` has its defaults filled in; `kv` and `workspace` fit them.
    /// **Threads:** starts one; the destructor joins it. `model`, `team` and `tokenizer` must
    /// outlive it.
    Batcher(const model::Model& model, os::ThreadTeam& team, const token::Tokenizer& tokenizer,
            model::KvCache kv, model::Workspace workspace, const Options& options);
    ~Batcher();
    Batcher(const Batcher&) = delete;
    Batcher& operator=(const Batcher&) = delete;

    Status submit(std::vector<Generation> generations);
    void stop(std::uint32_t patience_ms);
    [[nodiscard]] Snapshot snapshot() const;
    /// Of the KV cache and the workspace, what is in memory. **Threads:** any.
    [[nodiscard]] std::uint64_t resident_bytes() const {
        return kv_.resident_bytes() + workspace_.resident_bytes();
    }

private:
    struct Queued {
        Generation generation;
        Clock::time_point since;
        std::uint32_t passed_over = 0;
    };

    /// A generation that holds a slot.
    struct Running {
        Generation generation;
        Session* session = nullptr;
        Sampler sampler;
        std::vector<token::Id> timeline;  ///< prompt, then what was drawn
        std::size_t drawn = 0;
        bool hastened = false;  ///< a token was not drawn since it left no room for the end
        std::size_t rows = 0;   ///< tokens of this step's batch
        std::uint32_t cached_tokens = 0;
        Clock::time_point queued_at;
        Clock::time_point started_at;
        Clock::time_point prompt_done_at;

        /// Tokens that are known but not yet run.
        [[nodiscard]] std::size_t pending() const {
            return timeline.size() - session->tokens().size();
        }
    };

    /// A slot as the scheduler sees it.
    struct Slot {
        Session session;
        std::unique_ptr<Running> running;
        std::uint64_t used_at = 0;  ///< step of the last use, for choosing the oldest
    };

    void loop();
    bool wait_for_work();
    void drop_unwanted();
    void admit();
    std::optional<Queued> next_admissible();
    bool twin_is_being_read(const Generation& generation) const;
    Slot& place(const Generation& generation);
    void start(Queued queued);
    void fill_batch();
    void add_rows(Running& running, std::size_t count);
    void take_logits();
    std::size_t take_rows(Running& running, std::size_t logits_row);
    void draw(Slot& slot, std::span<const float> logits);
    bool find_allowed(const Generation& generation);
    token::Id draw_in_time(Running& running, std::span<const float> logits);
    void end(Slot& slot, job::FinishReason reason, std::optional<Error> error);
    void fail_all(const Error& error);
    [[nodiscard]] std::span<const float> logits_row(std::size_t row) const;
    void publish();

    const model::Model& model_;
    os::ThreadTeam& team_;
    const token::Tokenizer& tokenizer_;
    const Options options_;

    // Of the engine's thread alone, but for how much of the first two is in memory.
    model::KvCache kv_;
    model::Workspace workspace_;
    std::vector<Slot> slots_;
    std::vector<model::BatchToken> batch_;
    std::mt19937_64 seeds_;
    std::vector<std::uint64_t> allowed_;  ///< the tokens that a constraint leaves; empty = all
    std::uint64_t step_ = 0;

    std::mutex mutex_;  // guards the three below; never held across a step or a listener
    std::deque<Queued> queue_;
    bool stopping_ = false;
    bool aborting_ = false;
    std::condition_variable wake_;
    std::condition_variable drained_;

    std::atomic<std::uint32_t> busy_{0};
    std::atomic<std::uint32_t> queued_{0};
    std::atomic<std::uint64_t> prompt_tokens_{0};
    std::atomic<std::uint64_t> cached_tokens_{0};
    std::atomic<std::uint64_t> predicted_tokens_{0};
    std::atomic<std::uint64_t> steps_{0};

    std::thread thread_;
};

}  // namespace trilane::engine
