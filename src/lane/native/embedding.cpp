#include "lane/native/embedding.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "gguf/gguf.h"
#include "lane/native/prompt.h"
#include "lane/native/token_answers.h"
#include "model/encoder_config.h"

namespace trilane::lane {
namespace {

/// What one model makes of texts.
class PassageWriter {
public:
    explicit PassageWriter(const engine::Embedder& embedder)
        : embedder_(embedder), tokenizer_(*embedder.tokenizer()) {
        // What an empty text becomes stands around every other: [CLS] before, [SEP] behind.
        const auto around = tokenizer_.encode("", {.add_special = true, .parse_special = false});
        const std::size_t before = tokenizer_.adds_bos() ? 1 : 0;
        ends_.assign(around.begin() + static_cast<std::ptrdiff_t>(std::min(before, around.size())),
                     around.end());
    }

    [[nodiscard]] Result<std::vector<engine::Passage>> passages(const job::Embed& embed) const {
        TRILANE_TRY_STATUS(check_count("input", embed.inputs.size()));
        const std::uint32_t width = embedder_.width();
        if (embed.dimensions && (*embed.dimensions == 0 || *embed.dimensions > width)) {
            return fail(Fault::invalid,
                        "dimensions: {} were asked for; this model's vectors have {}",
                        *embed.dimensions, width);
        }
        std::vector<engine::Passage> passages;
        for (const auto& input : embed.inputs) {
            TRILANE_TRY(auto ids, ids_of(input, embed.truncate, passages.size()));
            passages.push_back({std::move(ids), 0});
        }
        return passages;
    }

    /// [CLS] query [SEP] document [SEP], the document cut to what is left of the context.
    [[nodiscard]] Result<std::vector<engine::Passage>> passages(const job::Rerank& rerank) const {
        TRILANE_TRY_STATUS(check_count("documents", rerank.documents.size()));
        const auto query =
            tokenizer_.encode(rerank.query, {.add_special = true, .parse_special = false});
        const std::size_t context = embedder_.context_tokens();
        if (query.size() + ends_.size() >= context) {
            return fail(Fault::invalid,
                        "query: it has {} tokens, but the model reads {} of query and document "
                        "together; shorten it",
                        query.size(), context);
        }
        std::vector<engine::Passage> passages;
        for (const std::string& document : rerank.documents) {
            auto ids = tokenizer_.encode(document, {.add_special = false, .parse_special = false});
            ids.resize(std::min(ids.size(), context - query.size() - ends_.size()));
            engine::Passage pair{query, query.size()};
            pair.ids.insert(pair.ids.end(), ids.begin(), ids.end());
            pair.ids.insert(pair.ids.end(), ends_.begin(), ends_.end());
            passages.push_back(std::move(pair));
        }
        return passages;
    }

private:
    static Status check_count(std::string_view field, std::size_t count) {
        if (count == 0 || count > kTextsMax) {
            return fail(Fault::invalid, "{}: there are {} texts; between 1 and {} are possible",
                        field, count, kTextsMax);
        }
        return {};
    }

    /// Tokens are taken as they are: whoever sends them has put the special ones.
    [[nodiscard]] Result<std::vector<token::Id>> ids_of(
        const std::variant<std::string, std::vector<std::int32_t>>& input, bool truncate,
        std::size_t index) const {
        const auto* text = std::get_if<std::string>(&input);
        auto ids = text != nullptr
                       ? tokenizer_.encode(*text, {.add_special = true, .parse_special = true})
                       : std::get<std::vector<std::int32_t>>(input);
        if (ids.empty()) {
            return fail(Fault::invalid, "input: text {} is empty; it needs at least one token",
                        index);
        }
        const std::size_t context = embedder_.context_tokens();
        if (ids.size() > context) {
            if (!truncate) {
                return fail(Fault::invalid,
                            "input: text {} has {} tokens, but the model reads {} at most; shorten "
                            "it or let it be cut",
                            index, ids.size(), context);
            }
            const std::size_t kept = text != nullptr ? std::min(ends_.size(), context) : 0;
            ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(context - kept),
                      ids.end() - static_cast<std::ptrdiff_t>(kept));
        }
        return ids;
    }

    const engine::Embedder& embedder_;
    const token::Tokenizer& tokenizer_;
    std::vector<token::Id> ends_;  // behind a text
};

/// The first `dimensions` of each, of length 1. False when one has no length.
bool normalize(std::vector<std::vector<float>>& vectors, std::optional<std::uint32_t> dimensions) {
    for (std::vector<float>& vector : vectors) {
        vector.resize(std::min<std::size_t>(dimensions.value_or(vector.size()), vector.size()));
        double squares = 0;
        for (const float value : vector) {
            squares += static_cast<double>(value) * static_cast<double>(value);
        }
        const double length = std::sqrt(squares);
        if (!std::isfinite(length) || length == 0) {
            return false;
        }
        for (float& value : vector) {
            value = static_cast<float>(static_cast<double>(value) / length);
        }
    }
    return true;
}

constexpr std::string_view kNoNumbers =
    "the model gave numbers that are none for one of the texts; its file may be broken";

/// What the rows are of the job, or why they are nothing.
Result<job::Event> answer_of(const std::optional<job::Embed>& embed,
                             std::vector<std::vector<float>> rows) {
    if (embed) {
        if (!normalize(rows, embed->dimensions)) {
            return fail(Fault::corrupt, "{}", kNoNumbers);
        }
        return job::Vectors{std::move(rows)};
    }
    job::Scores scores;
    for (const std::vector<float>& row : rows) {
        if (!std::isfinite(row[0])) {
            return fail(Fault::corrupt, "{}", kNoNumbers);
        }
        scores.scores.push_back(row[0]);
    }
    return scores;
}

}  // namespace

Result<std::shared_ptr<engine::Embedder>> EmbeddingDesk::embedder() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) {
        return fail(Fault::unavailable, "model '{}' is being unloaded; try again later", name_);
    }
    if (embedder_ == nullptr) {
        TRILANE_TRY(embedder_, open_());
    }
    return embedder_;
}

std::shared_ptr<engine::Embedder> EmbeddingDesk::opened() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return embedder_;
}

Status EmbeddingDesk::submit(const job::Request& request, job::EventSink sink,
                             const CancelToken& cancel) {
    TRILANE_TRY(const auto embedder, embedder_or_refusal(request));
    const PassageWriter writer(*embedder);
    engine::Reading reading;
    std::optional<job::Embed> wish;
    if (const auto* embed = std::get_if<job::Embed>(&request.ask)) {
        TRILANE_TRY(reading.passages, writer.passages(*embed));
        wish = job::Embed{.inputs = {}, .dimensions = embed->dimensions};
    } else {
        TRILANE_TRY(reading.passages, writer.passages(std::get<job::Rerank>(request.ask)));
        reading.scores = true;
    }
    std::uint32_t tokens = 0;
    for (const engine::Passage& passage : reading.passages) {
        tokens += static_cast<std::uint32_t>(passage.ids.size());
    }
    reading.cancel = cancel;
    reading.begin_by = begin_by_of(request);
    reading.on_start = [sink, tokens] { sink(job::Started{tokens}); };
    reading.on_end = [sink, tokens, wish, counters = counters_](engine::ReadingEnd end) {
        auto answer = end.error ? tl::unexpected(*end.error) : answer_of(wish, std::move(end.rows));
        if (!answer) {
            auto& counter =
                answer.error().fault == Fault::cancelled ? counters->cancelled : counters->failed;
            counter.fetch_add(1, std::memory_order_relaxed);
            sink(job::Failed{std::move(answer).error()});
            return;
        }
        sink(*std::move(answer));
        sink(job::Done{{tokens, 0, 0}, end.timings});
    };
    return embedder->submit(std::move(reading));
}

Result<std::shared_ptr<engine::Embedder>> EmbeddingDesk::embedder_or_refusal(
    const job::Request& request) {
    TRILANE_TRY(auto embedder, embedder());
    const bool rerank = std::holds_alternative<job::Rerank>(request.ask);
    if (rerank && !embedder->ranks()) {
        return fail(Fault::invalid,
                    "model: '{}' has no head that scores pairs of texts; use a reranker, a model "
                    "that was trained to rank",
                    name_);
    }
    if (!rerank && !embedder->embeds()) {
        return fail(Fault::invalid,
                    "model: '{}' scores pairs of texts and makes no vectors; use a model for "
                    "embeddings",
                    name_);
    }
    return embedder;
}

void EmbeddingDesk::stop(std::uint32_t patience_ms) {
    std::shared_ptr<engine::Embedder> embedder;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopped_ = true;
        embedder = embedder_;
    }
    if (embedder != nullptr) {
        embedder->stop(patience_ms);
    }
}

void EmbeddingDesk::add_to(ResidentSnapshot& snapshot) const {
    snapshot.cancelled_total += counters_->cancelled.load(std::memory_order_relaxed);
    snapshot.failed_total += counters_->failed.load(std::memory_order_relaxed);
    if (const auto embedder = opened()) {
        const engine::EmbedderSnapshot load = embedder->snapshot();
        snapshot.slots_busy += load.busy;
        snapshot.queued += load.queued;
        snapshot.prompt_tokens_total += load.tokens_total;
    }
}

engine::InMemory EmbeddingDesk::in_memory() const {
    const auto embedder = opened();
    return embedder != nullptr ? embedder->in_memory() : engine::InMemory{};
}

plan::Observed observed_of(const engine::InMemory& held) {
    plan::Observed observed;
    observed.own_bytes = held.own_bytes;
    observed.file_bytes = held.file_bytes;
    observed.in_this_process = true;
    return observed;
}

void add_memory(ResidentSnapshot& snapshot, const MemoryWatch::Subject* memory) {
    if (memory != nullptr) {
        const MemoryWatch::Seen seen = memory->last();
        snapshot.observed = seen.held;
        snapshot.observed_at = seen.at;
    }
}

namespace {

job::ModelCard make_card(const engine::Embedder& embedder, const NativeOptions& options) {
    const gguf::File& file = embedder.file();
    job::ModelCard card;
    card.id = options.model_id.empty() ? std::filesystem::path(options.model_path).stem().string()
                                       : options.model_id;
    card.name = file.string("general.name").value_or(card.id);
    card.architecture = file.string("general.architecture").value_or("");
    card.abilities.embed = embedder.embeds();
    card.abilities.rerank = embedder.ranks();
    for (const gguf::Tensor& tensor : file.tensors()) {
        card.parameters += tensor.weights();
        card.bytes += tensor.bytes;
    }
    card.context_tokens = embedder.context_tokens();
    card.vocab_tokens = static_cast<std::uint32_t>(embedder.tokenizer()->size());
    card.licence = file.string("general.license").value_or("");
    struct stat facts {};
    if (::stat(options.model_path.c_str(), &facts) == 0) {
        card.created_unix_s = facts.st_mtime;
    }
    return card;
}

/// A model that reads whole texts and answers with numbers.
class EncoderResident final : public Resident {
public:
    EncoderResident(std::unique_ptr<engine::Embedder> embedder, const NativeOptions& options)
        : slots_(options.engine.slots),
          card_(make_card(*embedder, options)),
          tokenizer_(embedder->tokenizer()),
          prompts_(embedder->file(), tokenizer_, embedder->context_tokens()),
          desk_(card_.id, std::move(embedder)) {
        if (options.memory != nullptr) {
            memory_ = options.memory->watch([this] { return observed_of(desk_.in_memory()); });
        }
    }
    ~EncoderResident() override {
        if (memory_ != nullptr) {
            memory_->end();  // it looks at what goes now
        }
        desk_.stop(0);
    }
    EncoderResident(const EncoderResident&) = delete;
    EncoderResident& operator=(const EncoderResident&) = delete;

    [[nodiscard]] const job::ModelCard& card() const override { return card_; }
    [[nodiscard]] std::uint32_t slots() const override { return slots_; }

    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override {
        requests_.fetch_add(1, std::memory_order_relaxed);
        Status accepted = try_submit(request, sink, cancel);
        if (!accepted) {
            refused_.fetch_add(1, std::memory_order_relaxed);
            sink(job::Failed{std::move(accepted).error()});
        }
    }

    [[nodiscard]] ResidentSnapshot snapshot() const override {
        ResidentSnapshot snapshot;
        snapshot.slots = slots_;
        snapshot.requests_total = requests_.load(std::memory_order_relaxed);
        snapshot.failed_total = refused_.load(std::memory_order_relaxed);
        desk_.add_to(snapshot);
        add_memory(snapshot, memory_.get());
        return snapshot;
    }

    void look_again() override {
        if (memory_ != nullptr) {
            memory_->refresh();
        }
    }
    void stop(std::uint32_t patience_ms) override { desk_.stop(patience_ms); }

private:
    Status try_submit(const job::Request& request, const job::EventSink& sink,
                      const CancelToken& cancel) {
        if (EmbeddingDesk::takes(request)) {
            return desk_.submit(request, sink, cancel);
        }
        if (is_about_tokens(request)) {
            return answer_about_tokens(request, prompts_, *tokenizer_, sink);
        }
        return fail(Fault::invalid, "model: '{}' is not made for {}", card_.id,
                    job::subject(request));
    }

    const std::uint32_t slots_;
    const job::ModelCard card_;
    const std::shared_ptr<const token::Tokenizer> tokenizer_;
    const PromptWriter prompts_;
    EmbeddingDesk desk_;
    std::shared_ptr<MemoryWatch::Subject> memory_;
    std::atomic<std::uint64_t> requests_{0};
    std::atomic<std::uint64_t> refused_{0};
};

}  // namespace

bool is_encoder_file(const std::string& path) {
    const auto file = gguf::File::open(path);
    return file && model::is_encoder((*file)->string("general.architecture").value_or(""));
}

Result<std::shared_ptr<Resident>> load_encoder(const NativeOptions& options) {
    TRILANE_TRY(auto embedder,
                engine::Embedder::open(options.model_path, options.engine, options.cancel));
    if (options.on_warming) {
        options.on_warming();
    }
    TRILANE_TRY_STATUS(embedder->check_sanity(options.cancel));
    return std::shared_ptr<Resident>(
        std::make_shared<EncoderResident>(std::move(embedder), options));
}

bool decoder_embeds(const gguf::File& file, std::string_view architecture) {
    const auto pooling = model::read_pooling(file, architecture);
    return pooling && *pooling != model::Pooling::rank;
}

}  // namespace trilane::lane
