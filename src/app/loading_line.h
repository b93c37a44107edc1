// What a terminal shows while a daemon loads a model, and once it has.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "json/fwd.h"

namespace trilane::app {

/// "coder: warming on gpu, 12 s", from what /trilane/v1/state?model=… answers; of a model that no
/// lane has begun to load, that it waits for room.
std::string loading_text(const json::Value& state, std::string_view model,
                         std::chrono::seconds waited);

/// "coder is ready on gpu: 1,024 tokens of context, 169 MB, after 1.2 s" and, below it, what was
/// done otherwise than asked for; of what /trilane/v1/load or unload answers.
std::string loaded_text(const json::Value& answer);

}  // namespace trilane::app
