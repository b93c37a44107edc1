// PairTable: (left id, right id) → what the two become when they are merged, and how early. Built
// once from a vocabulary's merges; nothing is removed.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "token/tokenizer.h"

namespace trilane::token {

/// What two neighbours become. A smaller rank is merged earlier.
struct Merge {
    static constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t rank = kNever;
    Id id = -1;
};

class PairTable {
public:
    /// Room for `pairs` pairs; adding more than that is our own bug.
    explicit PairTable(std::size_t pairs);

    /// Of equal pairs the first one stays.
    void add(Id left, Id right, Merge merge);

    /// Says that add(left, right) comes soon, so that its memory may be fetched meanwhile.
    void expect(Id left, Id right) const;

    /// Rank kNever when the two are not to be merged.
    [[nodiscard]] Merge find(Id left, Id right) const;

private:
    static constexpr std::uint64_t kFree = std::numeric_limits<std::uint64_t>::max();
    struct Slot {
        std::uint64_t key = kFree;
        Merge merge;
    };

    [[nodiscard]] std::size_t home_of(std::uint64_t key) const;
    [[nodiscard]] std::size_t slot_of(std::uint64_t key) const;

    std::vector<Slot> slots_;
    std::size_t room_;
    int shift_;
};

}  // namespace trilane::token
