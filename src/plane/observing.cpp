// Learns what loaded models take: looks at what they hold after their first answers and when they
// go, and corrects later needs by it. The arithmetic is plan/calibration.h's.
#include <algorithm>
#include <chrono>
#include <utility>

#include "lane/descriptor.h"
#include "plane/core.h"

namespace trilane::plane {
namespace {

/// Until a resident that looks at itself now and then will have looked again.
constexpr std::chrono::milliseconds kSeenAgainAfter{1'000};

std::int64_t unix_s() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

/// Everybody of ours in memory, loads that are under way included. Called without the mutex.
std::vector<plan::Occupant> Plane::Core::occupants() const {
    struct Looking {
        std::shared_ptr<lane::Resident> resident;
        std::function<plan::Observed()> holding;
    };
    std::vector<plan::Occupant> out;
    std::vector<Looking> looking;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [key, seat] : seats_) {
            if (seat->resident != nullptr || seat->holding) {
                plan::Occupant& one = out.emplace_back();
                one.device = lanes_[seat->lane].lane->device();
                one.claim = seat->claim;
                looking.push_back({seat->resident, seat->holding});
            }
        }
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
        const Looking& one = looking[i];
        out[i].observed =
            one.resident != nullptr ? one.resident->snapshot().observed : one.holding();
    }
    return out;
}

/// Looks at the models that have answered since they were last looked at. What a resident says of
/// itself may have been seen before they did: then it is asked again soon.
void Plane::Core::observe(Time now, Time& due_next) {
    struct Due {
        std::shared_ptr<Seat> seat;
        std::shared_ptr<lane::Resident> resident;
        std::uint32_t answers = 0;
    };
    std::vector<Due> due;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [key, seat] : seats_) {
            const bool enough =
                seat->observed_at && *seat->observed_at >= plan::kObservedAnswersMax;
            if (seat->state == lane::State::ready && seat->resident != nullptr && !enough &&
                seat->observed_at != seat->answered) {
                if (seat->observe_from == Time{}) {
                    seat->observe_from = now;
                }
                due.push_back({seat, seat->resident, seat->answered});
            }
        }
    }
    for (const Due& one : due) {
        const lane::ResidentSnapshot snapshot = one.resident->snapshot();
        const Time seen = snapshot.observed_at;
        {
            const std::scoped_lock lock(mutex_);
            if (seen != Time{} && seen < one.seat->observe_from) {
                due_next = std::min(due_next, now + kSeenAgainAfter);
                continue;
            }
            one.seat->observe_from = {};
        }
        observe(one.seat, snapshot.observed, one.answers);
    }
}

/// Called without the mutex.
void Plane::Core::observe(const std::shared_ptr<Seat>& seat, const plan::Observed& observed,
                          std::uint32_t answers) {
    std::string line;
    {
        const std::scoped_lock lock(mutex_);
        const bool enough = seat->observed_at && *seat->observed_at >= plan::kObservedAnswersMax;
        seat->observed_at = answers;
        const lane::Lane& lane = *lanes_[seat->lane].lane;
        const auto held = plan::comparable_bytes(seat->need, observed, lane.device());
        const std::uint64_t predicted = seat->need.predicted_bytes();
        // That not everything is there yet says nothing before it has settled.
        if (enough || !held || (answers < plan::kSettledAnswers && *held <= predicted)) {
            return;
        }
        plan::Observation fresh;
        fresh.load = load_kind(*seat);
        fresh.predicted_bytes = predicted;
        fresh.filling_bytes = plan::filling_bytes_of(seat->need);
        fresh.observed_bytes = *held;
        fresh.answers = std::min(answers, plan::kObservedAnswersMax);
        fresh.unix_s = unix_s();
        if (!plan::note(observations_, fresh, std::exchange(seat->noted, true))) {
            return;
        }
        line = fmt::format("{}: {} holds {:.2f} GB, {:.2f} GB were predicted", lane.name(),
                           seat->model, static_cast<double>(*held) * 1e-9,
                           static_cast<double>(predicted) * 1e-9);
        unkept_ = true;
    }
    log(line);
    post(unloaders_, [self = shared_from_this()] { self->keep_observations(); });
}

/// Has them written down. Called without the mutex, on a thread that may wait.
void Plane::Core::keep_observations() {
    if (!options_.on_observation) {
        return;
    }
    const std::scoped_lock keeping(keeping_);
    std::vector<plan::Observation> all;
    {
        const std::scoped_lock lock(mutex_);
        if (!std::exchange(unkept_, false)) {
            return;
        }
        all = observations_;
    }
    options_.on_observation(all);
}

/// Called with the mutex.
plan::LoadKind Plane::Core::load_kind(const Seat& seat) const {
    const lane::Lane& lane = *lanes_[seat.lane].lane;
    return {.model = seat.model,
            .weight_bytes = plan::weight_bytes_of(seat.need),
            .lane = std::string(lane.descriptor().kind),
            .device = lane.device(),
            .kv = seat.kv,
            .context_tokens = seat.need.context_tokens,
            .parallel = seat.need.parallel};
}

/// Called with the mutex.
plan::Need Plane::Core::corrected(plan::Need need, std::size_t lane, const std::string& model,
                                  plan::KvType kv) const {
    Seat seat;
    seat.lane = lane;
    seat.model = model;
    seat.kv = kv;
    seat.need = std::move(need);
    plan::correct(seat.need, load_kind(seat), observations_);
    return std::move(seat.need);
}

}  // namespace trilane::plane
