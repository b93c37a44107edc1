// Which lane a request or a load goes to, and where to when that one will not have it: the next
// that its name, its key and the model's policy allow, until the last one's refusal ends it. Knows
// nothing of why lanes refuse.
#include <algorithm>
#include <utility>

#include "access/key_ring.h"
#include "plane/core.h"

namespace trilane::plane {
namespace {

/// Whether a request may wait for a failed seat's next try. One that crashed in service comes back
/// soon; one that does not load is not waited for.
Status worth_waiting_for(const Seat& seat, Time now) {
    if (seat.retry_at <= now || seat.comes_back_soon(now)) {
        return {};
    }
    const auto left = std::chrono::ceil<std::chrono::seconds>(seat.retry_at - now);
    return fail(seat.error->fault == Fault::invalid ? Fault::invalid : Fault::unavailable,
                "'{}' {}: {} (next try in {} s)", seat.model,
                seat.lost ? "fails again and again" : "cannot be loaded", seat.error->message,
                left.count());
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

tl::unexpected<Error> no_lane_for(std::string_view model, bool limited) {
    return limited
               ? fail(Fault::invalid,
                      "model: none of the lanes that this API key may use can serve '{}'", model)
               : fail(Fault::unavailable,
                      "no lane here can serve '{}'; `trilane probe` shows what is installed",
                      model);
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
    return no_lane_for(meaning.model->id, !waiting.request->lanes.empty());
}

/// Gives the request to a free slot of the model on that lane, or puts it in the line there. `here`
/// as of dispatch(). **Errors:** why the lane will not have it; then it is as it was.
Status Plane::Core::place(Waiting& waiting, std::size_t lane, bool here, Actions& actions) {
    LaneState& state = lanes_[lane];
    const auto seat = seat_of(lane, waiting.request->model);
    if (seat != nullptr && seat->state == lane::State::failed) {
        TRILANE_TRY_STATUS(worth_waiting_for(*seat, std::chrono::steady_clock::now()));
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

/// The same of an administrator's load.
void Plane::Core::pass_on(Ask ask, Refusal refusal, Actions& actions) {
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
    pass_line_on(want.lane, want.model, error, actions);
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
