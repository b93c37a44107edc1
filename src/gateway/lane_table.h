// LaneTable: which lane serves a model. Exact names only; choosing between lanes is not done here.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "job/job.h"
#include "lane/lane.h"

namespace trilane::gateway {

/// A model and where it is served.
struct Placement {
    std::shared_ptr<lane::Lane> lane;
    job::ModelCard card;
};

/// **Threads:** every function may be called from any thread.
class LaneTable {
public:
    explicit LaneTable(std::vector<std::shared_ptr<lane::Lane>> lanes) : lanes_(std::move(lanes)) {}

    /// The model with that id; "default" is the only model there is.
    /// **Errors:** not_found, with a message that names what exists.
    [[nodiscard]] Result<Placement> find(std::string_view model) const;

    [[nodiscard]] std::vector<job::ModelCard> models() const;
    [[nodiscard]] std::vector<lane::LaneSnapshot> snapshots() const;

private:
    std::vector<std::shared_ptr<lane::Lane>> lanes_;
};

}  // namespace trilane::gateway
