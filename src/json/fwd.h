// Names json::Value without the weight of the library.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace trilane::json {

/// A JSON value whose objects keep the order of their keys.
using Value = nlohmann::ordered_json;

}  // namespace trilane::json
