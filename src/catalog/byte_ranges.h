// ByteRanges: which parts of a file are there, as sorted ranges that neither touch nor overlap.
#pragma once

#include <cstdint>
#include <vector>

#include "catalog/web.h"

namespace trilane::catalog {

class ByteRanges {
public:
    void add(ByteRange range);
    void clear() { ranges_.clear(); }
    [[nodiscard]] std::uint64_t bytes() const;
    /// What lacks of [0, whole), cut into pieces of at most `piece_bytes`, in order.
    [[nodiscard]] std::vector<ByteRange> missing(std::uint64_t whole,
                                                 std::uint64_t piece_bytes) const;
    [[nodiscard]] const std::vector<ByteRange>& ranges() const { return ranges_; }

private:
    std::vector<ByteRange> ranges_;
};

}  // namespace trilane::catalog
