// The llama-server lane: llama.cpp's server as a child, one process per model, on the device that
// the lane is set to (Vulkan, ROCm, CUDA or CPU). Its router mode is not used: what is loaded where
// is the plane's business.
#pragma once

#include <memory>

#include "base/result.h"
#include "lane/descriptor.h"

namespace trilane::lane {

/// **Errors:** invalid: an argument in `settings.args` that Trilane must set itself; not_found: no
/// program.
Result<std::shared_ptr<Lane>> open_llama_server_lane(const Settings& settings, const Parts& parts);

extern const Descriptor kLlamaServerDescriptor;

}  // namespace trilane::lane
