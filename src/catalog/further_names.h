// Further names of models as they are kept in the models folder, `names.json`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/library.h"

namespace trilane::catalog {

inline constexpr std::size_t kNamesBytesMax = 16U << 20U;

std::string names_text(const std::vector<FurtherName>& names);
/// **Errors:** corrupt.
Result<std::vector<FurtherName>> parse_names(std::string_view text);

}  // namespace trilane::catalog
