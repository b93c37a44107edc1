#include "catalog/byte_ranges.h"

#include <algorithm>

namespace trilane::catalog {

void ByteRanges::add(ByteRange range) {
    if (range.begin >= range.end) {
        return;
    }
    const auto first = std::find_if(ranges_.begin(), ranges_.end(),
                                    [&](const ByteRange& r) { return r.end >= range.begin; });
    auto last = first;
    for (; last != ranges_.end() && last->begin <= range.end; ++last) {
        range.begin = std::min(range.begin, last->begin);
        range.end = std::max(range.end, last->end);
    }
    ranges_.insert(ranges_.erase(first, last), range);
}

std::uint64_t ByteRanges::bytes() const {
    std::uint64_t sum = 0;
    for (const ByteRange& range : ranges_) {
        sum += range.end - range.begin;
    }
    return sum;
}

std::vector<ByteRange> ByteRanges::missing(std::uint64_t whole, std::uint64_t piece_bytes) const {
    std::vector<ByteRange> pieces;
    const auto cut = [&](std::uint64_t begin, std::uint64_t end) {
        while (begin < end) {
            const std::uint64_t piece_end = begin + std::min(piece_bytes, end - begin);
            pieces.push_back({begin, piece_end});
            begin = piece_end;
        }
    };
    std::uint64_t at = 0;
    for (const ByteRange& range : ranges_) {
        cut(at, std::min(range.begin, whole));
        at = range.end;
    }
    cut(at, whole);
    return pieces;
}

}  // namespace trilane::catalog
