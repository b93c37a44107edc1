// Embedding: texts of a job → vectors, pairs of texts → scores, by an engine::Embedder; and the
// resident of a model that does nothing else. A chat model's resident has a desk beside its
// generations.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/cancel.h"
#include "base/result.h"
#include "engine/embedder.h"
#include "job/job.h"
#include "lane/lane.h"
#include "lane/native/native.h"

namespace trilane::lane {

/// Texts of one Embed, documents of one Rerank.
inline constexpr std::size_t kTextsMax = 2048;

/// Answers the Embed and Rerank jobs of one model. **Threads:** any.
class EmbeddingDesk {
public:
    using Open = std::function<Result<std::unique_ptr<engine::Embedder>>()>;

    /// `open` is called with the first job. `name` is the model's, for errors.
    EmbeddingDesk(std::string name, Open open) : name_(std::move(name)), open_(std::move(open)) {}
    EmbeddingDesk(std::string name, std::unique_ptr<engine::Embedder> embedder)
        : name_(std::move(name)), embedder_(std::move(embedder)) {}

    static bool takes(const job::Request& request) {
        return std::holds_alternative<job::Embed>(request.ask) ||
               std::holds_alternative<job::Rerank>(request.ask);
    }

    /// One that takes() is true of. Texts that are longer than the model reads are cut at their
    /// end, or refused when the job says so; of a pair it is the document that is cut.
    /// **Errors:** invalid (what was asked, or a text, is not possible here), exhausted (its queue
    /// is full, or no memory), unavailable (stopping). The sink hears nothing then.
    Status submit(const job::Request& request, job::EventSink sink, const CancelToken& cancel);

    /// What runs has `patience_ms` to end.
    void stop(std::uint32_t patience_ms);

    /// Adds its own load to a resident's.
    void add_to(ResidentSnapshot& snapshot) const;
    /// What its embedder holds; nothing before the first job. May take long.
    [[nodiscard]] engine::InMemory in_memory() const;

private:
    struct Counters {
        std::atomic<std::uint64_t> cancelled{0};
        std::atomic<std::uint64_t> failed{0};
    };

    Result<std::shared_ptr<engine::Embedder>> embedder();
    Result<std::shared_ptr<engine::Embedder>> embedder_or_refusal(const job::Request& request);
    [[nodiscard]] std::shared_ptr<engine::Embedder> opened() const;

    const std::string name_;
    const Open open_;
    const std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
    mutable std::mutex mutex_;  // guards the two below
    std::shared_ptr<engine::Embedder> embedder_;
    bool stopped_ = false;
};

/// What an engine in this process holds, in the plan's words.
plan::Observed observed_of(const engine::InMemory& held);
/// Adds what was last seen; null = nobody looks.
void add_memory(ResidentSnapshot& snapshot, const MemoryWatch::Subject* memory);

/// Whether a model of that architecture does nothing but read texts: load_encoder is for it.
bool is_encoder_file(const std::string& path);

/// **Errors:** as engine::Embedder::open.
Result<std::shared_ptr<Resident>> load_encoder(const NativeOptions& options);

/// Whether a decoder's file says how its hidden states become a vector, or nothing of it.
bool decoder_embeds(const gguf::File& file, std::string_view architecture);

}  // namespace trilane::lane
