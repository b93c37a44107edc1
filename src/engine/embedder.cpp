#include "engine/embedder.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "engine/embedder_readers.h"
#include "engine/loaded.h"
#include "engine/sampler.h"
#include "os/memory.h"

namespace trilane::engine {
namespace {

using Clock = std::chrono::steady_clock;

double waited_ms(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

/// A request on its way.
struct Task {
    Reading reading;
    Clock::time_point queued_at;
    std::optional<Clock::time_point> started_at;
    std::vector<std::vector<float>> rows;

    /// Hands the end to whoever asked.
    void end(std::optional<Error> error) {
        ReadingEnd end;
        const auto now = Clock::now();
        end.timings.queue_ms = waited_ms(queued_at, started_at.value_or(now));
        end.timings.prompt_ms = started_at ? waited_ms(*started_at, now) : 0;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            end.timings.prompt_tokens += static_cast<std::uint32_t>(reading.passages[i].ids.size());
        }
        end.error = std::move(error);
        if (!end.error) {
            end.rows = std::move(rows);
        }
        reading.on_end(std::move(end));
    }
};

}  // namespace

struct Embedder::State {
    // An encoder's own; of a decoder they are the engine's.
    std::shared_ptr<const gguf::File> own_file;
    std::unique_ptr<os::ThreadTeam> own_team;
    std::unique_ptr<model::Encoder> own_encoder;

    const gguf::File* file = nullptr;
    std::shared_ptr<const token::Tokenizer> tokenizer;
    std::unique_ptr<PassageReader> reader;
    std::uint32_t queue_max = 0;

    std::mutex mutex;  // guards the queue; never held while passages are read
    std::deque<Task> queue;
    bool stopping = false;
    std::atomic<bool> aborting{false};
    bool working = false;
    std::condition_variable wake;
    std::condition_variable drained;
    std::atomic<std::uint64_t> tokens_total{0};
    std::thread thread;

    void loop() {
        while (auto task = next()) {
            if (step(*task)) {
                put_back(*std::move(task));
            }
        }
    }

    /// The request whose turn it is; nothing once all is over.
    std::optional<Task> next() {
        std::unique_lock<std::mutex> lock(mutex);
        working = false;
        if (queue.empty()) {
            drained.notify_all();
        }
        wake.wait(lock, [&] { return stopping || !queue.empty(); });
        if (queue.empty()) {
            return std::nullopt;
        }
        Task task = std::move(queue.front());
        queue.pop_front();
        working = true;
        return task;
    }

    /// Behind the others, each of which gets a group read before this one's next.
    void put_back(Task task) {
        const std::lock_guard<std::mutex> lock(mutex);
        queue.push_back(std::move(task));
    }

    /// Nobody who hears of an end still sees it as running.
    void end(Task& task, std::optional<Error> error) {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            working = false;
        }
        task.end(std::move(error));
    }

    /// Reads one group of the task; true when there is more to read.
    bool step(Task& task) {
        if (const auto why = why_not(task)) {
            end(task, why);
            return false;
        }
        if (!task.started_at) {
            task.started_at = Clock::now();
            if (task.reading.on_start) {
                task.reading.on_start();
            }
        }
        const auto rest = std::span<const Passage>(task.reading.passages).subspan(task.rows.size());
        const auto group = rest.first(reader->group(rest));
        auto rows =
            reader->read(group, task.reading.scores, [&] { return why_not(task).has_value(); });
        if (!rows) {
            end(task, why_not(task).value_or(std::move(rows).error()));
            return false;
        }
        for (const Passage& passage : group) {
            tokens_total.fetch_add(passage.ids.size(), std::memory_order_relaxed);
        }
        std::move(rows->begin(), rows->end(), std::back_inserter(task.rows));
        if (task.rows.size() < task.reading.passages.size()) {
            return true;
        }
        end(task, std::nullopt);
        return false;
    }

    [[nodiscard]] std::optional<Error> why_not(const Task& task) const {
        if (task.reading.cancel.cancelled()) {
            return Error{Fault::cancelled, "the request was cancelled"};
        }
        if (aborting.load(std::memory_order_relaxed)) {
            return Error{Fault::unavailable, "the engine was stopped before all texts were read"};
        }
        if (task.reading.begin_by.missed(Clock::now())) {
            return begun_too_late();
        }
        return std::nullopt;
    }

    [[nodiscard]] Status check(const Reading& reading) const {
        if (reading.scores ? !reader->ranks() : !reader->embeds()) {
            return fail(Fault::invalid, "the model has {}",
                        reading.scores ? "no head that scores pairs of texts; use a reranker"
                                       : "a ranking head and gives scores, not vectors");
        }
        for (std::size_t i = 0; i < reading.passages.size(); ++i) {
            const auto& ids = reading.passages[i].ids;
            if (ids.empty()) {
                return fail(Fault::invalid, "text {} is empty; it needs at least one token", i);
            }
            if (ids.size() > reader->context_tokens()) {
                return fail(Fault::invalid,
                            "text {} has {} tokens, but the model reads {} at most; shorten it", i,
                            ids.size(), reader->context_tokens());
            }
            for (const token::Id id : ids) {
                if (id < 0 || static_cast<std::uint32_t>(id) >= reader->vocab()) {
                    return fail(Fault::invalid,
                                "text {}: token id {} is outside the vocabulary of {}", i, id,
                                reader->vocab());
                }
            }
        }
        return {};
    }
};

Embedder::Embedder(std::unique_ptr<State> state) : state_(std::move(state)) {
    state_->thread = std::thread([state = state_.get()] { state->loop(); });
}

Embedder::~Embedder() {
    stop(0);
}

Result<std::unique_ptr<Embedder>> Embedder::open(const std::string& path, const Options& options,
                                                 const CancelToken& cancel) {
    auto state = std::make_unique<State>();
    const kernels::KernelTable* table = &kernels::best_table();
    if (options.isa.has_value()) {
        TRILANE_TRY(table, kernels::table_for(*options.isa));
    }
    TRILANE_TRY(state->own_file, gguf::File::open(path));
    state->file = state->own_file.get();
    TRILANE_TRY(state->tokenizer, token::Tokenizer::from_gguf(state->own_file));
    state->own_team = make_team(options.threads);
    TRILANE_TRY(auto encoder, model::Encoder::load(*state->file, *table, *state->own_team, cancel));
    state->own_encoder = std::make_unique<model::Encoder>(std::move(encoder));
    const model::EncoderConfig& config = state->own_encoder->config();
    if (state->tokenizer->size() > config.vocab) {
        return fail(Fault::corrupt, "{}: the tokenizer knows {} tokens, the weights only {}", path,
                    state->tokenizer->size(), config.vocab);
    }
    // A context asked for all models may be longer than this one reads.
    const std::uint32_t context = options.context_tokens == 0
                                      ? config.context_tokens
                                      : std::min(options.context_tokens, config.context_tokens);
    TRILANE_TRY(state->reader, read_with_encoder(*state->own_encoder, *state->own_team, context));
    state->queue_max = options.queue_max;
    return std::unique_ptr<Embedder>(new Embedder(std::move(state)));
}

Result<std::unique_ptr<Embedder>> Embedder::beside(const Engine& engine) {
    auto state = std::make_unique<State>();
    state->file = &engine.file();
    state->tokenizer = engine.tokenizer();
    state->queue_max = engine.options().queue_max;
    TRILANE_TRY(const model::Pooling pooling,
                model::read_pooling(engine.file(), engine.model().config().architecture));
    TRILANE_TRY(state->reader,
                read_with_decoder(engine.model(), engine.team(), engine.options().context_tokens,
                                  engine.options().prefill_chunk_tokens, pooling));
    return std::unique_ptr<Embedder>(new Embedder(std::move(state)));
}

bool Embedder::embeds() const {
    return state_->reader->embeds();
}

bool Embedder::ranks() const {
    return state_->reader->ranks();
}

std::uint32_t Embedder::width() const {
    return state_->reader->width();
}

std::uint32_t Embedder::context_tokens() const {
    return state_->reader->context_tokens();
}

const gguf::File& Embedder::file() const {
    return *state_->file;
}

const std::shared_ptr<const token::Tokenizer>& Embedder::tokenizer() const {
    return state_->tokenizer;
}

Status Embedder::submit(Reading reading) {
    TRILANE_CHECK(!reading.passages.empty() && reading.on_end);
    TRILANE_TRY_STATUS(state_->check(reading));
    {
        const std::lock_guard<std::mutex> lock(state_->mutex);
        if (state_->stopping) {
            return fail(Fault::unavailable, "the engine is stopping; try again when it is back");
        }
        if (state_->queue.size() >= state_->queue_max) {
            return fail(Fault::exhausted,
                        "{} requests wait already and the queue holds no more; try again later",
                        state_->queue.size());
        }
        state_->queue.push_back({std::move(reading), Clock::now(), std::nullopt, {}});
    }
    state_->wake.notify_one();
    return {};
}

void Embedder::stop(std::uint32_t patience_ms) {
    {
        std::unique_lock<std::mutex> lock(state_->mutex);
        state_->stopping = true;
        state_->wake.notify_all();
        state_->drained.wait_for(lock, std::chrono::milliseconds(patience_ms),
                                 [&] { return state_->queue.empty() && !state_->working; });
        state_->aborting.store(true, std::memory_order_relaxed);
    }
    if (state_->thread.joinable()) {
        state_->thread.join();
    }
}

EmbedderSnapshot Embedder::snapshot() const {
    EmbedderSnapshot snapshot;
    const std::lock_guard<std::mutex> lock(state_->mutex);
    snapshot.busy = state_->working ? 1 : 0;
    for (const Task& task : state_->queue) {
        ++(task.started_at ? snapshot.busy : snapshot.queued);
    }
    snapshot.tokens_total = state_->tokens_total.load(std::memory_order_relaxed);
    return snapshot;
}

InMemory Embedder::in_memory() const {
    return {state_->reader->resident_bytes(),
            state_->own_file == nullptr ? 0 : os::resident_bytes(state_->own_file->bytes())};
}

Status Embedder::check_sanity(const CancelToken& cancel) const {
    constexpr std::string_view kText = "A dog barks.";
    Passage passage;
    passage.ids = tokenizer()->encode(kText, {.add_special = true, .parse_special = false});
    passage.ids.resize(std::clamp<std::size_t>(passage.ids.size(), 1, context_tokens()));
    const bool scores = !embeds();
    TRILANE_TRY(const auto rows, state_->reader->read(std::span(&passage, 1), scores,
                                                      [&] { return cancel.cancelled(); }));
    const std::vector<float>& row = rows.front();
    const auto [least, most] = std::ranges::minmax(row);
    if (!all_finite(row) || (!scores && least == most)) {
        return fail(Fault::corrupt,
                    "the model makes {} of a test text; its file may be broken: get it again",
                    all_finite(row) ? "one number over and over" : "numbers that are none");
    }
    return {};
}

}  // namespace trilane::engine
