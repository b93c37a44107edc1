// The machine and its lanes as Lemonade's clients know them: devices, recipes and their backends.
// Private to the gateway.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dialect/lemonade/listings.h"
#include "plane/service.h"
#include "probe/machine.h"

namespace trilane::gateway::lemonade_api {

/// All recipes that lanes of Trilane could run, and which of them do.
/// `version`: the daemon's own, which is that of its engine.
std::vector<dialect::lemonade::RecipeState> recipe_states(
    const plane::View& view, const std::optional<probe::Machine>& machine,
    const std::string& version);

/// The machine, without recipes; absent facts stay empty.
dialect::lemonade::System system_of(const std::optional<probe::Machine>& machine);

dialect::lemonade::Usage usage_of(const std::optional<probe::Machine>& machine);

}  // namespace trilane::gateway::lemonade_api
