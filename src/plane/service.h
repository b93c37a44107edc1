// Service: what the gateway asks of the inference plane. An interface, so that the gateway is
// tested without models and so that logging or routing can be put in front.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "job/job.h"
#include "lane/lane.h"
#include "lane/state.h"
#include "os/log_ring.h"
#include "plan/plan.h"

namespace trilane::plane {

/// A model on a lane, at one instant.
struct Residency {
    std::string model;
    lane::State state = lane::State::offline;
    std::int64_t since_unix_ms = 0;  ///< in that state
    bool pinned = false;
    std::int64_t expires_unix_ms = 0;  ///< when it goes if nobody asks it; 0 = no such time
    std::uint32_t context_tokens = 0;
    std::uint64_t predicted_bytes = 0;           ///< by formula
    std::uint64_t planned_bytes = 0;             ///< after the correction
    std::optional<plan::Correction> correction;  ///< by what such a load was seen to hold
    double load_ms = 0;                          ///< of the last load; 0 = none
    std::uint32_t waiting = 0;
    std::uint32_t failures = 0;  ///< in a row
    std::string error;           ///< why it failed
    lane::ResidentSnapshot load;
};

/// A lane, at one instant. Totals are those of all models it has had.
struct LaneView {
    std::string name;
    std::string kind;
    std::string silicon;
    std::uint32_t slots = 0;  ///< of what is resident
    std::uint32_t slots_busy = 0;
    std::uint32_t queued = 0;
    std::uint32_t queued_max = 0;
    std::uint64_t requests_total = 0;
    std::uint64_t prompt_tokens_total = 0;
    std::uint64_t cached_tokens_total = 0;
    std::uint64_t predicted_tokens_total = 0;
    std::uint64_t cancelled_total = 0;
    std::uint64_t failed_total = 0;
    std::uint64_t loads_total = 0;
    std::uint64_t load_failures_total = 0;
    std::uint64_t evictions_total = 0;
    std::uint64_t lost_total = 0;  ///< residents that crashed or hung
    std::vector<Residency> residents;
};

/// Memory as loads see it.
struct PoolView {
    std::string name;
    std::uint64_t total_bytes = 0;
    std::uint64_t reserve_bytes = 0;
    std::uint64_t foreign_bytes = 0;
    std::uint64_t planned_bytes = 0;  ///< claims of what is resident or loading
};

struct View {
    std::vector<LaneView> lanes;
    std::vector<PoolView> pools;  ///< as of the last decision
};

/// How full the line is that a model's requests would stand in.
struct Line {
    std::uint32_t queued = 0;
    std::uint32_t queued_max = 0;
};

/// **Threads:** every function from any thread; none waits for a load, a child or a network,
/// unless it says so.
class Service {
public:
    virtual ~Service() = default;

    /// Every model that can be asked for, loaded or not.
    [[nodiscard]] virtual std::vector<job::ModelCard> models() const = 0;
    /// What a client's name means: an id, an alias, "lane/id", "default".
    /// **Errors:** not_found, with what there is.
    [[nodiscard]] virtual Result<job::ModelCard> find(std::string_view name) const = 0;
    [[nodiscard]] virtual Line line_of(std::string_view model) const = 0;
    /// Of a model that has failed wherever it was: when it is tried again; zero = nothing of the
    /// kind is known.
    [[nodiscard]] virtual std::chrono::seconds next_try_in(std::string_view /*model*/) const {
        return {};
    }

    /// Answers the request: at once, after a wait in line, or after loading its model. The answer
    /// arrives through `sink`, ending with exactly one Done or Failed.
    virtual void submit(job::Request request, job::EventSink sink, CancelToken cancel) = 0;
    /// A token of a submitted request was cancelled: look now.
    virtual void notice_cancel() = 0;

    [[nodiscard]] virtual View view() const = 0;

    // For administrators.
    struct LoadAsk {
        std::string model;
        std::string lane;  ///< "" = the best
        /// Patterns of names of lanes; empty = any. It is loaded on no other.
        std::vector<std::string> lanes{};
        std::optional<std::uint32_t> context_tokens;
        std::optional<bool> pin;
    };
    /// Loads, and tells `done` when the model is ready or why not.
    virtual void load(LoadAsk ask, std::function<void(Status)> done) = 0;
    /// Drains and unloads the model wherever it is. **Errors:** not_found: it is not loaded.
    virtual Status unload(std::string_view model) = 0;
    /// How long the model, where it is loaded, stays after its last request; absent = until its
    /// room is needed. Until it is loaded again. **Errors:** not_found: it is not loaded.
    virtual Status keep(std::string_view model, std::optional<std::chrono::milliseconds> time) = 0;
    /// What a lane's children printed. **Errors:** not_found, naming the lanes.
    [[nodiscard]] virtual Result<std::shared_ptr<os::LogRing>> log_of(
        std::string_view lane) const = 0;
};

}  // namespace trilane::plane
