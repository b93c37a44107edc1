// The remote lane: models behind an OpenAI server that somebody else runs, here or elsewhere: vLLM,
// SGLang, another Trilane. Starts no process and plans no memory: loading a model only makes sure
// that the server answers.
#pragma once

#include <memory>

#include "base/result.h"
#include "lane/descriptor.h"
#include "lane/http_resident.h"

namespace trilane::lane {

/// **Errors:** invalid: the URL, the key or a limit.
Result<std::shared_ptr<Lane>> open_remote_lane(const Settings& settings, const Parts& parts);

/// What is done for servers of which nothing is known but that they speak OpenAI's API.
UpstreamRules remote_rules();

extern const Descriptor kRemoteDescriptor;

}  // namespace trilane::lane
