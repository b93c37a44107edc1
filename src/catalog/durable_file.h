// Small files that are replaced at once or not at all, and their folders.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace trilane::catalog {

/// Makes a folder and those above it. **Errors:** unavailable.
Status make_folder(const std::string& path);

/// Written beside, made durable and renamed. **Errors:** unavailable, exhausted.
Status replace_file(const std::string& path, std::string_view text);

}  // namespace trilane::catalog
