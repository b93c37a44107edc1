// What a visitor's load may order: one of an administrator stays for all who come later, one of
// anybody else must not spoil the model for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "access/door.h"
#include "base/result.h"
#include "plane/service.h"

namespace trilane::gateway {

/// Less than this a model is loaded with only for administrators: it would be of no use to others.
inline constexpr std::uint32_t kVisitorContextMin = 512;

/// The context that a load is to be ordered with; absent = what the lane decides. Administrators
/// get what they ask for; others only where the model is neither in memory nor on its way there.
/// `field` is where the client sent it. **Errors:** invalid: it is too small for others.
Result<std::optional<std::uint32_t>> context_ordered(const access::Visit& visit,
                                                     const plane::View& view, std::string_view id,
                                                     std::string_view field,
                                                     std::optional<std::uint32_t> asked);

}  // namespace trilane::gateway
