// The whisper-server lane: whisper.cpp's server as a child, one process per model. It is started,
// checked with half a second of silence and supervised like the others; requests for it have no
// kind of job yet, so its residents refuse what they are given (all of it is chat).
#pragma once

#include <memory>

#include "base/result.h"
#include "lane/descriptor.h"

namespace trilane::lane {

/// **Errors:** invalid (settings); not_found: no program.
Result<std::shared_ptr<Lane>> open_whisper_server_lane(const Settings& settings,
                                                       const Parts& parts);

extern const Descriptor kWhisperServerDescriptor;

}  // namespace trilane::lane
