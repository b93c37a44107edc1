// Which lane a request or a load goes to, and where to when that one will not have it: the next
// that its name, its key and the model's policy allow, until the last one's refusal ends it. Knows
// nothing of why lanes refuse.
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "access/key_ring.h"
#include "plane/core.h"

namespace trilane::plane {
namespace {

/// What is told of a failed seat until its next try.
Error pause_of(const Seat& seat, Time now) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(seat.retry_at - now);
    return {seat.lost ? Fault::unavailable : fault_of_load(seat.error->fault),
            fmt::format("'{}' {}: {} (next try in {} s)", seat.model,
                        seat.lost ? "fails again and again" : "cannot be loaded",
                        seat.error->message, left.count())};
}

/// Whether a request that waits no longer than `until` may wait for a failed seat's next try. One
/// that crashed in service comes back soon; one that does not load is not waited for.
Status worth_waiting_for(const Seat& seat, Time now, Time until = Time::max()) {
    if (seat.retry_at <= now || (seat.comes_back_soon(now) && seat.retry_at < until)) {
        return {};
    }
    return tl::unexpected(pause_of(seat, now));
}

}  // namespace

/// Where the request goes: a lane that has the model, free before busy; else one that loads it;
/// else the best that could, after its failures only when their pause is over. Not one that has
/// refused.
std::optional<std::size_t> Plane::Core::choose_lane(const Meaning& meaning,
                                                    const std::vector<std::string>& allowed,
                                                    const std::vector<Refusal>& refusals) const {
    const Time now = std::chrono::steady_clock::now();
    std::optional<std::size_t> best;
    int best_rank = 0;
    for (const Candidate& candidate : meaning.model->candidates) {
        if ((meaning.lane && *meaning.lane != candidate.lane) ||
            std::ranges::find(refusals, candidate.lane, &Refusal::lane) != refusals.end() ||
            !access::allows(allowed, lanes_[candidate.lane].lane->name())) {
            continue;
        }
        const auto seat = seat_of(candidate.lane, meaning.model->id);
        int rank = 1;
        if (seat != nullptr && seat->state == lane::State::ready) {
            rank = seat->running < seat->resident->slots() ? 4 : 3;
        } else if (seat != nullptr && seat->active() && !seat->leaving()) {
            rank = 2;
        } else if (seat != nullptr && seat->state == lane::State::failed && seat->retry_at > now) {
            rank = 0;
        }
        if (!best || rank > best_rank) {
            best = candidate.lane;
            best_rank = rank;
        }
    }
    return best;
}

/// Why choose_lane() finds none before anybody has refused.
Error Plane::Core::no_lane(const Meaning& meaning, const std::vector<std::string>& allowed) const {
    const std::string& model = meaning.model->id;
    const std::vector<std::string>& configured = meaning.model->policy.lanes;
    const std::string lane = meaning.lane ? lanes_[*meaning.lane].lane->name() : "";
    if (meaning.lane && !configured.empty() &&
        std::ranges::find(configured, lane) == configured.end()) {
        return {Fault::invalid,
                fmt::format("model: the configuration allows '{}' only on {}, not on {}; name no "
                            "other lane, or change `lanes` of its [model] table",
                            model, fmt::join(configured, ", "), lane)};
    }
    if (!allowed.empty()) {
        return {Fault::invalid,
                fmt::format("model: none of the lanes that this API key may use can serve '{}'",
                            model)};
    }
    if (meaning.lane && !meaning.model->candidates.empty()) {
        std::string able;
        for (const Candidate& candidate : meaning.model->candidates) {
            able += (able.empty() ? "" : ", ") + lanes_[candidate.lane].lane->name();
        }
        return {Fault::unavailable,
                fmt::format("lane {} cannot serve '{}'; what can: {}", lane, model, able)};
    }
    return {
        Fault::unavailable,
        fmt::format("no lane here can serve '{}'; `trilane probe` shows what is installed", model)};
}

/// Called with the mutex, like all below.
Status Plane::Core::admit(Waiting waiting, const Meaning& meaning, Actions& actions) {
    if (stopping_) {
        return tl::unexpected(stopping_error());
    }
    waiting.only_lane = meaning.lane;
    while (const auto lane = choose_lane(meaning, waiting.request->lanes, waiting.refusals)) {
        Status placed = place(waiting, *lane, true, actions);
        // A full line is no fault of the lane's: who sends less is served there.
        if (placed || placed.error().fault == Fault::exhausted) {
            return placed;
        }
        waiting.refusals.push_back({*lane, std::move(placed).error()});
    }
    if (!waiting.refusals.empty()) {
        return tl::unexpected(verdict(meaning.model->id, waiting.refusals));
    }
    return tl::unexpected(no_lane(meaning, waiting.request->lanes));
}

/// Gives the request to a free slot of the model on that lane, or puts it in the line there. `here`
/// as of dispatch(). **Errors:** why the lane will not have it; then it is as it was.
Status Plane::Core::place(Waiting& waiting, std::size_t lane, bool here, Actions& actions) {
    LaneState& state = lanes_[lane];
    const auto seat = seat_of(lane, waiting.request->model);
    if (seat != nullptr && seat->state == lane::State::failed) {
        TRILANE_TRY_STATUS(
            worth_waiting_for(*seat, std::chrono::steady_clock::now(), waiting.until));
    }
    const bool ready = seat != nullptr && seat->state == lane::State::ready;
    const std::uint32_t slots = ready ? seat->resident->slots() : 0;
    const bool fits = ready && (seat->running == 0 || seat->running + waiting.weight <= slots);
    if (fits && !state.line.waits_for(waiting.request->model)) {
        dispatch(std::move(waiting), seat, here, actions);
        return {};
    }
    TRILANE_TRY_STATUS(state.line.room_for(waiting.request->client, waiting.weight));
    state.line.push(std::move(waiting));
    if (!ready) {
        actions.emplace_back([this] { wake(); });
    }
    return {};
}

/// Sends a request that a lane refuses to the next one. Returns that; nullopt: there is none, and
/// its client is told what all of them have said.
std::optional<std::size_t> Plane::Core::pass_on(Waiting waiting, Refusal refusal,
                                                Actions& actions) {
    waiting.refusals.push_back(std::move(refusal));
    const std::string& id = waiting.request->model;
    const Model* model = table_->by_id(id);
    while (model != nullptr && !stopping_) {
        const auto lane =
            choose_lane({model, waiting.only_lane}, waiting.request->lanes, waiting.refusals);
        if (!lane) {
            break;
        }
        Status placed = place(waiting, *lane, false, actions);
        if (placed) {
            return lane;
        }
        waiting.refusals.push_back({*lane, std::move(placed).error()});
    }
    actions.emplace_back([sink = std::move(waiting.sink), error = verdict(id, waiting.refusals)] {
        sink(job::Failed{error});
    });
    return std::nullopt;
}

/// The same of one that a seat's pause keeps waiting.
std::optional<std::size_t> Plane::Core::pass_on(Waiting waiting, const Seat& seat,
                                                Actions& actions) {
    return pass_on(std::move(waiting),
                   {seat.lane, pause_of(seat, std::chrono::steady_clock::now())}, actions);
}

/// The same of an administrator's load. Who says what context to load with may say a wrong one.
void Plane::Core::pass_on(Ask ask, Refusal refusal, Actions& actions) {
    Fault& fault = refusal.error.fault;
    if (fault == Fault::exhausted || fault == Fault::invalid) {
        fault = ask.context_tokens ? Fault::invalid : fault_of_load(fault);
    }
    ask.refusals.push_back(std::move(refusal));
    const Model* model = table_->by_id(ask.want.model);
    while (model != nullptr && !stopping_) {
        const auto lane = choose_lane({model, ask.only_lane}, ask.lanes, ask.refusals);
        if (!lane) {
            break;
        }
        const auto seat = seat_of(*lane, ask.want.model);
        Status worth;
        if (seat != nullptr && seat->state == lane::State::failed) {
            worth = worth_waiting_for(*seat, std::chrono::steady_clock::now());
        }
        if (worth) {
            ask.want.lane = *lane;
            asks_.push_back(std::move(ask));
            actions.emplace_back([this] { wake(); });
            return;
        }
        ask.refusals.push_back({*lane, std::move(worth).error()});
    }
    withdraw_order(ask, actions);
    actions.emplace_back(
        [done = std::move(ask.done), error = verdict(ask.want.model, ask.refusals)] {
            done(tl::unexpected(error));
        });
}

/// All that waits on that lane for the model.
void Plane::Core::pass_line_on(std::size_t lane, const std::string& model, const Error& error,
                               Actions& actions) {
    std::set<std::size_t> told;
    for (Waiting& waiting : lanes_[lane].line.take_model(model)) {
        const auto next = pass_on(std::move(waiting), {lane, error}, actions);
        if (next && told.insert(*next).second) {
            log(fmt::format("{}: {} goes to lane {}: {}", lanes_[lane].lane->name(), model,
                            lanes_[*next].lane->name(), error.message));
        }
    }
}

/// Whether a request in the line of a seat that crashes again and again is better off elsewhere:
/// another lane may have it, or its next try is too far off to be waited for.
bool Plane::Core::should_go(const Waiting& waiting, const Seat& seat) const {
    const Time now = std::chrono::steady_clock::now();
    if (seat.state != lane::State::failed || seat.retry_at <= now) {
        return false;
    }
    if (!worth_waiting_for(seat, now, waiting.until)) {
        return true;
    }
    std::vector<Refusal> refusals = waiting.refusals;
    refusals.push_back({seat.lane, {}});
    const Model* model = table_->by_id(seat.model);
    const auto other = model == nullptr ? std::nullopt
                                        : choose_lane({model, waiting.only_lane},
                                                      waiting.request->lanes, refusals);
    if (!other) {
        return false;
    }
    const auto there = seat_of(*other, seat.model);
    const bool comes = there == nullptr || there->state != lane::State::failed ||
                       worth_waiting_for(*there, now, waiting.until).has_value();
    return comes && lanes_[*other].line.room_for(waiting.request->client, waiting.weight);
}

/// Of those who wait for a seat that has crashed, who should go.
void Plane::Core::pass_on_who_can(const Seat& seat, Actions& actions) {
    std::size_t gone = 0;
    for (Waiting& waiting : lanes_[seat.lane].line.take_if([&](const Waiting& one) {
             return one.request->model == seat.model && should_go(one, seat);
         })) {
        gone += pass_on(std::move(waiting), seat, actions) ? 1U : 0U;
    }
    if (gone > 0) {
        log(fmt::format("{}: {} request(s) for {} go to another lane meanwhile",
                        lanes_[seat.lane].lane->name(), gone, seat.model));
    }
}

/// Once nothing of the model is there or comes: when the first of its failed seats is tried again;
/// zero = that is not what is waited for.
std::chrono::seconds Plane::Core::next_try_in(std::string_view model) const {
    const std::scoped_lock lock(mutex_);
    const auto meaning = table_->find(model);
    if (!meaning) {
        return {};
    }
    const Time now = std::chrono::steady_clock::now();
    std::optional<Time> first;
    for (const Candidate& candidate : meaning->model->candidates) {
        const auto seat = meaning->lane && *meaning->lane != candidate.lane
                              ? nullptr
                              : seat_of(candidate.lane, meaning->model->id);
        if (seat == nullptr) {
            continue;
        }
        if (seat->state != lane::State::failed || seat->retry_at <= now) {
            return {};
        }
        first = first ? std::min(*first, seat->retry_at) : seat->retry_at;
    }
    return first ? std::chrono::ceil<std::chrono::seconds>(*first - now) : std::chrono::seconds();
}

/// The lane will not have it: everybody who wants it there goes on, or is told.
void Plane::Core::refuse(const Want& want, const Error& error, Actions& actions) {
    const SeatKey key{want.lane, want.model};
    needs_.erase(key);
    for (Ask& ask : take_asks([&](const Want& asked) {
             return asked.lane == want.lane && asked.model == want.model &&
                    asked.replaces == want.replaces;
         })) {
        pass_on(std::move(ask), {want.lane, error}, actions);
    }
    if (want.replaces) {
        return;  // those in line have what is loaded
    }
    Error told = error;
    if (told.fault != Fault::not_found) {
        told.fault = fault_of_load(told.fault);
    }
    pass_line_on(want.lane, want.model, told, actions);
    if (want.why == Want::Why::policy) {
        passed_[want.model].insert(want.lane);
        actions.emplace_back([this] { wake(); });
        if (refused_.insert(key).second) {
            log(fmt::format("{}: {}", lanes_[want.lane].lane->name(), error.message));
        }
    }
}

/// What a client is told at the end: the one reason, or every lane's.
Error Plane::Core::verdict(const std::string& model, const std::vector<Refusal>& refusals) const {
    const Error& first = refusals.front().error;
    if (refusals.size() == 1) {
        return first;
    }
    Error error{first.fault, fmt::format("'{}' can be had on none of its lanes", model)};
    for (std::size_t i = 0; i < refusals.size(); ++i) {
        error.message +=
            fmt::format("{}{}: {}", i == 0 ? ": " : "; ", lanes_[refusals[i].lane].lane->name(),
                        refusals[i].error.message);
        if (refusals[i].error.fault != first.fault) {
            error.fault = Fault::unavailable;
        }
    }
    return error;
}

}  // namespace trilane::plane
