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

/// Why it leaves the line: its client has gone, or a time is over.
Error dead_error(const Waiting& waiting, Time now) {
    if (waiting.cancel.cancelled()) {
        return {Fault::cancelled, "the client has gone"};
    }
    const std::string& model = waiting.request->model;
    const Time deadline = waiting.request->deadline;
    if (deadline != Time() && deadline <= now) {
        const auto ms =
            std::chrono::round<std::chrono::milliseconds>(deadline - waiting.since).count();
        return {Fault::timeout, fmt::format("'{}' could not begin this within {} ms, as it asks "
                                            "for; allow more time, or try again later",
                                            model, ms)};
    }
    const auto s = std::chrono::round<std::chrono::seconds>(now - waiting.since).count();
    return {Fault::unavailable,
            fmt::format("'{}' had no room for this for {} s; try again later", model, s)};
}

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
            Error error = dead_error(waiting, now);
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

/// Whether there is nothing of it on that lane, or a failed load whose next try has come.
bool Plane::Core::is_missing(std::size_t lane, const std::string& model, Time now,
                             Time& due) const {
    const auto seat = seat_of(lane, model);
    if (seat == nullptr) {
        return true;
    }
    if (seat->state == lane::State::failed && seat->resident == nullptr) {
        due = seat->retry_at > now ? std::min(due, seat->retry_at) : due;
        return seat->retry_at <= now;
    }
    return false;
}

std::vector<Want> Plane::Core::wants(Time now, Time& due, Actions& actions) {
    std::vector<Want> out;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        if (const auto change = lanes_[i].line.next_change(now)) {
            due = std::min(due, *change);
        }
        for (const WaitingLine::Wanted& wanted : lanes_[i].line.wanted()) {
            if (is_missing(i, wanted.model, now, due)) {
                out.push_back({i, wanted.model, wanted.since, Want::Why::line, false});
            }
        }
    }
    look_at_asks(out, now, due, actions);
    for (const Model& model : table_->models()) {
        if (const auto lane = lane_for_policy(model, now, due)) {
            out.push_back({*lane, model.id, now, Want::Why::policy, false});
        }
    }
    return out;
}

/// Answers what is done already, hands to a load what it will do, wants the rest.
void Plane::Core::look_at_asks(std::vector<Want>& out, Time now, Time& due, Actions& actions) {
    for (Ask& ask : std::exchange(asks_, {})) {
        const Want& want = ask.want;
        const auto seat = seat_of(want.lane, want.model);
        const bool here = seat != nullptr && seat->active() && !seat->leaving();
        if (here && seat->is_as(ask)) {
            if (seat->state == lane::State::ready) {
                actions.emplace_back([done = std::move(ask.done)] { done({}); });
            } else {
                seat->asks.push_back(std::move(ask));
            }
            continue;
        }
        const Model* model = table_->by_id(want.model);
        const bool overruled =
            here && model != nullptr && model->policy.wishes.context_tokens != ask.context_tokens;
        if (overruled) {
            actions.emplace_back([done = std::move(ask.done), name = want.model] {
                done(fail(Fault::unavailable,
                          "'{}' was asked for with another context meanwhile; ask again", name));
            });
            continue;
        }
        ask.want.replaces = here;
        if (here || is_missing(want.lane, want.model, now, due)) {
            out.push_back(want);
        }
        asks_.push_back(std::move(ask));
    }
}

/// Where a model that is pinned or preloaded should be loaded now; nullopt = nowhere: it is there,
/// or comes, or no lane will have it.
std::optional<std::size_t> Plane::Core::lane_for_policy(const Model& model, Time now, Time& due) {
    const bool pin = model.policy.pin;
    if (!pin && (!model.policy.preload || preloaded_.contains(model.id))) {
        return std::nullopt;
    }
    const auto allowed = [&](const Candidate& one) { return !pin || may_pin(model, one.lane); };
    for (const Candidate& candidate : model.candidates) {
        const auto seat = allowed(candidate) ? seat_of(candidate.lane, model.id) : nullptr;
        if (seat != nullptr && seat->active()) {
            return std::nullopt;  // a leaving one, too: what comes next is seen when it has gone
        }
    }
    const auto passed = passed_.find(model.id);
    const auto was_tried = [&](const Candidate& one) {
        return passed != passed_.end() && passed->second.contains(one.lane);
    };
    for (const Candidate& candidate : model.candidates) {
        const auto seat = allowed(candidate) ? seat_of(candidate.lane, model.id) : nullptr;
        if (seat != nullptr && seat->comes_back_soon(now)) {
            return is_missing(candidate.lane, model.id, now, due) ? std::optional(candidate.lane)
                                                                  : std::nullopt;
        }
        // What crashed where it had fallen back to comes back on a better lane that is well.
        if (pin && allowed(candidate) && !was_tried(candidate) &&
            is_missing(candidate.lane, model.id, now, due)) {
            return candidate.lane;
        }
    }
    for (const Candidate& candidate : model.candidates) {
        const bool tried = was_tried(candidate);
        // What is only preloaded is loaded once.
        const bool once = !pin && seat_of(candidate.lane, model.id) != nullptr;
        if (allowed(candidate) && !tried && !once &&
            is_missing(candidate.lane, model.id, now, due)) {
            return candidate.lane;
        }
    }
    if (passed != passed_.end()) {
        passed_.erase(passed);  // the next look begins with the best again
    }
    return std::nullopt;
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
    std::shared_ptr<const ModelTable> table;
    {
        const std::scoped_lock lock(mutex_);
        table = table_;
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
    if (table != table_) {
        return;  // what was asked for was of the old one
    }
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
    if (old != nullptr && (old->state != lane::State::failed || old->resident != nullptr)) {
        if (want.replaces && model != nullptr) {
            reload(want, *model, old, now, due, actions);
        }
        return;
    }
    if (model == nullptr || std::ranges::find(model->candidates, want.lane, &Candidate::lane) ==
                                model->candidates.end()) {
        refuse(want,
               {Fault::not_found, fmt::format("'{}' has gone from the catalogue", want.model)},
               actions);
        return;
    }
    Choice choice = choose(want, *model, now, due);
    if (choice.refusal) {
        refuse(want, *choice.refusal, actions);
    } else if (choice.settled) {
        seat_model(want, *model, std::move(choice), actions);
    } else {
        for (const auto& seat : choice.drain) {
            set_state(*seat, lane::State::draining);
        }
    }
}

/// Begins to load it, after those who make room for it.
void Plane::Core::seat_model(const Want& want, const Model& model, Choice choice,
                             Actions& actions) {
    const SeatKey key{want.lane, want.model};
    auto seat = std::make_shared<Seat>();
    seat->lane = want.lane;
    seat->model = want.model;
    seat->entry = std::ranges::find(model.candidates, want.lane, &Candidate::lane)->entry;
    seat->policy = model.policy;
    seat->wishes = model.policy.wishes;
    seat->need = std::move(choice.need);
    seat->claim = std::move(choice.claim);
    set_state(*seat, lane::State::starting);
    if (const auto old = seat_of(want.lane, want.model)) {
        seat->failures = old->failures;
        seat->load_ms = old->load_ms;
    }
    seats_.insert_or_assign(key, seat);
    pin_seats();
    for (Ask& ask : take_asks([&](const Want& asked) {
             return asked.lane == want.lane && asked.model == want.model;
         })) {
        (seat->is_as(ask) ? seat->asks : asks_).push_back(std::move(ask));
    }
    needs_.erase(key);
    for (const auto& victim : choice.evict) {
        seat->awaits.push_back(victim);
        lanes_[victim->lane].evictions_total += 1;
        log(fmt::format("{}: {} makes room for {}", lanes_[victim->lane].lane->name(),
                        victim->model, want.model));
        begin_unload(victim, actions);
    }
    begin_load(seat, actions);
}

/// What is loaded, but otherwise than an administrator asks for, goes once it is known that it can
/// come again as asked. Who waits for it waits on.
void Plane::Core::reload(const Want& want, const Model& model, const std::shared_ptr<Seat>& old,
                         Time now, Time& due, Actions& actions) {
    if (old->leaving() || !old->active()) {
        return;
    }
    const auto known = needs_.find({want.lane, want.model});
    if (known == needs_.end()) {
        due = now;
        return;
    }
    if (!known->second) {
        refuse(want, Error(known->second.error()), actions);
        return;
    }
    const plan::Need least = least_need(model, *known->second);
    Choice ignored;
    Time later = due;
    if (!choose_place(want, least, true, true, now, later, ignored)) {
        refuse(want, refusal_of(want, least), actions);
        return;
    }
    std::ranges::move(std::exchange(old->asks, {}), std::back_inserter(asks_));
    log(fmt::format("{}: {} is loaded again, with another context", lanes_[want.lane].lane->name(),
                    want.model));
    begin_unload(old, actions);
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
        // Its own is that of a load which another one replaces.
        if (seat->claim.empty() || (key.first == want.lane && key.second == want.model)) {
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
        return {Fault::exhausted, fmt::format("'{}' does not fit this machine on lane {}: {}",
                                              want.model, lane.lane->name(), alone.text)};
    }
    return {Fault::unavailable, fmt::format("'{}' does not fit lane {} beside what is pinned: {}",
                                            want.model, lane.lane->name(), beside.text)};
}

}  // namespace trilane::plane
