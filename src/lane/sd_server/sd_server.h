// The sd-server lane: stable-diffusion.cpp's server as a child, one process per model. It counts as
// ready when it answers, without painting a picture first; requests for it have no kind of job yet,
// so its residents refuse what they are given (all of it is chat).
#pragma once

#include <memory>

#include "base/result.h"
#include "lane/descriptor.h"

namespace trilane::lane {

/// **Errors:** invalid (settings); not_found: no program.
Result<std::shared_ptr<Lane>> open_sd_server_lane(const Settings& settings, const Parts& parts);

extern const Descriptor kSdServerDescriptor;

}  // namespace trilane::lane
