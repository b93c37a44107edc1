// Choice: what room a device has beside given holdings, and which of them should go to make more.
// Inside of plan only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "plan/plan.h"

namespace trilane::plan {

/// What a device may take while some of the holdings stay.
class Room {
public:
    Room(const Memory& memory, const Device& device, std::span<const Holding> holdings);

    /// `stays[i]` tells whether holding i stays.
    [[nodiscard]] std::uint64_t bytes(const std::vector<bool>& stays) const;
    /// The same, by share of the device.
    [[nodiscard]] std::vector<std::uint64_t> by_share(const std::vector<bool>& stays) const;
    /// Whether holding i has memory of a pool that the device draws from.
    [[nodiscard]] bool concerns(std::size_t i) const;

private:
    const Memory& memory_;
    const Device& device_;
    std::span<const Holding> holdings_;
    std::vector<std::uint64_t> usable_;  // by pool: what loads may take of it at all
};

/// Who goes so that `need_bytes` fit, as judge() promises; indices of holdings in the order in
/// which they go. Everybody evictable when even that is not enough.
std::vector<std::size_t> choose_evictions(const Room& room, std::span<const Holding> holdings,
                                          std::uint64_t need_bytes);

}  // namespace trilane::plan
