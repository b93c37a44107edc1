// Text fields of the JSON files of this module.
#pragma once

#include <string>

#include "json/fwd.h"

namespace trilane::catalog {

/// The text under `key`; "" where there is none or something else.
std::string text_at(const json::Value& object, const char* key);

}  // namespace trilane::catalog
