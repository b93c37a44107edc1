#include "engine/batcher.h"

#include <algorithm>

#include "base/check.h"

namespace trilane::engine {
namespace {

/// How often a generation may be passed over for the sake of a prefix that another one is reading.
constexpr std::uint32_t kPassedOverMax = 256;

/// The queue may grow to this multiple of its limit when cancelled generations stand in it.
constexpr std::size_t kCancelledShareMax = 4;

/// A shared prefix shorter than this is read again rather than copied or waited for.
constexpr std::size_t kSharedTokensMin = 16;

/// Draws of one token before the shortest way to the end is taken.
constexpr int kHurriedDrawsMax = 8;

double ms_between(Batcher::Clock::time_point from, Batcher::Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

std::optional<Error> reason_to_end(const Generation& generation, Batcher::Clock::time_point now) {
    if (generation.cancel.cancelled()) {
        return Error{Fault::cancelled, "the request was cancelled"};
    }
    return generation.begin_by.missed(now) ? std::optional(begun_too_late()) : std::nullopt;
}

}  // namespace

Batcher::Batcher(const model::Model& model, os::ThreadTeam& team, const token::Tokenizer& tokenizer,
                 model::KvCache kv, model::Workspace workspace, const Options& options)
    : model_(model),
      team_(team),
      tokenizer_(tokenizer),
      options_(options),
      kv_(std::move(kv)),
      workspace_(std::move(workspace)),
      seeds_(std::random_device{}()) {
    for (std::uint32_t slot = 0; slot < options_.slots; ++slot) {
        slots_.push_back({Session(slot), nullptr, 0});
    }
    thread_ = std::thread([this] { loop(); });
}

Batcher::~Batcher() {
    stop(0);
}

Status Batcher::submit(std::vector<Generation> generations) {
    for (const Generation& generation : generations) {
        if (generation.prompt.empty()) {
            return fail(Fault::invalid, "the prompt is empty; it needs at least one token");
        }
        if (generation.prompt.size() + (generation.max_tokens > 0 ? 1 : 0) >
            options_.context_tokens) {
            return fail(Fault::invalid,
                        "the prompt has {} tokens, but the context holds {} for prompt and answer; "
                        "shorten the prompt{}",
                        generation.prompt.size(), options_.context_tokens,
                        options_.context_tokens < model_.config().context_tokens
                            ? " or start with a larger --ctx"
                            : "");
        }
        if (generation.constraint != nullptr &&
            generation.constraint->trie().size() != model_.config().vocab) {
            return fail(Fault::internal,
                        "the answer's format was prepared for a vocabulary of {} tokens; this "
                        "model has {}",
                        generation.constraint->trie().size(), model_.config().vocab);
        }
        for (const token::Id id : generation.prompt) {
            if (id < 0 || static_cast<std::uint32_t>(id) >= model_.config().vocab) {
                return fail(Fault::invalid, "token id {} is outside the vocabulary of {}", id,
                            model_.config().vocab);
            }
        }
    }
    const auto now = Clock::now();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (stopping_) {
            return fail(Fault::unavailable, "the engine is stopping; try again when it is back");
        }
        // Cancelled ones leave with the next step; until then they are in nobody's way.
        const auto waiting = static_cast<std::size_t>(
            std::count_if(queue_.begin(), queue_.end(),
                          [](const Queued& q) { return !q.generation.cancel.cancelled(); }));
        if (waiting + generations.size() > options_.queue_max ||
            queue_.size() > kCancelledShareMax * options_.queue_max) {
            return fail(Fault::exhausted,
                        "{} generations wait already and {} more do not fit the queue of {}; try "
                        "again later",
                        waiting, generations.size(), options_.queue_max);
        }
        for (Generation& generation : generations) {
            queue_.push_back({std::move(generation), now, 0});
        }
        queued_.store(static_cast<std::uint32_t>(queue_.size()), std::memory_order_relaxed);
    }
    wake_.notify_one();
    return {};
}

void Batcher::stop(std::uint32_t patience_ms) {
    {
        std::unique_lock<std::mutex> lock(mutex_);
        stopping_ = true;
        wake_.notify_all();
        const auto idle = [&] {
            return queue_.empty() && busy_.load(std::memory_order_relaxed) == 0;
        };
        drained_.wait_for(lock, std::chrono::milliseconds(patience_ms), idle);
        aborting_ = true;
        wake_.notify_all();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

Snapshot Batcher::snapshot() const {
    Snapshot snapshot;
    snapshot.slots = options_.slots;
    snapshot.slots_busy = busy_.load(std::memory_order_relaxed);
    snapshot.queued = queued_.load(std::memory_order_relaxed);
    snapshot.prompt_tokens_total = prompt_tokens_.load(std::memory_order_relaxed);
    snapshot.cached_tokens_total = cached_tokens_.load(std::memory_order_relaxed);
    snapshot.predicted_tokens_total = predicted_tokens_.load(std::memory_order_relaxed);
    snapshot.steps_total = steps_.load(std::memory_order_relaxed);
    return snapshot;
}

void Batcher::loop() {
    while (wait_for_work()) {
        drop_unwanted();
        admit();
        fill_batch();
        if (batch_.empty()) {
            publish();
            continue;
        }
        {
            const os::ThreadTeam::Turn turn = team_.turn();  // texts are embedded in between
            model_.forward(batch_, kv_, workspace_, team_);
        }
        ++step_;
        steps_.store(step_, std::memory_order_relaxed);
        take_logits();
        publish();
    }
    fail_all({Fault::unavailable, "the engine was stopped before the answer was complete"});
    publish();
}

/// Sleeps until something runs or waits; false when the engine is to end.
bool Batcher::wait_for_work() {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto busy = [&] { return busy_.load(std::memory_order_relaxed) != 0; };
    wake_.wait(lock, [&] { return aborting_ || stopping_ || !queue_.empty() || busy(); });
    return !aborting_ && (!queue_.empty() || busy() || !stopping_);
}

void Batcher::publish() {
    std::uint32_t busy = 0;
    for (const Slot& slot : slots_) {
        busy += slot.running != nullptr ? 1U : 0U;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    busy_.store(busy, std::memory_order_relaxed);
    queued_.store(static_cast<std::uint32_t>(queue_.size()), std::memory_order_relaxed);
    if (busy == 0 && queue_.empty()) {
        drained_.notify_all();
    }
}

/// What nobody waits for any more: cancelled, or not begun in time.
void Batcher::drop_unwanted() {
    const Clock::time_point now = Clock::now();
    std::vector<Queued> dropped;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto at = queue_.begin(); at != queue_.end();) {
            if (reason_to_end(at->generation, now)) {
                dropped.push_back(std::move(*at));
                at = queue_.erase(at);
            } else {
                ++at;
            }
        }
        // Before the listeners hear of it: who does may look.
        queued_.store(static_cast<std::uint32_t>(queue_.size()), std::memory_order_relaxed);
    }
    for (Queued& queued : dropped) {
        queued.generation.listener->on_end(
            {reason_to_end(queued.generation, now), job::FinishReason::cancelled, 0, {}});
    }
    for (Slot& slot : slots_) {
        if (slot.running == nullptr) {
            continue;
        }
        if (auto reason = reason_to_end(slot.running->generation, now)) {
            end(slot, job::FinishReason::cancelled, std::move(reason));
        }
    }
}

void Batcher::admit() {
    while (std::any_of(slots_.begin(), slots_.end(),
                       [](const Slot& s) { return s.running == nullptr; })) {
        auto queued = next_admissible();
        if (!queued.has_value()) {
            return;
        }
        start(*std::move(queued));
    }
}

std::optional<Batcher::Queued> Batcher::next_admissible() {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto at = std::find_if(queue_.begin(), queue_.end(), [&](Queued& queued) {
        return !twin_is_being_read(queued.generation) || ++queued.passed_over > kPassedOverMax;
    });
    if (at == queue_.end()) {
        return std::nullopt;
    }
    Queued queued = std::move(*at);
    queue_.erase(at);
    // Before the lock goes: stop() must not find a gap between queue and slot.
    busy_.fetch_add(1, std::memory_order_relaxed);
    queued_.store(static_cast<std::uint32_t>(queue_.size()), std::memory_order_relaxed);
    return queued;
}

/// Whether another slot is reading a prompt that begins like this one further than it has come:
/// then waiting for it and copying its cache is cheaper than reading the same tokens twice.
bool Batcher::twin_is_being_read(const Generation& generation) const {
    if (generation.prompt_logprobs) {
        return false;
    }
    return std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
        if (slot.running == nullptr || slot.running->drawn > 0) {
            return false;
        }
        const std::size_t shared =
            common_prefix(slot.running->generation.prompt, generation.prompt);
        // The last token of a prompt is always run, so it is not worth a wait.
        const std::size_t useful = std::min(shared, generation.prompt.size() - 1);
        return useful >= kSharedTokensMin && useful > slot.session.tokens().size();
    });
}

/// The free slot to use, its session holding as much of the prompt as any slot has.
Batcher::Slot& Batcher::place(const Generation& generation) {
    Slot* oldest = nullptr;
    Slot* best = nullptr;
    std::size_t best_shared = 0;
    for (Slot& slot : slots_) {
        const std::size_t shared = generation.prompt_logprobs
                                       ? 0
                                       : common_prefix(slot.session.tokens(), generation.prompt);
        if (shared > best_shared) {
            best = &slot;
            best_shared = shared;
        }
        if (slot.running == nullptr && (oldest == nullptr || slot.used_at < oldest->used_at)) {
            oldest = &slot;
        }
    }
    TRILANE_CHECK(oldest != nullptr);
    // In place when most of the slot's timeline goes on; else its own conversation would lose its
    // cache.
    if (best != nullptr && best->running == nullptr &&
        2 * best_shared >= best->session.tokens().size()) {
        return *best;
    }
    if (best != nullptr && best != oldest && best_shared >= kSharedTokensMin) {
        kv_.copy(best->session.slot(), oldest->session.slot(),
                 static_cast<std::uint32_t>(best_shared));
        oldest->session.assume(std::span(generation.prompt).first(best_shared));
    }
    return *oldest;
}

void Batcher::start(Queued queued) {
    Slot& slot = place(queued.generation);
    if (queued.generation.prompt_logprobs) {
        slot.session.clear();
    }
    const std::size_t cached = slot.session.sync(queued.generation.prompt);
    Sampler sampler(queued.generation.sampling, seeds_());
    std::vector<token::Id> timeline = queued.generation.prompt;
    slot.running =
        std::make_unique<Running>(Running{.generation = std::move(queued.generation),
                                          .session = &slot.session,
                                          .sampler = std::move(sampler),
                                          .timeline = std::move(timeline),
                                          .cached_tokens = static_cast<std::uint32_t>(cached),
                                          .queued_at = queued.since,
                                          .started_at = Clock::now(),
                                          .prompt_done_at = {}});
    cached_tokens_.fetch_add(cached, std::memory_order_relaxed);
    slot.running->generation.listener->on_start(slot.running->cached_tokens);
}

/// One token of each writer, then the prompts: the chunk is shared equally, what short prompts
/// leave goes to the longer ones.
void Batcher::fill_batch() {
    batch_.clear();
    std::vector<Running*> readers;
    for (Slot& slot : slots_) {
        if (slot.running == nullptr) {
            continue;
        }
        slot.running->rows = 0;
        if (slot.running->drawn > 0) {
            add_rows(*slot.running, 1);
        } else {
            readers.push_back(slot.running.get());
        }
    }
    std::sort(readers.begin(), readers.end(),
              [](const Running* a, const Running* b) { return a->pending() < b->pending(); });
    std::size_t budget = options_.prefill_chunk_tokens;
    for (std::size_t i = 0; i < readers.size(); ++i) {
        const std::size_t share = std::max<std::size_t>(budget / (readers.size() - i), 1);
        const std::size_t count = std::min({readers[i]->pending(), share, budget});
        add_rows(*readers[i], count);
        budget -= count;
    }
}

void Batcher::add_rows(Running& running, std::size_t count) {
    const std::size_t first = running.session->tokens().size();
    for (std::size_t i = first; i < first + count; ++i) {
        const bool last = i + 1 == running.timeline.size();
        batch_.push_back({.id = running.timeline[i],
                          .position = static_cast<std::uint32_t>(i),
                          .slot = running.session->slot(),
                          .wants_logits = last || running.generation.prompt_logprobs});
    }
    running.rows = count;
}

std::span<const float> Batcher::logits_row(std::size_t row) const {
    return {workspace_.logits.as<float>() + row * workspace_.logits_stride, model_.config().vocab};
}

/// Walks the batch in the order fill_batch made it: the slots' rows lie together, each slot once.
void Batcher::take_logits() {
    std::size_t row = 0;
    for (std::size_t at = 0; at < batch_.size();) {
        Slot& slot = slots_[batch_[at].slot];
        Running& running = *slot.running;
        at += running.rows;
        const bool read_before = running.drawn == 0;
        row = take_rows(running, row);
        if (running.pending() != 0) {
            continue;
        }
        if (read_before) {
            running.prompt_done_at = Clock::now();
        }
        draw(slot, logits_row(row - 1));
    }
}

/// Appends this step's tokens to the timeline, reporting the prompt's own log-probabilities when
/// asked. Returns the first logits row after those of this generation.
std::size_t Batcher::take_rows(Running& running, std::size_t logits_row_at) {
    const Generation& generation = running.generation;
    const std::size_t first = running.session->tokens().size();
    for (std::size_t i = first; i < first + running.rows; ++i) {
        running.session->append(running.timeline[i]);
        const bool last = i + 1 == running.timeline.size();
        if (generation.prompt_logprobs && !last && running.drawn == 0) {
            generation.listener->on_prompt_token(
                static_cast<std::uint32_t>(i + 1),
                with_logprobs(logits_row(logits_row_at), running.timeline[i + 1],
                              generation.top_logprobs.value_or(0)));
        }
        logits_row_at += last || generation.prompt_logprobs ? 1 : 0;
    }
    if (running.drawn == 0) {
        prompt_tokens_.fetch_add(running.rows, std::memory_order_relaxed);
    }
    return logits_row_at;
}

void Batcher::draw(Slot& slot, std::span<const float> logits) {
    Running& running = *slot.running;
    const Generation& generation = running.generation;
    if (generation.max_tokens == 0) {
        end(slot, job::FinishReason::length, std::nullopt);
        return;
    }
    if (!all_finite(logits)) {
        end(slot, job::FinishReason::stop,
            Error{Fault::corrupt, "the model computed no numbers; its file is damaged"});
        return;
    }
    if (!find_allowed(generation)) {
        end(slot, job::FinishReason::stop,
            Error{Fault::invalid,
                  "no token of this model can go on as the format asks; the answer was cut off "
                  "here. Ask for a simpler format"});
        return;
    }
    const token::Id id = draw_in_time(running, logits);
    const bool constrained = generation.constraint != nullptr;
    if (tokenizer_.is_end(id) && (constrained || !generation.ignore_end)) {
        end(slot, running.hastened ? job::FinishReason::length : job::FinishReason::stop,
            std::nullopt);
        return;
    }
    const bool complete =
        constrained && generation.constraint->accept(id) && generation.constraint->must_end();
    running.timeline.push_back(id);
    ++running.drawn;
    generation.begin_by.begin();
    predicted_tokens_.fetch_add(1, std::memory_order_relaxed);
    const Sampled sampled = generation.top_logprobs.has_value()
                                ? with_logprobs(logits, id, *generation.top_logprobs)
                                : Sampled{id, std::nullopt, {}};
    if (!generation.listener->on_token(sampled) || (complete && !running.hastened)) {
        end(slot, job::FinishReason::stop, std::nullopt);
    } else if (complete) {
        end(slot, job::FinishReason::length, std::nullopt);
    } else if (running.drawn >= generation.max_tokens ||
               running.timeline.size() >= options_.context_tokens) {
        end(slot, job::FinishReason::length, std::nullopt);
    }
}

/// One of allowed_. Where the text must end in time, what leaves no room for that is drawn again,
/// which is drawing from what does; after a few of those the shortest way is taken.
token::Id Batcher::draw_in_time(Running& running, std::span<const float> logits) {
    const auto draw = [&] {
        return running.sampler.draw(logits, running.timeline, running.drawn, allowed_);
    };
    const Generation& generation = running.generation;
    const token::Id first = draw();
    if (generation.constraint == nullptr || !generation.ends_in_time) {
        return first;
    }
    grammar::Matcher& constraint = *generation.constraint;
    const std::size_t left = std::min(generation.max_tokens - running.drawn,
                                      options_.context_tokens - running.timeline.size());
    const auto after = static_cast<std::uint32_t>(left - 1);
    if (constraint.leaves_room(first, after) || !constraint.can_end_within(after + 1)) {
        return first;
    }
    running.hastened = true;
    token::Id id = first;
    for (int tries = 1; tries < kHurriedDrawsMax; ++tries) {
        const auto bit = static_cast<std::size_t>(id);
        allowed_[bit / 64] &= ~(std::uint64_t{1} << (bit % 64));
        if (std::ranges::all_of(allowed_, [](std::uint64_t word) { return word == 0; })) {
            break;
        }
        id = draw();
        if (constraint.leaves_room(id, after)) {
            return id;
        }
    }
    return constraint.next_to_end().value_or(first);
}

/// Fills allowed_; false when the constraint leaves nothing.
bool Batcher::find_allowed(const Generation& generation) {
    allowed_.clear();
    if (generation.constraint == nullptr) {
        return true;
    }
    allowed_.resize(generation.constraint->trie().words());
    generation.constraint->allowed(allowed_);
    return std::any_of(allowed_.begin(), allowed_.end(),
                       [](std::uint64_t word) { return word != 0; });
}

void Batcher::end(Slot& slot, job::FinishReason reason, std::optional<Error> error) {
    const std::unique_ptr<Running> running = std::move(slot.running);
    slot.used_at = step_;
    busy_.fetch_sub(1, std::memory_order_relaxed);  // who has the last event finds the slot free
    const auto now = Clock::now();
    const bool prompt_done = running->prompt_done_at != Clock::time_point{};
    const auto prompt_end = prompt_done ? running->prompt_done_at : now;
    Ending ending{.error = std::move(error),
                  .reason = reason,
                  .cached_tokens = running->cached_tokens,
                  .timings = {}};
    ending.timings.queue_ms = ms_between(running->queued_at, running->started_at);
    ending.timings.prompt_tokens =
        static_cast<std::uint32_t>(running->generation.prompt.size()) - running->cached_tokens;
    ending.timings.prompt_ms = ms_between(running->started_at, prompt_end);
    ending.timings.predicted_tokens = static_cast<std::uint32_t>(running->drawn);
    ending.timings.predicted_ms = ms_between(prompt_end, now);
    running->generation.listener->on_end(ending);
}

void Batcher::fail_all(const Error& error) {
    std::deque<Queued> left;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        left.swap(queue_);
    }
    for (Queued& queued : left) {
        queued.generation.listener->on_end({error, job::FinishReason::cancelled, 0, {}});
    }
    for (Slot& slot : slots_) {
        if (slot.running != nullptr) {
            end(slot, job::FinishReason::cancelled, error);
        }
    }
}

}  // namespace trilane::engine
