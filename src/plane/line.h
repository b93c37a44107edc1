// WaitingLine: requests that wait for a lane, in a bounded and fair line. Pure: no threads, no
// clock of its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "job/job.h"

namespace trilane::plane {

using Time = std::chrono::steady_clock::time_point;

/// A lane that would not have a request or a load, and why.
struct Refusal {
    std::size_t lane = 0;
    Error error;
};

/// A request in line. Its weight is the number of answers it asks for.
struct Waiting {
    std::shared_ptr<const job::Request> request;
    job::EventSink sink;
    CancelToken cancel;
    Time since{};
    Time until{};       ///< refused then
    Time not_before{};  ///< stays in line until then
    std::uint32_t weight = 1;
    bool retried = false;                  ///< it was running once, on a resident that was lost
    std::optional<std::size_t> only_lane;  ///< the name that the client gave says it
    std::vector<Refusal> refusals;         ///< of lanes that it was sent to before
};

struct LineLimits {
    std::uint32_t length_max = 64;      ///< weights in line, of everybody
    std::uint32_t per_client_max = 32;  ///< of these, of one named client
};

class WaitingLine {
public:
    explicit WaitingLine(LineLimits limits) : limits_(limits) {}

    /// Whether so many more of this client would be taken. **Errors:** exhausted, with the figures.
    [[nodiscard]] Status room_for(std::string_view client, std::uint32_t weight) const;
    void push(Waiting waiting);
    /// Puts one back at the front (its resident was lost); bounds do not apply.
    void push_front(Waiting waiting);

    /// The next request for `model` whose weight is at most `weight_max`: of the client that was
    /// served longest ago, its oldest. A heavier one that is next holds the line up.
    std::optional<Waiting> pop(std::string_view model, std::uint32_t weight_max, Time now);

    /// Takes out what is cancelled, or whose time is over.
    std::vector<Waiting> take_dead(Time now);
    /// Takes out everything for a model.
    std::vector<Waiting> take_model(std::string_view model);
    std::vector<Waiting> take_all();
    std::vector<Waiting> take_if(const std::function<bool(const Waiting&)>& which);

    /// Models somebody waits for, in the order of their oldest request, with its arrival.
    struct Wanted {
        std::string model;
        Time since{};
        std::uint32_t weight = 0;
    };
    [[nodiscard]] std::vector<Wanted> wanted() const;
    [[nodiscard]] bool waits_for(std::string_view model) const;
    [[nodiscard]] std::uint32_t weight_of(std::string_view model) const;
    /// The sum of all weights.
    [[nodiscard]] std::uint32_t length() const { return length_; }
    [[nodiscard]] const LineLimits& limits() const { return limits_; }
    void set_limits(LineLimits limits) { limits_ = limits; }
    /// When the next one's time is over, or comes.
    [[nodiscard]] std::optional<Time> next_change(Time now) const;

private:
    using Place = std::list<Waiting>::iterator;
    Waiting take(Place place);

    LineLimits limits_;
    std::list<Waiting> waiting_;  // oldest first
    std::uint32_t length_ = 0;
    std::uint64_t turns_ = 0;
    std::map<std::string, std::uint64_t, std::less<>> last_turn_;  // client → when it was served
};

}  // namespace trilane::plane
