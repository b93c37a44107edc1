// The meters of power and energy that this machine has. Which are there, not what they show.
#pragma once

#include <vector>

#include "probe/access.h"
#include "probe/machine.h"
#include "probe/tree.h"

namespace trilane::probe {

std::vector<PowerMeter> power_meters(const Tree& tree, const Access& access);

}  // namespace trilane::probe
