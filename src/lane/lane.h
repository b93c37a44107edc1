// Lane and Resident: a place on some silicon where models can be loaded, and a model that is. The
// engine in this process is one kind of lane; supervised servers and remote endpoints are others.
// Knows nothing of dialects; who is loaded where, and when, is plane's business.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "job/job.h"
#include "os/log_ring.h"
#include "plan/plan.h"
#include "plan/shape.h"

namespace trilane::lane {

struct Descriptor;

/// A loaded model's load at one instant.
struct ResidentSnapshot {
    std::uint32_t slots = 0;  ///< requests it works on at once
    std::uint32_t slots_busy = 0;
    std::uint32_t queued = 0;  ///< inside it; the plane's own queue comes before
    std::uint64_t requests_total = 0;
    std::uint64_t prompt_tokens_total = 0;
    std::uint64_t cached_tokens_total = 0;
    std::uint64_t predicted_tokens_total = 0;
    std::uint64_t cancelled_total = 0;
    std::uint64_t failed_total = 0;
    plan::Observed observed;  ///< memory it was last seen to hold; zeros = cannot be told
    std::chrono::steady_clock::time_point observed_at{};  ///< when; the epoch = now
};

/// A model in service.
class Resident {
public:
    /// Ends what still runs, as stop(0).
    virtual ~Resident() = default;

    [[nodiscard]] virtual const job::ModelCard& card() const = 0;
    /// Requests it works on at once; nobody hands it more.
    [[nodiscard]] virtual std::uint32_t slots() const = 0;

    /// Takes the request and returns at once; the answer arrives through `sink`.
    /// **Threads:** any. `cancel` ends the request soon; its sink then still gets its last event
    /// (Failed with Fault::cancelled). Lanes over HTTP must be told by cancelled() below, too.
    /// **Errors:** arrive as a Failed event.
    virtual void submit(job::Request request, job::EventSink sink, CancelToken cancel) = 0;

    /// The token of a running request was cancelled: look now. Cheap; any thread.
    virtual void notice_cancel() {}

    /// **Threads:** any, those that answer clients included: reads no file, waits for nobody.
    [[nodiscard]] virtual ResidentSnapshot snapshot() const = 0;
    /// Has its memory looked at, for the snapshots that follow: they show what was seen last. Waits
    /// a moment for that; not on threads that answer clients.
    virtual void look_again() {}

    /// Takes no more, waits until what runs has ended or `patience_ms` is over, fails what is left
    /// with Fault::unavailable, and frees everything (a child is gone when this returns).
    virtual void stop(std::uint32_t patience_ms) = 0;
};

/// What the user wants of a model's loading; 0 or empty = as the lane decides.
struct LoadWishes {
    std::uint32_t context_tokens = 0;  ///< of one request
    std::uint32_t parallel = 0;        ///< requests at once
    plan::KvType kv = plan::KvType::f16;
    std::vector<std::string> args;  ///< further arguments of the child
};

/// Where a load has got to.
enum class LoadPhase { starting, warming };

struct LoadRequest {
    catalog::Entry entry;
    LoadWishes wishes;
    plan::Need need;  ///< as need() said, with the context that was decided
    CancelToken cancel;
    std::function<void(LoadPhase)> on_phase;
    /// Called once there is something that takes memory, with how to see how much. What it is given
    /// may be called from any thread, also after the load.
    std::function<void(std::function<plan::Observed()>)> on_holding;
    /// Called at most once after load() has succeeded, when the resident can serve no more (its
    /// child died or hangs). Its running requests have failed or will. **Threads:** any; it must
    /// not wait there, nor stop or drop the resident.
    std::function<void(const Error&)> on_lost;
};

/// **Threads:** every function from any thread.
class Lane {
public:
    virtual ~Lane() = default;

    /// As the user calls it, also the routing prefix: "cpu", "gpu", "npu" …
    [[nodiscard]] virtual const std::string& name() const = 0;
    [[nodiscard]] virtual const Descriptor& descriptor() const = 0;
    /// Its name among plan::Memory::devices; "" = takes no memory here (remote).
    [[nodiscard]] virtual const std::string& device() const = 0;
    /// Models that may be resident at once, whatever the memory.
    [[nodiscard]] virtual std::uint32_t residents_max() const = 0;

    /// Whether it could load that model, by its store, purpose and format. Cheap.
    [[nodiscard]] virtual bool can_serve(const catalog::Entry& entry) const = 0;
    /// Sets what a model that it can_serve() can be asked for here beyond its purpose. Cheap.
    virtual void add_abilities(const catalog::Entry& /*entry*/,
                               job::Abilities& /*abilities*/) const {}
    /// Models only this lane knows (FLM's tags, a remote's list), as last read. Cheap.
    [[nodiscard]] virtual std::vector<catalog::Entry> offers() const { return {}; }
    /// Reads that list again. May wait for a program or a network, until `cancel` is set.
    virtual Status refresh_offers(const CancelToken& /*cancel*/) { return {}; }

    /// What loading would take. Reads file headers.
    [[nodiscard]] virtual Result<plan::Need> need(const catalog::Entry& entry,
                                                  const LoadWishes& wishes) const = 0;

    /// Loads; waits until the model answers, the cancel token is set or a limit has passed.
    /// **Errors:** why not, with the last lines a child printed.
    virtual Result<std::shared_ptr<Resident>> load(LoadRequest request) = 0;

    /// What its children print.
    [[nodiscard]] virtual std::shared_ptr<os::LogRing> log() const = 0;
};

}  // namespace trilane::lane
