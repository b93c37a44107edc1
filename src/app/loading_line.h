// What a terminal shows while a daemon loads a model.
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

}  // namespace trilane::app
