#include "plane/line.h"

#include <algorithm>
#include <iterator>

namespace trilane::plane {
namespace {

/// Clients whose turns are remembered; the longest-served are forgotten first.
constexpr std::size_t kClientsMax = 1024;

}  // namespace

Status WaitingLine::room_for(std::string_view client, std::uint32_t weight) const {
    if (length_ + weight > limits_.length_max) {
        return fail(Fault::exhausted,
                    "{} answers wait already and {} more do not fit the queue of {}; try again "
                    "later",
                    length_, weight, limits_.length_max);
    }
    if (client.empty()) {
        return {};
    }
    std::uint32_t own = 0;
    for (const Waiting& waiting : waiting_) {
        own += waiting.request->client == client ? waiting.weight : 0;
    }
    if (own + weight > limits_.per_client_max) {
        return fail(Fault::exhausted,
                    "{} answers of yours wait already and at most {} of one client may; try again "
                    "when one has come",
                    own, limits_.per_client_max);
    }
    return {};
}

void WaitingLine::push(Waiting waiting) {
    length_ += waiting.weight;
    waiting_.push_back(std::move(waiting));
}

void WaitingLine::push_front(Waiting waiting) {
    length_ += waiting.weight;
    waiting_.push_front(std::move(waiting));
}

Waiting WaitingLine::take(Place place) {
    Waiting out = std::move(*place);
    waiting_.erase(place);
    length_ -= out.weight;
    return out;
}

std::optional<Waiting> WaitingLine::pop(std::string_view model, std::uint32_t weight_max,
                                        Time now) {
    Place best = waiting_.end();
    std::uint64_t best_turn = 0;
    for (auto at = waiting_.begin(); at != waiting_.end(); ++at) {
        if (at->request->model != model || at->not_before > now) {
            continue;
        }
        const auto turn = last_turn_.find(at->request->client);
        const std::uint64_t served = turn == last_turn_.end() ? 0 : turn->second;
        if (best == waiting_.end() || served < best_turn) {
            best = at;
            best_turn = served;
        }
    }
    if (best == waiting_.end() || best->weight > weight_max) {
        return std::nullopt;
    }
    if (last_turn_.size() >= kClientsMax && !last_turn_.contains(best->request->client)) {
        last_turn_.erase(std::ranges::min_element(
            last_turn_, [](const auto& a, const auto& b) { return a.second < b.second; }));
    }
    last_turn_[best->request->client] = ++turns_;
    return take(best);
}

std::vector<Waiting> WaitingLine::take_if(const std::function<bool(const Waiting&)>& which) {
    std::vector<Waiting> out;
    for (auto at = waiting_.begin(); at != waiting_.end();) {
        const auto next = std::next(at);
        if (which(*at)) {
            out.push_back(take(at));
        }
        at = next;
    }
    return out;
}

std::vector<Waiting> WaitingLine::take_dead(Time now) {
    return take_if([now](const Waiting& w) { return w.cancel.cancelled() || w.until <= now; });
}
std::vector<Waiting> WaitingLine::take_model(std::string_view model) {
    return take_if([model](const Waiting& w) { return w.request->model == model; });
}
std::vector<Waiting> WaitingLine::take_all() {
    return take_if([](const Waiting&) { return true; });
}

std::vector<WaitingLine::Wanted> WaitingLine::wanted() const {
    std::vector<Wanted> out;
    for (const Waiting& waiting : waiting_) {
        const auto known = std::ranges::find(out, waiting.request->model, &Wanted::model);
        if (known == out.end()) {
            out.push_back({waiting.request->model, waiting.since, waiting.weight});
        } else {
            known->weight += waiting.weight;
            known->since = std::min(known->since, waiting.since);
        }
    }
    return out;
}

bool WaitingLine::waits_for(std::string_view model) const {
    return std::ranges::any_of(waiting_,
                               [model](const Waiting& w) { return w.request->model == model; });
}

std::uint32_t WaitingLine::weight_of(std::string_view model) const {
    std::uint32_t sum = 0;
    for (const Waiting& waiting : waiting_) {
        sum += waiting.request->model == model ? waiting.weight : 0;
    }
    return sum;
}

std::optional<Time> WaitingLine::next_change(Time now) const {
    std::optional<Time> next;
    for (const Waiting& waiting : waiting_) {
        const Time change =
            waiting.not_before > now ? std::min(waiting.not_before, waiting.until) : waiting.until;
        next = next ? std::min(*next, change) : change;
    }
    return next;
}

}  // namespace trilane::plane
