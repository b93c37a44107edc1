#include "plane/core.h"

#include <algorithm>
#include <utility>

#include "lane/descriptor.h"

namespace trilane::plane {

using Clock = std::chrono::steady_clock;

/// A request that a seat works on. What it was promised cannot be evicted while this lives.
struct Plane::Core::Lease {
    std::shared_ptr<Seat> seat;
    Waiting asked;  // as it came out of the line: it may have to go back
    double waited_ms = 0;
    std::string lane;
    bool begun = false;  // the client has heard of it; only the resident's thread looks
    bool ended = false;

    Lease() = default;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    /// A resident that forgets a request must not leave its client waiting.
    ~Lease() {
        if (!ended) {
            asked.sink(job::Failed{{Fault::unavailable, "the request was dropped; send it again"}});
        }
    }
};

Plane::Core::Core(PlaneOptions options, std::vector<std::shared_ptr<lane::Lane>> lanes)
    : options_(std::move(options)),
      dispatchers_(std::make_unique<os::WorkerPool>(kDispatchThreads, kJobsWaitingMax)),
      loaders_(std::make_unique<os::WorkerPool>(kLoadsAtOnce, kJobsWaitingMax)),
      unloaders_(std::make_unique<os::WorkerPool>(kUnloadsAtOnce, kJobsWaitingMax)) {
    for (auto& lane : lanes) {
        lanes_.push_back({std::move(lane), WaitingLine(options_.line), {}, 0, 0, 0, 0});
    }
    observations_ = std::exchange(options_.observations, {});
    catalogue_changed();
}

void Plane::Core::log(std::string_view line) const {
    if (options_.log) {
        options_.log(line);
    }
}

std::shared_ptr<const ModelTable> Plane::Core::table() const {
    const std::scoped_lock lock(mutex_);
    return table_;
}

std::shared_ptr<Seat> Plane::Core::seat_of(std::size_t lane, std::string_view model) const {
    const auto at = seats_.find({lane, std::string(model)});
    return at == seats_.end() ? nullptr : at->second;
}

void Plane::Core::submit(job::Request request, job::EventSink sink, const CancelToken& cancel) {
    Actions actions;
    const Time now = Clock::now();
    Waiting waiting;
    waiting.sink = sink;
    waiting.cancel = cancel;
    waiting.since = now;
    waiting.until = now + options_.wait_max;
    if (request.deadline != Time()) {
        waiting.until = std::min(waiting.until, request.deadline);
    }
    waiting.weight = std::max(request.choices, 1U);
    Status admitted;
    {
        const std::scoped_lock lock(mutex_);
        const auto meaning = table_->find(request.model);
        if (!meaning) {
            admitted = tl::unexpected(meaning.error());
        } else {
            request.model = meaning->model->id;
            waiting.request = std::make_shared<const job::Request>(std::move(request));
            admitted = admit(std::move(waiting), *meaning, actions);
        }
    }
    if (!admitted) {
        sink(job::Failed{std::move(admitted).error()});
        return;
    }
    for (const auto& action : actions) {
        action();
    }
}

/// Leases the seat to the request. `here`: the calling thread may be kept for a template's and
/// tokenizer's time.
void Plane::Core::dispatch(Waiting waiting, const std::shared_ptr<Seat>& seat, bool here,
                           Actions& actions) {
    const bool in_process = lanes_[seat->lane].lane->descriptor().silicon == lane::Silicon::cpu &&
                            lanes_[seat->lane].lane->descriptor().programs.empty();
    auto lease = std::make_shared<Lease>();
    lease->seat = seat;
    lease->asked = std::move(waiting);
    lease->waited_ms =
        std::chrono::duration<double, std::milli>(Clock::now() - lease->asked.since).count();
    lease->lane = lanes_[seat->lane].lane->name();
    seat->running += lease->asked.weight;
    seat->has_served = true;
    auto hand_over = [self = shared_from_this(), lease, resident = seat->resident] {
        resident->submit(
            *lease->asked.request,
            [self, lease](job::Event event) { self->on_event(lease, std::move(event)); },
            lease->asked.cancel);
    };
    if (here || !in_process) {
        actions.push_back(std::move(hand_over));
    } else {
        actions.emplace_back([this, hand_over = std::move(hand_over)]() mutable {
            post(dispatchers_, std::move(hand_over));
        });
    }
}

/// Gives every resident of a lane what it has slots for.
void Plane::Core::dispatch_waiting(std::size_t lane, Actions& actions) {
    WaitingLine& line = lanes_[lane].line;
    if (line.length() == 0) {
        return;
    }
    const Time now = Clock::now();
    for (auto& [key, seat] : seats_) {
        if (key.first != lane || seat->state != lane::State::ready) {
            continue;
        }
        const std::uint32_t slots = seat->resident->slots();
        while (seat->running < slots) {
            const std::uint32_t free = seat->running == 0 ? UINT32_MAX : slots - seat->running;
            auto next = line.pop(seat->model, free, now);
            if (!next) {
                break;
            }
            dispatch(*std::move(next), seat, false, actions);
        }
    }
}

void Plane::Core::on_event(const std::shared_ptr<Lease>& lease, job::Event event) {
    auto* failed = std::get_if<job::Failed>(&event);
    if (failed != nullptr && !lease->begun && failed->error.fault == Fault::unavailable &&
        take_back(lease)) {
        return;
    }
    auto* done = std::get_if<job::Done>(&event);
    if (done != nullptr) {
        done->timings.queue_ms += lease->waited_ms;
        done->lane = lease->lane;
    } else if (auto* started = std::get_if<job::Started>(&event)) {
        started->lane = lease->lane;
    }
    const bool last = failed != nullptr || done != nullptr;
    lease->begun = true;
    if (last) {
        // First the slot, then the news: who has the answer may ask again at once.
        lease->ended = true;
        release(lease, done != nullptr);
    }
    lease->asked.sink(std::move(event));
}

/// A request that its resident could not even begin, most likely because it is going away, runs
/// once more: when the loss is known and made good, or after a moment on the same one.
bool Plane::Core::take_back(const std::shared_ptr<Lease>& lease) {
    constexpr std::chrono::milliseconds kLossShows{100};
    if (lease->asked.retried || lease->asked.cancel.cancelled()) {
        return false;
    }
    Actions actions;
    {
        const std::scoped_lock lock(mutex_);
        const Seat& seat = *lease->seat;
        if (stopping_ || seat.leaving()) {
            return false;
        }
        Waiting again = lease->asked;
        again.not_before = Clock::now() + kLossShows;
        again.retried = true;
        lease->ended = true;
        if (should_go(again, seat)) {
            pass_on(std::move(again), seat, actions);
        } else {
            lanes_[seat.lane].line.push_front(std::move(again));
        }
    }
    release(lease, false);
    for (const auto& action : actions) {
        action();
    }
    wake();
    return true;
}

void Plane::Core::release(const std::shared_ptr<Lease>& lease, bool answered) {
    Actions actions;
    bool decide = false;
    {
        const std::scoped_lock lock(mutex_);
        Seat& seat = *lease->seat;
        seat.running -= lease->asked.weight;
        seat.answered += answered ? 1 : 0;
        const bool settles = answered && seat.answered == plan::kSettledAnswers;
        seat.last_used = Clock::now();
        dispatch_waiting(seat.lane, actions);
        // Somebody may wait for this one to be idle: to take its room, or to unload it.
        decide = settles ||
                 (seat.running == 0 && (seat.leaving() || seat.keep || !asks_.empty() ||
                                        std::ranges::any_of(lanes_, [](const LaneState& lane) {
                                            return lane.line.length() > 0;
                                        })));
    }
    for (const auto& action : actions) {
        action();
    }
    if (decide) {
        wake();
    }
}

void Plane::Core::notice_cancel() {
    std::vector<std::shared_ptr<lane::Resident>> residents;
    std::vector<Waiting> dead;
    {
        const std::scoped_lock lock(mutex_);
        for (LaneState& lane : lanes_) {
            for (Waiting& waiting : lane.line.take_dead(Time::min())) {
                dead.push_back(std::move(waiting));
            }
        }
        for (const auto& [key, seat] : seats_) {
            if (seat->resident != nullptr && seat->running > 0) {
                residents.push_back(seat->resident);
            }
        }
    }
    for (const auto& resident : residents) {
        resident->notice_cancel();
    }
    for (const Waiting& waiting : dead) {
        waiting.sink(job::Failed{{Fault::cancelled, "the client has gone"}});
    }
}

job::ModelCard Plane::Core::card_of(const Model& model) const {
    const std::scoped_lock lock(mutex_);
    for (const Candidate& candidate : model.candidates) {
        const auto seat = seat_of(candidate.lane, model.id);
        if (seat != nullptr && seat->resident != nullptr) {
            job::ModelCard card = seat->resident->card();
            card.id = model.id;
            return card;
        }
    }
    return model.card;
}

Line Plane::Core::line_of(std::string_view model) const {
    const std::scoped_lock lock(mutex_);
    const auto meaning = table_->find(model);
    const auto lane = meaning ? choose_lane(*meaning) : std::nullopt;
    if (!lane) {
        return {};
    }
    const WaitingLine& line = lanes_[*lane].line;
    return {line.length(), line.limits().length_max};
}

namespace {

void add_totals(LaneView& view, const lane::ResidentSnapshot& load) {
    view.requests_total += load.requests_total;
    view.prompt_tokens_total += load.prompt_tokens_total;
    view.cached_tokens_total += load.cached_tokens_total;
    view.predicted_tokens_total += load.predicted_tokens_total;
    view.cancelled_total += load.cancelled_total;
    view.failed_total += load.failed_total;
}

lane::State shown_state(const Seat& seat, Time now) {
    constexpr std::chrono::seconds kIdleAfter{10};
    if (seat.state != lane::State::ready) {
        return seat.state;
    }
    if (seat.running > 0) {
        return lane::State::serving;
    }
    return seat.has_served && now - seat.last_used > kIdleAfter ? lane::State::idle
                                                                : lane::State::ready;
}

}  // namespace

LaneView Plane::Core::lane_view(std::size_t lane, std::vector<Asked>& asked) const {
    const LaneState& state = lanes_[lane];
    const lane::Descriptor& kind = state.lane->descriptor();
    LaneView view;
    view.name = state.lane->name();
    view.kind = kind.kind;
    view.silicon = lane::silicon_name(kind.silicon);
    view.queued = state.line.length();
    view.queued_max = state.line.limits().length_max;
    view.loads_total = state.loads_total;
    view.load_failures_total = state.load_failures_total;
    view.evictions_total = state.evictions_total;
    view.lost_total = state.lost_total;
    add_totals(view, state.retired);
    const Time now = Clock::now();
    for (const auto& [key, seat] : seats_) {
        if (key.first != lane) {
            continue;
        }
        Residency& one = view.residents.emplace_back();
        one.model = seat->model;
        one.state = shown_state(*seat, now);
        one.since_unix_ms = seat->since_unix_ms;
        one.pinned = seat->pinned;
        if (const auto stays = seat->stays(); stays && !seat->pinned && seat->resident != nullptr) {
            const auto left = (seat->running > 0 ? now : seat->last_used) + *stays - now;
            one.expires_unix_ms = std::chrono::floor<std::chrono::milliseconds>(
                                      std::chrono::system_clock::now().time_since_epoch() + left)
                                      .count();
        }
        one.context_tokens = seat->need.context_tokens;
        one.predicted_bytes = seat->need.predicted_bytes();
        one.planned_bytes = seat->need.bytes();
        one.correction = seat->need.correction;
        one.load_ms = seat->load_ms;
        one.waiting = state.line.weight_of(seat->model);
        one.failures = seat->failures;
        one.error = seat->error ? seat->error->message : "";
        if (seat->resident != nullptr && !seat->retired) {
            asked.push_back({lane, view.residents.size() - 1, seat->resident});
        }
    }
    return view;
}

View Plane::Core::view() const {
    View view;
    std::vector<Asked> asked;
    {
        const std::scoped_lock lock(mutex_);
        for (std::size_t i = 0; i < lanes_.size(); ++i) {
            view.lanes.push_back(lane_view(i, asked));
        }
        for (std::size_t i = 0; i < memory_.pools.size(); ++i) {
            const plan::Pool& pool = memory_.pools[i];
            PoolView& out = view.pools.emplace_back();
            out.name = pool.name;
            out.total_bytes = pool.total_bytes;
            out.reserve_bytes = pool.reserve_bytes;
            out.foreign_bytes = pool.foreign_bytes;
            for (const auto& [key, seat] : seats_) {
                out.planned_bytes += i < seat->claim.size() ? seat->claim[i] : 0;
            }
        }
    }
    for (const Asked& one : asked) {
        LaneView& lane = view.lanes[one.lane];
        lane::ResidentSnapshot& load = lane.residents[one.index].load;
        load = one.resident->snapshot();
        lane.slots += load.slots;
        lane.slots_busy += load.slots_busy;
        add_totals(lane, load);
    }
    return view;
}

Result<std::shared_ptr<os::LogRing>> Plane::Core::log_of(std::string_view lane) const {
    const std::scoped_lock lock(mutex_);
    std::string names;
    for (const LaneState& state : lanes_) {
        if (state.lane->name() == lane) {
            return state.lane->log();
        }
        names += (names.empty() ? "" : ", ") + state.lane->name();
    }
    return fail(Fault::not_found, "there is no lane '{}'; there is: {}", lane, names);
}

}  // namespace trilane::plane
