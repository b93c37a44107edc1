// Plane: the centre. Knows the lanes and the models, loads what is asked for where it fits, keeps
// the lines, and hands each request to a loaded model under a lease, so that what it was promised
// cannot be evicted under it. Holds no lock across a load, a child, a file or a callback.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "lane/lane.h"
#include "plan/calibration.h"
#include "plan/plan.h"
#include "plane/line.h"
#include "plane/models.h"
#include "plane/service.h"

namespace trilane::plane {

struct PlaneOptions {
    LineLimits line;                              ///< of each lane
    std::chrono::milliseconds wait_max{600'000};  ///< in line, a load included
    /// One model may keep another waiting for so long by having requests of its own in line.
    std::chrono::milliseconds batch_wait_max{20'000};
    Policies policies;
    std::string default_model;
    /// The memory as it is now, given who of ours is in it. Reads files; called on the plane's own
    /// thread. Empty = memory is no concern.
    std::function<plan::Memory(std::span<const plan::Occupant> occupants)> memory;
    /// What loads were seen to hold before this plane was.
    std::vector<plan::Observation> observations;
    /// All of them, whenever something was learnt that is worth keeping; one call at a time, on a
    /// thread that may wait for files.
    std::function<void(const std::vector<plan::Observation>&)> on_observation;
    std::function<std::vector<catalog::Entry>()> catalogue;
    std::function<FurtherNames()> further_names;  ///< read with the catalogue; empty = none
    std::function<void(std::string_view)> log;    ///< a line for the daemon's log; must not block
};

class Plane final : public Service {
public:
    /// Starts its thread and begins to load what policies pin or preload.
    Plane(PlaneOptions options, std::vector<std::shared_ptr<lane::Lane>> lanes);
    ~Plane() override;  ///< stop(0)
    Plane(const Plane&) = delete;
    Plane& operator=(const Plane&) = delete;

    [[nodiscard]] std::vector<job::ModelCard> models() const override;
    [[nodiscard]] Result<job::ModelCard> find(std::string_view name) const override;
    [[nodiscard]] Line line_of(std::string_view model) const override;
    [[nodiscard]] std::chrono::seconds next_try_in(std::string_view model) const override;
    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override;
    void notice_cancel() override;
    [[nodiscard]] View view() const override;
    void load(LoadAsk ask, std::function<void(Status)> done) override;
    Status unload(std::string_view model) override;
    Status keep(std::string_view model, std::optional<std::chrono::milliseconds> time) override;
    [[nodiscard]] Result<std::shared_ptr<os::LogRing>> log_of(std::string_view lane) const override;

    /// Reads the catalogue and the lanes' offers again.
    void catalogue_changed();
    /// More is known of the memory than when it was last asked for: decides again.
    void memory_changed();
    /// Takes over other policies and limits; what is loaded stays as it is until it is loaded
    /// again.
    void set_policies(Policies policies, LineLimits line);

    /// Takes no more, fails what waits, gives what runs `patience_ms` to end, and unloads
    /// everything. Waits for all that.
    void stop(std::uint32_t patience_ms);

private:
    class Core;
    std::shared_ptr<Core> core_;
};

}  // namespace trilane::plane
