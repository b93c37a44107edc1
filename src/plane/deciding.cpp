// The plane's thread: what is wanted, what fits, who has to go, who has waited long enough. Reads
// memory and file headers without the mutex, then decides with it.
#include <algorithm>
#include <array>
#include <utility>

#include "lane/descriptor.h"
#include "plane/core.h"

namespace trilane::plane {
namespace {

using Clock = std::chrono::steady_clock;

/// Looks around at least so often, whatever nobody told it.
constexpr std::chrono::seconds kLookAgain{5};
/// A context that is worth more than another model's staying, and the least worth loading with.
constexpr std::uint32_t kContextTokensComfort = 8192;
constexpr std::uint32_t kContextTokensMin = 2048;
/// Contexts chosen here are multiples of this.
constexpr std::uint32_t kContextStep = 256;
/// Nobody's own choice of context lets its KV cache take more of what is free.
constexpr double kKvShareMax = 0.5;

std::string seat_name(const lane::Lane& lane, std::string_view model) {
    return fmt::format("{}/{}", lane.name(), model);
}

}  // namespace

void Plane::Core::start() {
    decider_ = std::thread([this] { decide_forever(); });
}

void Plane::Core::wake() {
    const std::scoped_lock lock(mutex_);
    awake_ = true;
    wake_.notify_one();
}

void Plane::Core::decide_forever() {
    Time due = Clock::now();
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            wake_.wait_until(lock, due, [this] { return awake_ || stopping_; });
            awake_ = false;
            if (stopping_) {
                return;
            }
        }
        due = tick();
    }
}

/// One look at everything. Returns when the next is due.
Time Plane::Core::tick() {
    const Time now = Clock::now();
    Time due = now + kLookAgain;
    observe(now, due);
    Actions actions;
    std::vector<Want> wanted;
    {
        const std::scoped_lock lock(mutex_);
        refuse_dead(now, actions);
        for (std::size_t i = 0; i < lanes_.size(); ++i) {
            dispatch_waiting(i, actions);
        }
        unload_idle(now, due, actions);
        wanted = wants(now, due, actions);
    }
    if (!wanted.empty()) {
        prepare(wanted);
        const std::scoped_lock lock(mutex_);
        for (const Want& want : wanted) {
            if (!stopping_) {
                decide(want, now, due, actions);
            }
        }
    }
    for (const auto& action : actions) {
        action();
    }
    return due;
}

void Plane::Core::refuse_dead(Time now, Actions& actions) {
    for (LaneState& lane : lanes_) {
        for (Waiting& waiting : lane.line.take_dead(now)) {
            const bool gone = waiting.cancel.cancelled();
            const auto s = std::chrono::round<std::chrono::seconds>(now - waiting.since).count();
            Error error =
                gone ? Error{Fault::cancelled, "the client has gone"}
                     : Error{Fault::unavailable,
                             fmt::format("'{}' had no room for this for {} s; try again later",
                                         waiting.request->model, s)};
            actions.emplace_back([sink = std::move(waiting.sink), error = std::move(error)] {
                sink(job::Failed{error});
            });
        }
    }
}

/// Drained seats go; idle ones whose time is over, too.
void Plane::Core::unload_idle(Time now, Time& due, Actions& actions) {
    for (auto at = seats_.begin(); at != seats_.end();) {
        const auto seat = (at++)->second;
        if (seat->state == lane::State::draining && seat->running == 0) {
            begin_unload(seat, actions);
            continue;
        }
        const auto stays = seat->stays();
        const bool keeps = seat->state != lane::State::ready || seat->pinned || !stays ||
                           seat->running > 0 || lanes_[seat->lane].line.waits_for(seat->model);
        if (keeps) {
            continue;
        }
        const Time end = seat->last_used + *stays;
        if (end <= now) {
            log(fmt::format("{}: {} was idle for {} s", lanes_[seat->lane].lane->name(),
                            seat->model,
                            std::chrono::duration_cast<std::chrono::seconds>(*stays).count()));
            begin_unload(seat, actions);
        } else {
            due = std::min(due, end);
        }
    }
}

std::vector<Want> Plane::Core::wants(Time now, Time& due, Actions& actions) {
    std::vector<Want> out;
    const auto missing = [&](std::size_t lane, const std::string& model) {
        const auto seat = seat_of(lane, model);
        if (seat == nullptr) {
            return true;
        }
        if (seat->state == lane::State::failed && seat->resident == nullptr) {
            due = seat->retry_at > now ? std::min(due, seat->retry_at) : due;
            return seat->retry_at <= now;
        }
        return false;
    };
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        if (const auto change = lanes_[i].line.next_change(now)) {
            due = std::min(due, *change);
        }
        for (const WaitingLine::Wanted& wanted : lanes_[i].line.wanted()) {
            if (missing(i, wanted.model)) {
                out.push_back({i, wanted.model, wanted.since, true});
            }
        }
    }
    for (auto at = asks_.begin(); at != asks_.end();) {
        const Want& want = at->first;
        const auto seat = seat_of(want.lane, want.model);
        if (seat != nullptr && seat->active() && !seat->leaving()) {
            if (seat->state == lane::State::ready) {
                actions.emplace_back([done = std::move(at->second)] { done({}); });
            } else {
                seat->callbacks.push_back(std::move(at->second));
            }
            at = asks_.erase(at);
            continue;
        }
        if (missing(want.lane, want.model)) {
            out.push_back(want);
        }
        ++at;
    }
    for (const Model& model : table_->models()) {
        if (!(model.policy.pin || model.policy.preload) || model.candidates.empty()) {
            continue;
        }
        const std::size_t lane = model.candidates.front().lane;
        const auto seat = seat_of(lane, model.id);
        // What is only preloaded is loaded once.
        const bool again = seat != nullptr && !model.policy.pin;
        if (missing(lane, model.id) && !again &&
            !(model.policy.preload && !model.policy.pin && preloaded_.contains(model.id))) {
            out.push_back({lane, model.id, now, false});
        }
    }
    return out;
}

/// Reads what decisions need and the mutex must not wait for.
void Plane::Core::prepare(const std::vector<Want>& wants) {
    struct Question {
        SeatKey key;
        std::shared_ptr<lane::Lane> lane;
        catalog::Entry entry;
        lane::LoadWishes wishes;
    };
    std::vector<Question> questions;
    {
        const std::scoped_lock lock(mutex_);
        for (const Want& want : wants) {
            const Model* model = table_->by_id(want.model);
            if (model == nullptr || needs_.contains({want.lane, want.model})) {
                continue;
            }
            const auto candidate =
                std::ranges::find(model->candidates, want.lane, &Candidate::lane);
            if (candidate != model->candidates.end()) {
                questions.push_back({{want.lane, want.model},
                                     lanes_[want.lane].lane,
                                     candidate->entry,
                                     model->policy.wishes});
            }
        }
    }
    plan::Memory memory = options_.memory ? options_.memory(occupants()) : plan::Memory();
    std::vector<std::pair<SeatKey, Result<plan::Need>>> answers;
    for (const Question& question : questions) {
        answers.emplace_back(question.key, question.lane->need(question.entry, question.wishes));
    }
    const std::scoped_lock lock(mutex_);
    memory_ = std::move(memory);
    for (std::size_t i = 0; i < answers.size(); ++i) {
        auto& [key, need] = answers[i];
        if (need) {
            need = corrected(*std::move(need), key.first, key.second, questions[i].wishes.kv);
        }
        needs_.insert_or_assign(key, std::move(need));
    }
}

void Plane::Core::decide(const Want& want, Time now, Time& due, Actions& actions) {
    const Model* model = table_->by_id(want.model);
    const auto old = seat_of(want.lane, want.model);
    if (model == nullptr || (old != nullptr && old->state != lane::State::failed)) {
        return;
    }
    const auto candidate = std::ranges::find(model->candidates, want.lane, &Candidate::lane);
    if (candidate == model->candidates.end()) {
        refuse(want,
               {Fault::not_found, fmt::format("'{}' has gone from the catalogue", want.model)},
               actions);
        return;
    }
    Choice choice = choose(want, *model, now, due);
    if (choice.refusal) {
        refuse(want, *choice.refusal, actions);
        return;
    }
    if (!choice.settled) {
        for (const auto& seat : choice.drain) {
            set_state(*seat, lane::State::draining);
        }
        return;
    }
    auto seat = std::make_shared<Seat>();
    seat->lane = want.lane;
    seat->model = want.model;
    seat->entry = candidate->entry;
    seat->policy = model->policy;
    seat->pinned = model->policy.pin;
    seat->kv = model->policy.wishes.kv;
    seat->need = std::move(choice.need);
    seat->claim = std::move(choice.claim);
    seat->state = lane::State::offline;
    set_state(*seat, lane::State::starting);
    if (old != nullptr) {
        seat->failures = old->failures;
        seat->load_ms = old->load_ms;
    }
    for (auto at = asks_.begin(); at != asks_.end();) {
        const bool same = at->first.lane == want.lane && at->first.model == want.model;
        if (same) {
            seat->callbacks.push_back(std::move(at->second));
        }
        at = same ? asks_.erase(at) : std::next(at);
    }
    seats_.insert_or_assign(SeatKey{want.lane, want.model}, seat);
    preloaded_.insert(want.model);
    needs_.erase({want.lane, want.model});
    for (const auto& victim : choice.evict) {
        seat->awaits.push_back(victim);
        lanes_[victim->lane].evictions_total += 1;
        log(fmt::format("{}: {} makes room for {}", lanes_[victim->lane].lane->name(),
                        victim->model, want.model));
        begin_unload(victim, actions);
    }
    begin_load(seat, actions);
}

/// Whether a seat may be asked to go for this want: now, or, told by `due`, soon.
bool Plane::Core::may_leave(const Seat& seat, const Want& want, Time now, Time& due) const {
    if (seat.pinned || seat.state != lane::State::ready || seat.running > 0) {
        return false;
    }
    const bool waited_enough = now - want.since >= options_.batch_wait_max;
    if (lanes_[seat.lane].line.waits_for(seat.model) && !waited_enough) {
        due = std::min(due, want.since + options_.batch_wait_max);
        return false;
    }
    const Time end = seat.last_used + seat.linger();
    if (seat.has_served && end > now && !waited_enough) {
        due = std::min(due, end);
        return false;
    }
    return true;
}

/// `potential`: as if everybody who is not pinned could go at once.
std::vector<plan::Holding> Plane::Core::holdings(const Want& want, bool potential, Time now,
                                                 Time& due) const {
    std::vector<plan::Holding> out;
    for (const auto& [key, seat] : seats_) {
        if (seat->claim.empty()) {
            continue;
        }
        plan::Holding& holding = out.emplace_back();
        holding.model = seat_name(*lanes_[seat->lane].lane, seat->model);
        holding.device = lanes_[seat->lane].lane->device();
        holding.pool_bytes = seat->claim;
        holding.evictable = potential ? !seat->pinned : may_leave(*seat, want, now, due);
        holding.last_used = static_cast<std::uint64_t>(seat->last_used.time_since_epoch().count());
        holding.priority = seat->policy.priority;
    }
    return out;
}

/// Who must leave the lane because it holds no more models at once, least needed first; nullopt
/// when nobody may.
std::optional<std::vector<std::shared_ptr<Seat>>> Plane::Core::crowded_out(const Want& want,
                                                                           bool potential, Time now,
                                                                           Time& due) const {
    std::vector<std::shared_ptr<Seat>> leaving;
    std::vector<std::shared_ptr<Seat>> able;
    std::uint32_t present = 0;
    for (const auto& [key, seat] : seats_) {
        if (key.first != want.lane || key.second == want.model || !seat->active()) {
            continue;
        }
        present += 1;
        if (potential ? !seat->pinned : may_leave(*seat, want, now, due)) {
            able.push_back(seat);
        }
    }
    const std::uint32_t most = lanes_[want.lane].lane->residents_max();
    if (present < most) {
        return leaving;
    }
    const std::size_t too_many = present - most + 1;
    if (able.size() < too_many) {
        return std::nullopt;
    }
    std::ranges::sort(able, {}, [](const auto& seat) {
        return std::pair(seat->policy.priority, seat->last_used);
    });
    able.resize(too_many);
    return able;
}

/// Tries one need. True when it can be had (now, or with `wait_for_busy` after others have ended).
bool Plane::Core::choose_place(const Want& want, const plan::Need& need, bool may_evict,
                               bool wait_for_busy, Time now, Time& due, Choice& choice) const {
    auto must = crowded_out(want, wait_for_busy, now, due);
    if (!must || (!must->empty() && !may_evict)) {
        return false;
    }
    const std::string& device = lanes_[want.lane].lane->device();
    std::vector<plan::Holding> held = holdings(want, wait_for_busy, now, due);
    std::erase_if(held, [&](const plan::Holding& holding) {
        return std::ranges::any_of(*must, [&](const auto& seat) {
            return holding.model == seat_name(*lanes_[seat->lane].lane, seat->model);
        });
    });
    plan::Verdict verdict;
    if (device.empty() || memory_.device(device) == nullptr) {
        verdict.fit = plan::Fit::fits;  // takes no memory that is planned
    } else {
        verdict = plan::judge(memory_, held, device, need);
    }
    if (verdict.fit == plan::Fit::does_not_fit || (!verdict.evict.empty() && !may_evict)) {
        return false;
    }
    choice.need = need;
    choice.claim = std::move(verdict.pool_bytes);
    choice.evict = *std::move(must);
    for (const std::string& name : verdict.evict) {
        for (const auto& [key, seat] : seats_) {
            if (name == seat_name(*lanes_[seat->lane].lane, seat->model)) {
                choice.evict.push_back(seat);
            }
        }
    }
    return true;
}

Plane::Core::Choice Plane::Core::choose(const Want& want, const Model& model, Time now,
                                        Time& due) const {
    Choice choice;
    const auto known = needs_.find({want.lane, want.model});
    if (known == needs_.end()) {
        due = now;  // asked for between two looks
        return choice;
    }
    if (!known->second) {
        choice.refusal = known->second.error();
        return choice;
    }
    const plan::Device* device = memory_.device(lanes_[want.lane].lane->device());
    if (device != nullptr && device->shares.empty() && device->awaited) {
        return choice;  // memory_changed() comes
    }
    const plan::Need& full = *known->second;
    for (const auto& [need, may_evict] : offers_of(want, model, full)) {
        if (choose_place(want, need, may_evict, false, now, due, choice)) {
            choice.settled = true;
            return choice;
        }
    }
    const plan::Need least = least_need(model, full);
    Time ignored = due;
    if (choose_place(want, least, true, true, now, ignored, choice)) {
        // Others must end first. Who has kept this waiting for long enough takes no more.
        if (now - want.since >= options_.batch_wait_max) {
            std::erase_if(choice.evict,
                          [](const auto& seat) { return seat->state != lane::State::ready; });
            choice.drain = std::move(choice.evict);
        } else {
            due = std::min(due, want.since + options_.batch_wait_max);
        }
        choice.evict.clear();
        return choice;
    }
    choice.refusal = refusal_of(want, least);
    return choice;
}

/// Contexts to try, best first, and whether others may be evicted for them. A context that the user
/// asked for is taken as it is.
std::vector<std::pair<plan::Need, bool>> Plane::Core::offers_of(const Want& want,
                                                                const Model& model,
                                                                const plan::Need& full) const {
    const std::string& device = lanes_[want.lane].lane->device();
    if (model.policy.wishes.context_tokens != 0 || full.context_tokens == 0 ||
        full.bytes_per_context_token <= 0 || memory_.device(device) == nullptr) {
        return {{full, false}, {full, true}};
    }
    Time ignored = Time::max();
    const plan::Verdict free =
        plan::judge(memory_, holdings(want, false, Time(), ignored), device, full);
    const double kv_most = static_cast<double>(free.room_bytes) * kKvShareMax;
    auto roomy = static_cast<std::uint32_t>(
        std::min<double>(full.context_tokens, kv_most / full.bytes_per_context_token));
    roomy = std::min(roomy, std::max(free.context_tokens_max, 1U));
    roomy = roomy < full.context_tokens ? roomy / kContextStep * kContextStep : roomy;
    const std::uint32_t comfort = std::min(full.context_tokens, kContextTokensComfort);
    const std::uint32_t least = std::min(full.context_tokens, kContextTokensMin);
    std::vector<std::pair<plan::Need, bool>> offers;
    if (roomy >= comfort) {
        offers.emplace_back(plan::at_context(full, roomy), false);
    }
    offers.emplace_back(plan::at_context(full, comfort), true);
    if (roomy >= least) {
        offers.emplace_back(plan::at_context(full, roomy), false);
    }
    offers.emplace_back(plan::at_context(full, least), true);
    return offers;
}

plan::Need Plane::Core::least_need(const Model& model, const plan::Need& full) {
    if (model.policy.wishes.context_tokens != 0 || full.context_tokens == 0) {
        return full;
    }
    return plan::at_context(full, std::min(full.context_tokens, kContextTokensMin));
}

/// Nobody's ending would help: the pinned ones keep it out, or the machine is too small.
Error Plane::Core::refusal_of(const Want& want, const plan::Need& least) const {
    Time ignored = Time::max();
    const LaneState& lane = lanes_[want.lane];
    if (!crowded_out(want, true, Time(), ignored)) {
        return {Fault::unavailable,
                fmt::format("'{}' does not come onto lane {}: it holds {} model(s) at most and "
                            "what is there is pinned; unpin one, or raise residents_max",
                            want.model, lane.lane->name(), lane.lane->residents_max())};
    }
    const plan::Verdict alone = plan::judge(memory_, {}, lane.lane->device(), least);
    const plan::Verdict beside =
        plan::judge(memory_, holdings(want, true, Time(), ignored), lane.lane->device(), least);
    if (alone.fit == plan::Fit::does_not_fit) {
        return {Fault::invalid, fmt::format("'{}' does not fit this machine on lane {}: {}",
                                            want.model, lane.lane->name(), alone.text)};
    }
    return {Fault::unavailable, fmt::format("'{}' does not fit lane {} beside what is pinned: {}",
                                            want.model, lane.lane->name(), beside.text)};
}

/// Tells everybody who waits for it.
void Plane::Core::refuse(const Want& want, const Error& error, Actions& actions) {
    for (Waiting& waiting : lanes_[want.lane].line.take_model(want.model)) {
        actions.emplace_back([sink = std::move(waiting.sink), error] { sink(job::Failed{error}); });
    }
    for (auto at = asks_.begin(); at != asks_.end();) {
        const bool same = at->first.lane == want.lane && at->first.model == want.model;
        if (same) {
            actions.emplace_back(
                [done = std::move(at->second), error] { done(tl::unexpected(error)); });
        }
        at = same ? asks_.erase(at) : std::next(at);
    }
    needs_.erase({want.lane, want.model});
    if (!want.in_line && refused_.insert(want.model).second) {
        log(fmt::format("{}: {}", lanes_[want.lane].lane->name(), error.message));
    }
}

}  // namespace trilane::plane
