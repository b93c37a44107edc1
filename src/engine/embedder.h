// Embedder: texts as tokens → one vector each, or one score for each pair, by a model of its own
// (an encoder) or beside the generations of a loaded decoder. One thread; requests take turns, a
// group of passages each, and a decoder's generations run between the groups' parts. Speaks token
// ids; texts, lengths of vectors and what a client may ask are the lane's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "engine/engine.h"
#include "model/encoder.h"
#include "token/tokenizer.h"

namespace trilane::engine {

using model::Passage;

/// How a reading ended. Without an error there is a row for each passage: its vector, not
/// normalised, or its score alone.
struct ReadingEnd {
    std::optional<Error> error;
    std::vector<std::vector<float>> rows;
    job::Timings timings;
};

/// Passages of one request.
struct Reading {
    std::vector<Passage> passages;  ///< at least one, each of 1 … context_tokens() tokens
    bool scores = false;            ///< of the classification head rather than vectors
    CancelToken cancel;
    BeginBy begin_by{};  ///< all must have been read by then: there is no answer before
    /// **Threads:** both are called from the embedder's thread and must not block. on_start when
    /// the first passage is taken, on_end exactly once, last.
    std::function<void()> on_start;
    std::function<void(ReadingEnd)> on_end;
};

struct EmbedderSnapshot {
    std::uint32_t busy = 0;    ///< requests that have begun
    std::uint32_t queued = 0;  ///< that have not
    std::uint64_t tokens_total = 0;
};

/// What a kind of model does for an Embedder; called from its thread alone.
class PassageReader {
public:
    virtual ~PassageReader() = default;
    [[nodiscard]] virtual std::uint32_t width() const = 0;
    [[nodiscard]] virtual std::uint32_t vocab() const = 0;
    [[nodiscard]] virtual std::uint32_t context_tokens() const = 0;
    [[nodiscard]] virtual bool embeds() const = 0;
    [[nodiscard]] virtual bool ranks() const = 0;
    /// How many of the first of `rest` (not empty) are best read together; at least 1.
    [[nodiscard]] virtual std::size_t group(std::span<const Passage> rest) const = 0;
    /// Of its weights and buffers, what is in memory. **Threads:** any.
    [[nodiscard]] virtual std::uint64_t resident_bytes() const = 0;
    /// A row for each passage. `leave` is asked often; once it says yes the error is `cancelled`.
    virtual Result<std::vector<std::vector<float>>> read(std::span<const Passage> group,
                                                         bool scores,
                                                         const std::function<bool()>& leave) = 0;
};

class Embedder {
public:
    /// Opens a file of an encoder family. Of `options` it heeds context_tokens (0 = the model's),
    /// queue_max, threads and isa.
    /// **Errors:** those of the file, tokenizer and weights, exhausted, cancelled.
    static Result<std::unique_ptr<Embedder>> open(const std::string& path, const Options& options,
                                                  const CancelToken& cancel = {});
    /// Uses the weights and threads of a loaded decoder, which must outlive it. Its caches last
    /// only as long as a group. **Errors:** invalid (no pooling that is known), exhausted.
    static Result<std::unique_ptr<Embedder>> beside(const Engine& engine);
    ~Embedder();  ///< fails what still runs and joins
    Embedder(const Embedder&) = delete;
    Embedder& operator=(const Embedder&) = delete;

    [[nodiscard]] bool embeds() const;  ///< gives vectors
    [[nodiscard]] bool ranks() const;   ///< gives scores
    [[nodiscard]] std::uint32_t width() const;
    [[nodiscard]] std::uint32_t context_tokens() const;
    [[nodiscard]] const gguf::File& file() const;
    [[nodiscard]] const std::shared_ptr<const token::Tokenizer>& tokenizer() const;

    /// Reads a short text, which counts nowhere: what comes must be numbers, and a vector's must
    /// differ. Only before the first submit(). **Errors:** corrupt, cancelled.
    [[nodiscard]] Status check_sanity(const CancelToken& cancel = {}) const;

    /// Queues the reading. **Threads:** any.
    /// **Errors:** exhausted (queue full), invalid (a passage that is empty or too long, an id
    /// outside the vocabulary, scores without a head), unavailable (stopping). No callback is
    /// called then.
    Status submit(Reading reading);

    /// Takes no more, waits up to `patience_ms` for what runs, ends the rest with `unavailable`.
    void stop(std::uint32_t patience_ms);

    [[nodiscard]] EmbedderSnapshot snapshot() const;
    /// As Engine::in_memory. Of one beside an engine it is what it has on top.
    [[nodiscard]] InMemory in_memory() const;

private:
    struct State;
    explicit Embedder(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace trilane::engine
