// The probing of PairTable.
#include "token/pair_table.h"

#include <bit>

#include "base/check.h"

namespace trilane::token {
namespace {

std::uint64_t key_of(Id left, Id right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
}

}  // namespace

PairTable::PairTable(std::size_t pairs)
    : slots_(std::bit_ceil(pairs * 3 / 2 + 2)),
      room_(pairs),
      shift_(64 - std::countr_zero(slots_.size())) {}

std::size_t PairTable::home_of(std::uint64_t key) const {
    // The left half alone would put all pairs of one left entry side by side; the product spreads
    // both halves into the top bits.
    return ((key ^ key >> 29) * 0x9E3779B97F4A7C15U) >> shift_;
}

std::size_t PairTable::slot_of(std::uint64_t key) const {
    std::size_t at = home_of(key);
    while (slots_[at].key != key && slots_[at].key != kFree) {
        at = (at + 1) & (slots_.size() - 1);
    }
    return at;
}

void PairTable::expect(Id left, Id right) const {
    __builtin_prefetch(&slots_[home_of(key_of(left, right))], 1);
}

void PairTable::add(Id left, Id right, Merge merge) {
    TRILANE_CHECK(left >= 0 && right >= 0);
    Slot& slot = slots_[slot_of(key_of(left, right))];
    if (slot.key == kFree) {
        TRILANE_CHECK(room_ > 0);
        --room_;
        slot = {key_of(left, right), merge};
    }
}

Merge PairTable::find(Id left, Id right) const {
    if (left < 0 || right < 0) {
        return {};
    }
    return slots_[slot_of(key_of(left, right))].merge;
}

}  // namespace trilane::token
