#include "plan/choice.h"

#include <algorithm>
#include <array>

#include "plan/bytes.h"

namespace trilane::plan {
namespace {

std::uint64_t held_of(const Holding& holding, std::size_t pool) {
    return pool < holding.pool_bytes.size() ? holding.pool_bytes[pool] : 0;
}

/// Sets of candidates, as bits in the order in which one would rather see them go.
class Candidates {
public:
    Candidates(const Room& room, std::span<const Holding> holdings) : room_(room) {
        stays_.assign(holdings.size(), true);
        for (std::size_t i = 0; i < holdings.size(); ++i) {
            if (holdings[i].evictable && room.concerns(i)) {
                order_.push_back(i);
            }
        }
        std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
            const Holding& x = holdings[a];
            const Holding& y = holdings[b];
            return x.priority != y.priority ? x.priority < y.priority : x.last_used < y.last_used;
        });
        for (std::size_t i = order_.size(); i-- > 0;) {
            const bool first = i + 1 == order_.size();
            const bool same =
                !first && holdings[order_[i]].priority == holdings[order_[i + 1]].priority;
            levels_.insert(levels_.begin(), first ? 0 : levels_.front() + (same ? 0 : 1));
        }
    }

    [[nodiscard]] std::size_t size() const { return order_.size(); }

    void go(std::size_t i, bool goes) { stays_[order_[i]] = !goes; }
    [[nodiscard]] bool fits(std::uint64_t need_bytes) const {
        return room_.bytes(stays_) >= need_bytes;
    }

    /// What one would not like about the set: how many of the highest priority go, how many of the
    /// next, …
    using Loss = std::array<std::uint8_t, kChoiceMax>;
    [[nodiscard]] Loss loss(std::uint32_t set) const {
        Loss loss{};
        for (std::size_t i = 0; i < order_.size(); ++i) {
            loss[levels_[i]] = static_cast<std::uint8_t>(loss[levels_[i]] + (set >> i & 1U));
        }
        return loss;
    }

    [[nodiscard]] std::vector<std::size_t> gone() const {
        std::vector<std::size_t> gone;
        for (const std::size_t i : order_) {
            if (!stays_[i]) {
                gone.push_back(i);
            }
        }
        return gone;
    }

private:
    const Room& room_;
    std::vector<std::size_t> order_;   // indices of holdings
    std::vector<std::size_t> levels_;  // of each in order_: 0 = the highest priority there is
    std::vector<bool> stays_;          // by holding
};

/// Tries every set. The numbers of sets compare as their latest members do, so that among equal
/// losses the least recently used go.
void choose_best(Candidates& candidates, std::uint64_t need_bytes) {
    const std::uint32_t all = (1U << candidates.size()) - 1;
    std::uint32_t best = all;
    Candidates::Loss best_loss = candidates.loss(all);
    for (std::uint32_t set = 0; set < all; ++set) {
        const Candidates::Loss loss = candidates.loss(set);
        if (loss >= best_loss) {
            continue;
        }
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            candidates.go(i, (set >> i & 1U) != 0);
        }
        if (candidates.fits(need_bytes)) {
            best = set;
            best_loss = loss;
        }
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        candidates.go(i, (best >> i & 1U) != 0);
    }
}

/// From all gone, lets come back whoever need not go, the most valued first.
void choose_quickly(Candidates& candidates, std::uint64_t need_bytes) {
    for (std::size_t i = candidates.size(); i-- > 0;) {
        candidates.go(i, false);
        if (!candidates.fits(need_bytes)) {
            candidates.go(i, true);
        }
    }
}

}  // namespace

Room::Room(const Memory& memory, const Device& device, std::span<const Holding> holdings)
    : memory_(memory), device_(device), holdings_(holdings) {
    for (const Pool& pool : memory.pools) {
        usable_.push_back(less(less(pool.total_bytes, pool.reserve_bytes), pool.foreign_bytes));
    }
}

std::vector<std::uint64_t> Room::by_share(const std::vector<bool>& stays) const {
    std::vector<std::uint64_t> free = usable_;
    for (std::size_t i = 0; i < holdings_.size(); ++i) {
        for (std::size_t pool = 0; stays[i] && pool < free.size(); ++pool) {
            free[pool] = less(free[pool], held_of(holdings_[i], pool));
        }
    }
    std::vector<std::uint64_t> room;
    for (const Share& share : device_.shares) {
        std::uint64_t limit = share.limit_bytes;
        for (std::size_t i = 0; i < holdings_.size(); ++i) {
            if (stays[i] && holdings_[i].device == device_.name) {
                limit = less(limit, held_of(holdings_[i], share.pool));
            }
        }
        room.push_back(std::min(limit, free[share.pool]));
        free[share.pool] -= room.back();
    }
    return room;
}

std::uint64_t Room::bytes(const std::vector<bool>& stays) const {
    std::uint64_t sum = 0;
    for (const std::uint64_t bytes : by_share(stays)) {
        sum += bytes;
    }
    return sum;
}

bool Room::concerns(std::size_t i) const {
    return std::any_of(device_.shares.begin(), device_.shares.end(), [&](const Share& share) {
        return share.limit_bytes > 0 && held_of(holdings_[i], share.pool) > 0;
    });
}

std::vector<std::size_t> choose_evictions(const Room& room, std::span<const Holding> holdings,
                                          std::uint64_t need_bytes) {
    Candidates candidates(room, holdings);
    if (candidates.fits(need_bytes)) {
        return {};
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        candidates.go(i, true);
    }
    if (candidates.fits(need_bytes)) {
        candidates.size() <= kChoiceMax ? choose_best(candidates, need_bytes)
                                        : choose_quickly(candidates, need_bytes);
    }
    return candidates.gone();
}

}  // namespace trilane::plan
