// What this build is: for `trilane version`, the daemon's log and its /health.
#pragma once

#include <optional>
#include <string>

#include "json/fwd.h"
#include "kernels/kernels.h"

namespace trilane::app {

/// "0.1.0"
std::string version_number();
/// `git describe` of the source tree at build time; "unknown" outside a checkout.
std::string source_revision();

std::string version_text(std::optional<kernels::Isa> forced);
json::Value version_json(std::optional<kernels::Isa> forced);

}  // namespace trilane::app
