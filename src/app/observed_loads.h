// Observed loads: the file in which the daemon keeps what loaded models were seen to hold, for its
// next start and for `trilane plan`. What follows from it is plan/calibration.h's.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "plan/calibration.h"

namespace trilane::app {

/// Larger files are none of ours.
inline constexpr std::size_t kObservedLoadsBytesMax = std::size_t{1} << 20U;

/// Where it lies; "" = nowhere, without a state directory.
std::string observed_loads_path(const std::string& state_dir);

/// What the file holds; empty when there is none. **Errors:** corrupt, saying where; unavailable.
Result<std::vector<plan::Observation>> read_observed_loads(const std::string& path);

/// Puts a new file in the old one's place, whole or not at all; makes its directory.
/// **Errors:** unavailable.
Status write_observed_loads(const std::string& path, std::span<const plan::Observation> loads);

std::string observed_loads_text(std::span<const plan::Observation> loads);
/// **Errors:** invalid or corrupt: not such a text. More than plan::kObservationsMax are left out.
Result<std::vector<plan::Observation>> parse_observed_loads(std::string_view text);

}  // namespace trilane::app
