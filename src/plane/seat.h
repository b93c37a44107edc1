// Seat: one model on one lane from the decision to load it until it is gone. Inside of Plane.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "catalog/catalog.h"
#include "lane/lane.h"
#include "lane/state.h"
#include "plan/plan.h"
#include "plane/line.h"
#include "plane/models.h"
#include "plane/service.h"

namespace trilane::plane {

/// Somebody wants a model loaded: a request in line, an administrator, a pin or preload.
struct Want {
    enum class Why { line, ask, policy };
    std::size_t lane = 0;
    std::string model;
    Time since{};
    Why why = Why::line;
    bool replaces = false;  ///< it is loaded, but otherwise than asked for
};

/// What those in line are told of a load that fails: their requests are in order. A file that is no
/// good stays so (invalid, corrupt); room and programs may be had later.
inline Fault fault_of_load(Fault why) {
    return why == Fault::invalid || why == Fault::corrupt ? Fault::corrupt : Fault::unavailable;
}

/// An administrator's want, until it is answered.
struct Ask {
    Want want;
    std::optional<std::size_t> only_lane;
    std::vector<std::string> lanes;  ///< patterns of those that it may go to; empty = all
    std::optional<std::uint32_t> context_tokens;
    std::vector<Refusal> refusals;  ///< of lanes that it was sent to before
    Order ordered;                  ///< what it left behind, where `before` is there
    std::optional<Order> before;    ///< what stood there before: comes back when it is refused
    std::function<void(Status)> done;
};

/// Guarded by the plane's mutex. One seat per load: a model that is loaded again has a new one, so
/// that leases on the old one cannot be mistaken.
struct Seat {
    std::size_t lane = 0;
    std::string model;
    catalog::Entry entry;
    ModelPolicy policy;
    bool pinned = false;
    lane::LoadWishes wishes;  // that it is loaded with, whatever the policy says later
    /// What a client said of its staying, in place of the policy: forever = until room is needed.
    std::optional<std::chrono::milliseconds> keep;
    static constexpr std::chrono::milliseconds kForever = std::chrono::milliseconds::max();

    lane::State state = lane::State::offline;  // ready stands for serving and idle, too
    std::int64_t since_unix_ms = 0;
    std::shared_ptr<lane::Resident> resident;
    plan::Need need;
    std::vector<std::uint64_t> claim;           // bytes of each pool
    std::function<plan::Observed()> holding;    // while it loads: what it has taken so far
    std::optional<std::uint32_t> observed_at;   // answers it had given when last observed
    Time observe_from{};                        // what was seen before is no news of those answers
    bool noted = false;                         // an observation of this load is remembered
    std::vector<std::shared_ptr<Seat>> awaits;  // their room is needed first
    CancelToken load_cancel;
    std::vector<Ask> asks;  // answered when it is ready
    bool unloading_begun = false;
    bool retired = false;  // its resident's totals are in the lane's

    std::uint32_t running = 0;  // weights under lease
    bool has_served = false;
    std::uint32_t answered = 0;  // requests that ended well
    Time last_used{};
    Time load_began{};
    double load_ms = 0;

    std::uint32_t failures = 0;  // in a row
    bool lost = false;           // it failed in service rather than while loading
    Time retry_at{};
    std::optional<Error> error;

    [[nodiscard]] bool active() const {
        return state != lane::State::failed && state != lane::State::offline;
    }
    /// Whether it is, or comes, as the ask wants it.
    [[nodiscard]] bool is_as(const Ask& ask) const {
        return !ask.context_tokens || *ask.context_tokens == wishes.context_tokens ||
               *ask.context_tokens == need.context_tokens;
    }
    [[nodiscard]] bool leaving() const {
        return state == lane::State::draining || state == lane::State::unloading;
    }
    /// Whether it failed in service and is tried again in a moment.
    [[nodiscard]] bool comes_back_soon(Time now) const {
        constexpr std::chrono::seconds kSoon{5};
        return lost && retry_at - now <= kSoon;
    }
    /// How long it stays after its last request; absent = until its room is needed.
    [[nodiscard]] std::optional<std::chrono::milliseconds> stays() const {
        if (keep) {
            return *keep == kForever ? std::nullopt : keep;
        }
        return policy.keep_warm_s == 0 ? std::nullopt
                                       : std::optional<std::chrono::milliseconds>(
                                             std::chrono::seconds(policy.keep_warm_s));
    }
    /// How long it is kept after its last request although somebody waits for its room: clients
    /// that talk to it turn by turn come back soon, and coming back would cost two loads.
    [[nodiscard]] std::chrono::milliseconds linger() const {
        constexpr double kLingerShare = 0.25;  // of what loading it again would cost
        constexpr double kLingerMsMin = 25;
        constexpr double kLingerMsMax = 500;
        const double ms = std::clamp(load_ms * kLingerShare, kLingerMsMin, kLingerMsMax);
        return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
    }
};

}  // namespace trilane::plane
