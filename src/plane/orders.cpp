// What is said to the plane while it runs: by administrators (load, unload, keep) and by files (the
// catalogue, the configuration). Nothing here waits for a load, nor, but for catalogue_changed(),
// for a file.
#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "plane/core.h"

namespace trilane::plane {
namespace {

/// Not where it cannot be told: where the folder is away, too (its own one may have been deleted
/// with the file), a disk is more likely to be.
bool is_deleted(const std::filesystem::path& path) {
    namespace fs = std::filesystem;
    std::error_code failed;
    if (path.empty() || fs::status(path, failed).type() != fs::file_type::not_found) {
        return false;
    }
    const fs::path folder = path.parent_path();
    return fs::is_directory(folder, failed) || fs::is_directory(folder.parent_path(), failed);
}

}  // namespace

/// Reads the catalogue; the others take it as it was last read. Waits for files.
void Plane::Core::catalogue_changed() {
    {
        const std::scoped_lock reading(reading_);
        auto listing = std::make_shared<Listing>();
        listing->entries =
            options_.catalogue ? options_.catalogue() : std::vector<catalog::Entry>{};
        listing->names = options_.further_names ? options_.further_names() : FurtherNames{};
        const std::scoped_lock lock(mutex_);
        listing_ = std::move(listing);
        ++version_;
    }
    remake_table();
    drop_vanished();
}

/// What is loaded from a file that has been deleted goes, once its requests have ended. What the
/// catalogue could only not read this time stays. Waits for files.
void Plane::Core::drop_vanished() {
    std::vector<std::shared_ptr<Seat>> gone;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [key, seat] : seats_) {
            if (seat->entry.store == catalog::Store::gguf && !seat->leaving() &&
                table_->by_id(seat->model) == nullptr) {
                gone.push_back(seat);
            }
        }
    }
    std::erase_if(gone, [](const auto& seat) { return !is_deleted(seat->entry.path); });
    Actions actions;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& seat : gone) {
            if (seat_of(seat->lane, seat->model) != seat || seat->leaving() ||
                table_->by_id(seat->model) != nullptr) {
                continue;  // it has changed meanwhile
            }
            log(fmt::format("{}: {} is unloaded: its file has been deleted",
                            lanes_[seat->lane].lane->name(), seat->model));
            version_ += orders_.erase(seat->model);
            send_away(seat, actions);
        }
    }
    for (const auto& action : actions) {
        action();
    }
}

/// Makes the table of what counts now. When it returns, the one in force is as new as that.
void Plane::Core::remake_table() {
    std::shared_ptr<const Listing> listing;
    std::vector<std::shared_ptr<lane::Lane>> lanes;
    Policies policies;
    Orders orders;
    std::uint64_t version = 0;
    {
        const std::scoped_lock lock(mutex_);
        listing = listing_;
        for (const LaneState& state : lanes_) {
            lanes.push_back(state.lane);
        }
        policies = options_.policies;
        orders = orders_;
        for (const std::string& model : unpinned_) {
            Order& order = orders[model];
            order.pin = order.pin.value_or(false);
        }
        version = version_;
    }
    auto table = std::make_shared<const ModelTable>(listing->entries, lanes, policies,
                                                    options_.default_model, listing->names, orders);
    {
        const std::scoped_lock lock(mutex_);
        if (version > table_version_) {  // or somebody has made a newer one meanwhile
            table_ = std::move(table);
            table_version_ = version;
            needs_.clear();
            for (auto& [key, seat] : seats_) {
                if (const Model* model = table_->by_id(seat->model)) {
                    seat->policy = model->policy;
                }
            }
            pin_seats();
        }
    }
    wake();
}

bool Plane::Core::may_pin(const Model& model, std::size_t lane) const {
    const std::string& named = model.policy.pin_lane;
    return model.policy.pin && (named.empty() || named == lanes_[lane].lane->name());
}

/// Of each model that shall stay, the seat that does: one is enough. Of two that are ready it is
/// the one on the better lane, wherever the model had to go before. Called with the mutex.
void Plane::Core::pin_seats() {
    const auto rank = [](const Seat& seat) {
        const bool sure = seat.pinned || seat.state == lane::State::ready;
        return seat.leaving() ? 0 : !seat.active() ? 1 : sure ? 3 : 2;
    };
    std::map<std::string_view, Seat*> chosen;
    for (const Model& model : table_->models()) {
        for (const Candidate& candidate : model.candidates) {
            const auto seat =
                may_pin(model, candidate.lane) ? seat_of(candidate.lane, model.id) : nullptr;
            if (seat != nullptr) {
                Seat*& best = chosen[seat->model];
                best = best == nullptr || rank(*seat) > rank(*best) ? seat.get() : best;
            }
        }
    }
    for (const auto& [key, seat] : seats_) {
        if (seat->entry.store == catalog::Store::gguf && table_->by_id(seat->model) == nullptr) {
            continue;  // drop_vanished() sees whether its file has gone, or was only not to be read
        }
        const auto at = chosen.find(seat->model);
        seat->pinned = at != chosen.end() && at->second == seat.get();
    }
}

void Plane::Core::set_policies(Policies policies, LineLimits line) {
    {
        const std::scoped_lock lock(mutex_);
        for (auto& [id, order] : orders_) {
            const ModelPolicy& before = policy_of(options_.policies, id);
            const ModelPolicy& after = policy_of(policies, id);
            if (before.pin != after.pin) {
                order.pin.reset();
                order.pin_lane.clear();
            }
            if (before.wishes.context_tokens != after.wishes.context_tokens) {
                order.context_tokens.reset();
            }
        }
        std::erase_if(unpinned_, [&](const std::string& id) {
            return policy_of(options_.policies, id).pin != policy_of(policies, id).pin;
        });
        options_.policies = std::move(policies);
        ++version_;
        for (LaneState& state : lanes_) {
            state.line.set_limits(line);
        }
    }
    remake_table();
}

/// Whether it can be done at all, and what is meant. Called with the mutex.
Status Plane::Core::understand(const LoadAsk& asked, Ask& ask) const {
    if (stopping_) {
        return tl::unexpected(stopping_error());
    }
    TRILANE_TRY(const Meaning meaning, table_->find(asked.model));
    ask.want.model = meaning.model->id;
    ask.want.since = std::chrono::steady_clock::now();
    ask.want.why = Want::Why::ask;
    ask.context_tokens = asked.context_tokens;
    ask.only_lane = meaning.lane;
    if (!asked.lane.empty()) {
        const auto named = std::ranges::find_if(
            lanes_, [&](const LaneState& state) { return state.lane->name() == asked.lane; });
        if (named == lanes_.end()) {
            std::string names;
            for (const LaneState& state : lanes_) {
                names += (names.empty() ? "" : ", ") + state.lane->name();
            }
            return fail(Fault::not_found, "there is no lane '{}'; there is: {}", asked.lane, names);
        }
        ask.only_lane = static_cast<std::size_t>(named - lanes_.begin());
    }
    ask.lanes = asked.lanes;
    const auto lane = choose_lane({meaning.model, ask.only_lane}, ask.lanes);
    if (!lane) {
        return tl::unexpected(no_lane({meaning.model, ask.only_lane}, ask.lanes));
    }
    ask.want.lane = *lane;
    if (const std::uint32_t most = context_most(*meaning.model, *lane);
        ask.context_tokens && most != 0) {
        ask.context_tokens = std::min(*ask.context_tokens, most);
    }
    return {};
}

/// What an order may ask for: what the model was made for, or what its owner has configured beyond
/// that; 0 = nobody knows. Called with the mutex.
std::uint32_t Plane::Core::context_most(const Model& model, std::size_t lane) const {
    const auto candidate = std::ranges::find(model.candidates, lane, &Candidate::lane);
    if (candidate == model.candidates.end() || candidate->entry.store != catalog::Store::gguf ||
        candidate->entry.context_tokens == 0) {
        return 0;
    }
    return std::max(candidate->entry.context_tokens,
                    policy_of(options_.policies, model.id).wishes.context_tokens);
}

/// What shall count from now on. Called with the mutex.
void Plane::Core::take_order(const LoadAsk& asked, Ask& ask) {
    Order& order = orders_[ask.want.model];
    ask.before = order;
    if (asked.pin) {
        order.pin = asked.pin;
        order.pin_lane = *asked.pin && ask.only_lane ? lanes_[*ask.only_lane].lane->name() : "";
    }
    if (ask.context_tokens) {
        order.context_tokens = ask.context_tokens;
    }
    ask.ordered = order;
    ++version_;
}

/// Of what is refused nothing stays, or the model could not be loaded by anybody. Called with the
/// mutex.
void Plane::Core::withdraw_order(const Ask& ask, Actions& actions) {
    if (!ask.before) {
        return;
    }
    const auto at = orders_.find(ask.want.model);
    if (at == orders_.end() || at->second != ask.ordered) {
        return;  // somebody has said something else since
    }
    at->second = *ask.before;
    ++version_;
    actions.emplace_back([this] { remake_table(); });
}

void Plane::Core::load(LoadAsk asked, std::function<void(Status)> done) {
    const bool ordered = asked.pin || asked.context_tokens;
    Ask ask;
    Status understood;
    {
        const std::scoped_lock lock(mutex_);
        understood = understand(asked, ask);
        if (understood && ordered) {
            take_order(asked, ask);
        }
    }
    if (understood && ordered) {
        remake_table();
    }
    if (understood) {
        const std::scoped_lock lock(mutex_);
        if (stopping_) {
            understood = tl::unexpected(stopping_error());
        } else {
            ask.done = done;
            asks_.push_back(std::move(ask));
        }
    }
    if (!understood) {
        done(std::move(understood));
        return;
    }
    wake();
}

/// Called with the mutex.
std::vector<Ask> Plane::Core::take_asks(const std::function<bool(const Want&)>& which) {
    std::vector<Ask> taken;
    std::vector<Ask> left;
    for (Ask& ask : asks_) {
        (which(ask.want) ? taken : left).push_back(std::move(ask));
    }
    asks_ = std::move(left);
    return taken;
}

/// Whoever waits for the model there is told that nobody shall have it. True when there was
/// somebody. Called with the mutex.
bool Plane::Core::give_up_waiting(const std::string& model, std::optional<std::size_t> lane,
                                  Actions& actions) {
    bool any = false;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        if (lane && *lane != i) {
            continue;
        }
        for (Waiting& waiting : lanes_[i].line.take_model(model)) {
            any = true;
            Error error{
                Fault::unavailable,
                fmt::format(
                    "'{}' was unloaded while this waited for it; send it again to have it loaded",
                    model)};
            actions.emplace_back([sink = std::move(waiting.sink), error = std::move(error)] {
                sink(job::Failed{error});
            });
        }
    }
    for (Ask& ask : take_asks([&](const Want& want) {
             return want.model == model && (!lane || *lane == want.lane);
         })) {
        any = true;
        actions.emplace_back([done = std::move(ask.done)] {
            done(fail(Fault::cancelled, "it was unloaded before it was ready"));
        });
    }
    return any;
}

/// What was said of its pin is over, and the file's does not count until it is loaded again. True
/// when the table is to be made anew. Called with the mutex.
bool Plane::Core::unpin(const std::string& model) {
    bool changed = false;
    if (const auto order = orders_.find(model); order != orders_.end() && order->second.pin) {
        order->second.pin.reset();
        order->second.pin_lane.clear();
        changed = true;
    }
    if (policy_of(options_.policies, model).pin) {
        changed = unpinned_.insert(model).second || changed;
    }
    version_ += changed ? 1 : 0;
    return changed;
}

/// What was said of its context is over. As unpin().
bool Plane::Core::forget_context(const std::string& model) {
    const auto order = orders_.find(model);
    if (order == orders_.end() || !order->second.context_tokens) {
        return false;
    }
    order->second.context_tokens.reset();
    ++version_;
    return true;
}

/// What a name means to who speaks of what is loaded: that may have gone from the catalogue.
Result<Plane::Core::Named> Plane::Core::named(std::string_view name) const {
    for (const auto& [key, seat] : seats_) {
        if (table_->by_id(seat->model) != nullptr) {
            continue;
        }
        if (name == seat->model) {
            return Named{seat->model, std::nullopt};
        }
        if (name == lanes_[seat->lane].lane->name() + '/' + seat->model) {
            return Named{seat->model, seat->lane};
        }
    }
    TRILANE_TRY(const Meaning meaning, table_->find(name));
    return Named{meaning.model->id, meaning.lane};
}

/// Called with the mutex.
void Plane::Core::send_away(const std::shared_ptr<Seat>& seat, Actions& actions) {
    seat->pinned = false;
    if (seat->state != lane::State::failed) {
        begin_unload(seat, actions);
    } else if (seat->resident == nullptr) {
        seats_.erase({seat->lane, seat->model});
    } else {
        // It is being cleared away, and holds its room until that is done.
        set_state(*seat, lane::State::unloading);
        seat->unloading_begun = true;
    }
}

Status Plane::Core::unload(std::string_view name) {
    std::string model;
    std::optional<std::size_t> lane;
    bool ordered = false;
    {
        const std::scoped_lock lock(mutex_);
        TRILANE_TRY(const Named meant, named(name));
        model = meant.model;
        lane = meant.lane;
        const auto elsewhere = [&](const auto& is) {
            return lane && std::ranges::any_of(seats_, [&](const auto& one) {
                       return one.first.second == model && one.first.first != *lane &&
                              is(*one.second);
                   });
        };
        if (!elsewhere([](const Seat& seat) { return seat.active() && !seat.leaving(); })) {
            ordered = forget_context(model);
        }
        if (!elsewhere([](const Seat& seat) { return seat.pinned; })) {
            ordered = unpin(model) || ordered;  // or it would be loaded again at once
        }
    }
    if (ordered) {
        remake_table();
    }
    Actions actions;
    bool found = false;
    {
        const std::scoped_lock lock(mutex_);
        preloaded_.insert(model);
        for (auto at = seats_.begin(); at != seats_.end();) {
            const auto seat = (at++)->second;
            if (seat->model != model || (lane && *lane != seat->lane)) {
                continue;
            }
            found = true;
            send_away(seat, actions);
        }
        found = give_up_waiting(model, lane, actions) || found;
    }
    for (const auto& action : actions) {
        action();
    }
    if (!found) {
        return fail(Fault::not_found, "'{}' is not loaded; `trilane ps` shows what is", name);
    }
    return {};
}

Status Plane::Core::keep(std::string_view model, std::optional<std::chrono::milliseconds> time) {
    // Far beyond any of these, a time could no longer be added to another.
    constexpr std::chrono::hours kLong{24 * 365 * 100};
    bool found = false;
    {
        const std::scoped_lock lock(mutex_);
        TRILANE_TRY(const Named meant, named(model));
        for (const auto& [key, seat] : seats_) {
            if (seat->model == meant.model && (!meant.lane || *meant.lane == seat->lane)) {
                seat->keep = time && *time < kLong ? *time : Seat::kForever;
                found = true;
            }
        }
    }
    if (!found) {
        return fail(Fault::not_found, "'{}' is not loaded; `trilane ps` shows what is", model);
    }
    wake();
    return {};
}

}  // namespace trilane::plane
