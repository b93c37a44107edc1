// Moves models in and out of lanes. Loads and unloads run on pools of their own, without the mutex.
#include <algorithm>
#include <thread>
#include <utility>

#include "plane/core.h"

namespace trilane::plane {
namespace {

using Clock = std::chrono::steady_clock;

/// What runs on a resident that is evicted has ended by itself; one that is unloaded by its user or
/// lost gets no more than this.
constexpr std::uint32_t kUnloadPatienceMs = 0;
constexpr std::chrono::milliseconds kRetryMsMin{500};
constexpr std::chrono::milliseconds kRetryMsMax{60'000};
constexpr std::uint32_t kRetryDoublingsMax = 7;

std::int64_t unix_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::chrono::milliseconds pause_after(std::uint32_t failures) {
    if (failures == 0) {
        return std::chrono::milliseconds(0);
    }
    const std::uint32_t doublings = std::min(failures - 1, kRetryDoublingsMax);
    return std::min(kRetryMsMin * (std::uint32_t{1} << doublings), kRetryMsMax);
}

/// Drops a resident here, on a thread that may wait, after those who still look at it for a moment:
/// the last one to leave ends it, and threads of the loops must not.
void let_go(std::shared_ptr<lane::Resident> resident) {
    constexpr std::chrono::seconds kUsersPatience{2};
    const Time end = Clock::now() + kUsersPatience;
    // Nobody can come: whoever looks takes it from its seat, which has let it go.
    while (resident.use_count() > 1 && Clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace

/// Runs the work on that pool, or here when there is none any more. A full pool cannot be: seats
/// bound what there is to do; if it is nevertheless, the work is done here rather than not at all.
void Plane::Core::post(const std::unique_ptr<os::WorkerPool>& pool,
                       std::function<void()> work) const {
    const auto shared = std::make_shared<std::function<void()>>(std::move(work));
    {
        const std::scoped_lock lock(mutex_);
        if (pool != nullptr && pool->post([shared] { (*shared)(); })) {
            return;
        }
    }
    (*shared)();
}

/// A step that the machine does not have is a bug of ours (or a lane that reports its phases out of
/// order). It is not taken, and told of: one odd seat is better than no daemon. False then.
bool Plane::Core::set_state(Seat& seat, lane::State state) const {
    if (seat.state == state) {
        return true;
    }
    if (!lane::may_follow(seat.state, state)) {
        log(fmt::format("bug: {}/{} cannot go from {} to {}; please report this",
                        lanes_[seat.lane].lane->name(), seat.model, lane::state_name(seat.state),
                        lane::state_name(state)));
        return false;
    }
    seat.state = state;
    seat.since_unix_ms = unix_ms();
    return true;
}

/// Once the room it was promised is free. Called with the mutex.
void Plane::Core::begin_load(const std::shared_ptr<Seat>& seat, Actions& actions) {
    if (!seat->awaits.empty() || stopping_) {
        return;
    }
    seat->load_began = Clock::now();
    actions.emplace_back([self = shared_from_this(), seat] {
        self->post(self->loaders_, [self, seat] { self->run_load(seat); });
    });
}

void Plane::Core::run_load(const std::shared_ptr<Seat>& seat) {
    lane::LoadRequest request;
    std::shared_ptr<lane::Lane> lane;
    {
        const std::scoped_lock lock(mutex_);
        request.entry = seat->entry;
        request.entry.id = seat->model;
        request.wishes = seat->wishes;
        request.need = seat->need;
        request.cancel = seat->load_cancel;
        lane = lanes_[seat->lane].lane;
    }
    request.on_phase = [this, seat](lane::LoadPhase phase) {
        const std::scoped_lock lock(mutex_);
        if (seat->active() && !seat->leaving()) {
            set_state(*seat, phase == lane::LoadPhase::warming ? lane::State::warming
                                                               : lane::State::starting);
        }
    };
    request.on_holding = [this, seat](std::function<plan::Observed()> holding) {
        const std::scoped_lock lock(mutex_);
        seat->holding = std::move(holding);
    };
    request.on_lost = [weak = weak_from_this(), seat](const Error& error) {
        if (const auto self = weak.lock()) {
            self->on_lost(seat, error);
        }
    };
    const std::uint64_t planned = request.need.bytes();
    const std::uint64_t predicted = request.need.predicted_bytes();
    log(fmt::format("{}: loading {} ({} tokens of context, {:.2f} GB planned{})", lane->name(),
                    seat->model, request.need.context_tokens, static_cast<double>(planned) * 1e-9,
                    planned == predicted ? ""
                                         : fmt::format(", {:.2f} GB predicted and corrected",
                                                       static_cast<double>(predicted) * 1e-9)));
    const Time began = Clock::now();
    auto result = lane->load(std::move(request));
    const std::chrono::duration<double, std::milli> took = Clock::now() - began;
    finish_load(seat, std::move(result), took.count());
}

void Plane::Core::finish_load(const std::shared_ptr<Seat>& seat,
                              Result<std::shared_ptr<lane::Resident>> result, double ms) {
    Actions actions;
    std::string line;
    {
        const std::scoped_lock lock(mutex_);
        LaneState& lane = lanes_[seat->lane];
        seat->load_ms = ms;
        seat->holding = nullptr;
        if (!result) {
            // What nobody wants any more has not failed.
            const bool wanted = !seat->load_cancel.cancelled();
            lane.load_failures_total += wanted ? 1 : 0;
            line = fmt::format("{}: {} {}: {}", lane.lane->name(), seat->model,
                               wanted ? "could not be loaded" : "is loaded no further",
                               result.error().message);
            if (seat->leaving()) {
                room_was_made(seat, actions);  // nobody wanted it any more
            } else {
                fail_seat(seat, std::move(result).error(), actions);
            }
        } else {
            lane.loads_total += 1;
            seat->resident = *std::move(result);
            seat->last_used = Clock::now();
            line =
                fmt::format("{}: {} is ready after {:.0f} ms", lane.lane->name(), seat->model, ms);
            if (seat->leaving()) {
                begin_unload(seat, actions);
            } else if (seat->error) {  // lost before this line was reached
                fail_seat(seat, *seat->error, actions);
            } else {
                set_state(*seat, lane::State::ready);
                pin_seats();
                preloaded_.insert(seat->model);
                passed_.erase(seat->model);
                if (unpinned_.erase(seat->model) > 0) {
                    ++version_;
                    actions.emplace_back([this] { remake_table(); });
                }
                for (Ask& ask : std::exchange(seat->asks, {})) {
                    actions.emplace_back([done = std::move(ask.done)] { done({}); });
                }
                dispatch_waiting(seat->lane, actions);
            }
        }
    }
    log(line);
    for (const auto& action : actions) {
        action();
    }
    wake();
}

/// The seat can serve nobody. Its resident, if it has one, is cleared away; who waits for a load
/// that failed goes to another lane, or is told why. Called with the mutex.
void Plane::Core::fail_seat(const std::shared_ptr<Seat>& seat, Error error, Actions& actions) {
    const bool was_ready = seat->state == lane::State::ready;
    seat->failures += 1;
    seat->lost = was_ready;
    // What crashed once is loaded again at once; what does not load will not in the next moment.
    seat->retry_at = Clock::now() + pause_after(was_ready ? seat->failures - 1 : seat->failures);
    seat->error = std::move(error);
    set_state(*seat, lane::State::failed);
    for (Ask& ask : std::exchange(seat->asks, {})) {
        pass_on(std::move(ask), {seat->lane, *seat->error}, actions);
    }
    if (!was_ready) {
        if (seat->policy.pin || seat->policy.preload) {
            passed_[seat->model].insert(seat->lane);
        }
        Error told = *seat->error;
        told.message = fmt::format("'{}' cannot be loaded: {}", seat->model, told.message);
        told.fault = fault_of_load(told.fault);
        pass_line_on(seat->lane, seat->model, told, actions);
    } else if (seat->retry_at > Clock::now()) {
        pass_on_who_can(*seat, actions);
    }
    if (seat->resident != nullptr) {
        actions.emplace_back([self = shared_from_this(), seat] {
            self->post(self->unloaders_, [self, seat] { self->run_unload(seat, 0); });
        });
    } else {
        seat->claim.clear();
        room_was_made(seat, actions);
    }
}

void Plane::Core::on_lost(const std::shared_ptr<Seat>& seat, const Error& error) {
    Actions actions;
    std::string line;
    {
        const std::scoped_lock lock(mutex_);
        if (stopping_ || seat->leaving() || seat->state == lane::State::failed) {
            return;
        }
        LaneState& lane = lanes_[seat->lane];
        lane.lost_total += 1;
        line = fmt::format("{}: {} was lost: {}", lane.lane->name(), seat->model, error.message);
        if (seat->resident == nullptr) {
            seat->error = error;  // its load is just coming to an end: see finish_load
        } else {
            // One that served for a while is no crash loop, and worth an immediate try.
            constexpr std::chrono::seconds kServedWell{60};
            constexpr std::uint32_t kAnsweredWell = 8;
            if (seat->answered >= kAnsweredWell || Clock::now() - seat->load_began > kServedWell) {
                seat->failures = 0;
            }
            fail_seat(seat, error, actions);
        }
    }
    log(line);
    for (const auto& action : actions) {
        action();
    }
    wake();
}

/// Nothing new reaches the seat from now on. Called with the mutex.
void Plane::Core::begin_unload(const std::shared_ptr<Seat>& seat, Actions& actions) {
    if (seat->resident == nullptr) {
        set_state(*seat, lane::State::unloading);
        seat->load_cancel.cancel();  // finish_load() sees the state
        return;
    }
    if (seat->running > 0) {
        set_state(*seat, lane::State::draining);  // the decider comes back when nothing runs
        return;
    }
    if (std::exchange(seat->unloading_begun, true)) {
        return;
    }
    set_state(*seat, lane::State::unloading);
    actions.emplace_back([self = shared_from_this(), seat] {
        self->post(self->unloaders_, [self, seat] { self->run_unload(seat, kUnloadPatienceMs); });
    });
}

void Plane::Core::run_unload(const std::shared_ptr<Seat>& seat, std::uint32_t patience_ms) {
    std::shared_ptr<lane::Resident> resident;
    lane::ResidentSnapshot last;
    std::uint32_t answers = 0;
    {
        const std::scoped_lock lock(mutex_);
        resident = seat->resident;
        answers = seat->answered;
    }
    if (resident != nullptr) {
        resident->look_again();
        observe(seat, resident->snapshot().observed, answers);
        resident->stop(patience_ms);
        last = resident->snapshot();
    }
    Actions actions;
    std::string line;
    {
        const std::scoped_lock lock(mutex_);
        retire_totals(*seat, last);
        seat->resident.reset();
        seat->claim.clear();
        line = fmt::format("{}: {} is unloaded", lanes_[seat->lane].lane->name(), seat->model);
        room_was_made(seat, actions);
    }
    log(line);
    for (const auto& action : actions) {
        action();
    }
    wake();
    if (resident != nullptr) {
        let_go(std::move(resident));
    }
}

/// The seat holds nothing any more: whoever waits for its room goes on. Called with the mutex.
void Plane::Core::room_was_made(const std::shared_ptr<Seat>& seat, Actions& actions) {
    if (seat->state != lane::State::failed) {
        set_state(*seat, lane::State::offline);
        const auto at = seats_.find({seat->lane, seat->model});
        if (at != seats_.end() && at->second == seat) {
            seats_.erase(at);
        }
        for (Ask& ask : std::exchange(seat->asks, {})) {
            actions.emplace_back([done = std::move(ask.done)] {
                done(fail(Fault::cancelled, "it was unloaded before it was ready"));
            });
        }
    }
    for (auto& [key, other] : seats_) {
        if (std::erase(other->awaits, seat) > 0) {
            begin_load(other, actions);
        }
    }
}

/// Adds what the seat's resident has done to what its lane has. `last` is taken before, without the
/// mutex: taking it may read files. Called with it.
void Plane::Core::retire_totals(Seat& seat, const lane::ResidentSnapshot& last) {
    if (seat.resident == nullptr || std::exchange(seat.retired, true)) {
        return;
    }
    lane::ResidentSnapshot& sum = lanes_[seat.lane].retired;
    sum.requests_total += last.requests_total;
    sum.prompt_tokens_total += last.prompt_tokens_total;
    sum.cached_tokens_total += last.cached_tokens_total;
    sum.predicted_tokens_total += last.predicted_tokens_total;
    sum.cancelled_total += last.cancelled_total;
    sum.failed_total += last.failed_total;
}

/// All at the same time: the slowest decides.
void Plane::Core::stop_residents(const std::vector<std::shared_ptr<Seat>>& seats,
                                 std::uint32_t patience_ms) {
    std::vector<std::thread> stoppers;
    for (const auto& seat : seats) {
        std::shared_ptr<lane::Resident> resident;
        std::uint32_t answers = 0;
        {
            const std::scoped_lock lock(mutex_);
            resident = seat->resident;
            answers = seat->answered;
        }
        if (resident != nullptr) {
            stoppers.emplace_back([this, seat, resident, answers, patience_ms] {
                resident->look_again();
                observe(seat, resident->snapshot().observed, answers);
                resident->stop(patience_ms);
            });
        }
    }
    for (std::thread& stopper : stoppers) {
        stopper.join();
    }
}

void Plane::Core::stop(std::uint32_t patience_ms) {
    std::vector<Waiting> waiting;
    std::vector<Ask> asks;
    std::vector<std::shared_ptr<Seat>> seats;
    {
        const std::scoped_lock lock(mutex_);
        if (std::exchange(stopping_, true)) {
            return;
        }
        for (LaneState& lane : lanes_) {
            std::ranges::move(lane.line.take_all(), std::back_inserter(waiting));
        }
        asks = std::exchange(asks_, {});
        for (const auto& [key, seat] : seats_) {
            seat->load_cancel.cancel();
            seats.push_back(seat);
            std::ranges::move(std::exchange(seat->asks, {}), std::back_inserter(asks));
        }
        awake_ = true;
        wake_.notify_all();
    }
    for (const Waiting& one : waiting) {
        one.sink(job::Failed{stopping_error()});
    }
    for (const Ask& ask : asks) {
        ask.done(tl::unexpected(stopping_error()));
    }
    if (decider_.joinable()) {
        decider_.join();
    }
    stop_residents(seats, patience_ms);
    stop_pools();
    clear_seats();
}

/// Loads that were under way see their token.
void Plane::Core::stop_pools() {
    std::vector<std::unique_ptr<os::WorkerPool>> pools;
    for (auto* pool : {&loaders_, &dispatchers_, &unloaders_}) {
        const std::scoped_lock lock(mutex_);
        pools.push_back(std::move(*pool));
    }
    pools.clear();
    keep_observations();  // if a pool has dropped that
}

/// Ends what loads may still have brought. Nobody else changes seats any more.
void Plane::Core::clear_seats() {
    struct Last {
        std::shared_ptr<Seat> seat;
        std::shared_ptr<lane::Resident> resident;
        lane::ResidentSnapshot snapshot;
    };
    std::vector<Last> all;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [key, seat] : seats_) {
            all.push_back({seat, seat->resident, {}});
        }
    }
    for (Last& one : all) {
        if (one.resident != nullptr) {
            one.resident->stop(0);
            one.snapshot = one.resident->snapshot();
        }
    }
    {
        const std::scoped_lock lock(mutex_);
        for (const Last& one : all) {
            retire_totals(*one.seat, one.snapshot);
            one.seat->resident.reset();
        }
        seats_.clear();
    }
    for (Last& one : all) {
        if (one.resident != nullptr) {
            let_go(std::move(one.resident));
        }
    }
}

}  // namespace trilane::plane
