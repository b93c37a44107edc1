// What `trilane loadouts` says: the curated sets of models, each judged by the planner as a whole
// on this machine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/loadouts.h"
#include "json/fwd.h"
#include "plan/plan.h"

namespace trilane::app {

/// A model of a loadout with its place here.
struct PlacedModel {
    const catalog::LoadoutModel* model = nullptr;
    std::string device;  ///< where it would run here
    plan::Verdict verdict;
};

struct PlacedLoadout {
    const catalog::Loadout* loadout = nullptr;
    std::vector<PlacedModel> models;
    plan::Fit fit = plan::Fit::fits;  ///< the worst of its models'
    [[nodiscard]] std::uint64_t bytes() const;
};

/// The loadouts of that name, or all with "", each placed on an otherwise empty machine.
/// **Errors:** not_found, with the names there are.
Result<std::vector<PlacedLoadout>> place_loadouts(std::string_view name,
                                                  const plan::Memory& memory);

/// One line each, or with `detailed` every model of each.
std::string loadouts_text(const std::vector<PlacedLoadout>& loadouts, bool detailed);
json::Value loadouts_json(const std::vector<PlacedLoadout>& loadouts);

}  // namespace trilane::app
