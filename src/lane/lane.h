// Lane: whatever can answer a job::Request. The engine in this process is one; supervised servers
// and remote endpoints are others. Knows nothing of dialects or of policy.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "job/job.h"

namespace trilane::lane {

/// A lane's load at one instant, for /health and /metrics.
struct LaneSnapshot {
    std::string name;
    std::uint32_t slots = 0;  ///< requests it can work on at once
    std::uint32_t slots_busy = 0;
    std::uint32_t queued = 0;
    std::uint32_t queued_max = 0;
    std::uint64_t requests_total = 0;
    std::uint64_t prompt_tokens_total = 0;
    std::uint64_t cached_tokens_total = 0;
    std::uint64_t predicted_tokens_total = 0;
    std::uint64_t cancelled_total = 0;
    std::uint64_t failed_total = 0;
};

class Lane {
public:
    virtual ~Lane() = default;

    /// Short name, also the routing prefix: "native", "npu" …
    [[nodiscard]] virtual std::string_view name() const = 0;

    /// The models this lane can serve now. Cheap; never waits for a load.
    [[nodiscard]] virtual std::vector<job::ModelCard> models() const = 0;

    /// Takes the request and returns at once; the answer arrives through `sink`.
    /// **Threads:** callable from any thread. `cancel` ends the request within one engine step; its
    /// sink then still gets its last event (Failed with Fault::cancelled).
    /// **Errors:** arrive as a Failed event, too: exhausted when the queue is full.
    virtual void submit(job::Request request, job::EventSink sink, CancelToken cancel) = 0;

    [[nodiscard]] virtual LaneSnapshot snapshot() const = 0;

    /// Takes no more requests, waits until the running ones have ended or `patience_ms` is over,
    /// fails what is left with Fault::unavailable, and joins its threads.
    virtual void stop(std::uint32_t patience_ms) = 0;
};

}  // namespace trilane::lane
