// Which of the known names somebody may have meant who wrote another one.
#pragma once

#include <span>
#include <string_view>

namespace trilane {

/// The nearest of the known names: a few slips of the hand away, or with the same beginning.
/// "" = none is near. Of equally near ones, the first.
std::string_view near_name(std::string_view name, std::span<const std::string_view> known);

}  // namespace trilane
