// Small files that are read whole, and replaced at once or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trilane::catalog {

/// The beginning of a file, at most bytes_max of it; "" when it cannot be read.
std::string read_small_file(const std::string& path, std::size_t bytes_max);

/// Makes a folder and those above it. **Errors:** unavailable.
Status make_folder(const std::string& path);

/// Written beside, made durable and renamed. **Errors:** unavailable, exhausted.
Status replace_file(const std::string& path, std::string_view text);

}  // namespace trilane::catalog
