// The FLM lane: FastFlowLM (or its fork OpenFlowLM) as a child, one model per process, on the NPU.
// What its server does differently from everybody else's is repaired in HttpResident, by the rules
// that are set here.
#pragma once

#include <memory>

#include "base/result.h"
#include "lane/descriptor.h"
#include "lane/http_resident.h"

namespace trilane::lane {

/// **Errors:** invalid (settings); not_found: no program.
Result<std::shared_ptr<Lane>> open_flm_lane(const Settings& settings, const Parts& parts);

/// What FLM's server does differently, by name.
UpstreamRules flm_rules();

extern const Descriptor kFlmDescriptor;

}  // namespace trilane::lane
