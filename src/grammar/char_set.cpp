#include "grammar/char_set.h"

#include <algorithm>

namespace trilane::grammar {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr char32_t kBeforeSurrogates = 0xD7FF;
constexpr char32_t kAfterSurrogates = 0xE000;

/// The last character that UTF-8 spells with 1, 2, 3, 4 bytes.
constexpr std::array<char32_t, 4> kLastOfLength = {0x7F, 0x7FF, 0xFFFF, kLast};

void encode(char32_t c, std::size_t length, std::array<std::uint8_t, 4>& bytes) {
    constexpr std::array<std::uint8_t, 4> kLead = {0x00, 0xC0, 0xE0, 0xF0};
    for (std::size_t i = length; i-- > 1;) {
        bytes[i] = static_cast<std::uint8_t>(0x80U | (c & 0x3FU));
        c >>= 6U;
    }
    bytes[0] = static_cast<std::uint8_t>(kLead[length - 1] | c);
}

/// [lo, hi], all of one length, as ranges in which every byte varies on its own: where the leading
/// parts of lo and hi differ, the parts behind them must run through all their values.
void split(char32_t lo, char32_t hi, std::size_t length, std::vector<Utf8Range>& out) {
    for (std::size_t i = 1; i < length; ++i) {
        const char32_t mask = (char32_t{1} << (6 * i)) - 1;
        if ((lo & ~mask) == (hi & ~mask)) {
            continue;
        }
        if ((lo & mask) != 0) {
            split(lo, lo | mask, length, out);
            split((lo | mask) + 1, hi, length, out);
            return;
        }
        if ((hi & mask) != mask) {
            split(lo, (hi & ~mask) - 1, length, out);
            split(hi & ~mask, hi, length, out);
            return;
        }
    }
    Utf8Range range;
    range.length = length;
    encode(lo, length, range.lo);
    encode(hi, length, range.hi);
    out.push_back(range);
}

}  // namespace

CharSet::CharSet(std::initializer_list<Range> ranges) : ranges_(ranges) {
    normalize();
}

CharSet CharSet::all() {
    return {{0, kLast}};
}

void CharSet::add(std::span<const Range> ranges) {
    ranges_.insert(ranges_.end(), ranges.begin(), ranges.end());
    normalize();
}

void CharSet::add(const CharSet& other) {
    ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
    normalize();
}

void CharSet::normalize() {
    std::vector<Range> clean;
    for (const Range& range : ranges_) {
        const char32_t hi = std::min(range.hi, kLast);
        if (range.lo <= kBeforeSurrogates) {
            clean.push_back({range.lo, std::min(hi, kBeforeSurrogates)});
        }
        if (hi >= kAfterSurrogates) {
            clean.push_back({std::max(range.lo, kAfterSurrogates), hi});
        }
    }
    std::erase_if(clean, [](const Range& range) { return range.lo > range.hi; });
    std::sort(clean.begin(), clean.end(), [](Range a, Range b) { return a.lo < b.lo; });
    ranges_.clear();
    for (const Range& range : clean) {
        if (!ranges_.empty() && range.lo <= ranges_.back().hi + 1) {
            ranges_.back().hi = std::max(ranges_.back().hi, range.hi);
        } else {
            ranges_.push_back(range);
        }
    }
}

CharSet CharSet::inverse() const {
    CharSet out;
    char32_t next = 0;
    for (const Range& range : ranges_) {
        if (range.lo > next) {
            out.ranges_.push_back({next, range.lo - 1});
        }
        next = range.hi + 1;
    }
    if (next <= kLast) {
        out.ranges_.push_back({next, kLast});
    }
    out.normalize();
    return out;
}

CharSet CharSet::intersection(const CharSet& other) const {
    CharSet either = inverse();
    either.add(other.inverse());
    return either.inverse();
}

bool CharSet::contains(char32_t c) const {
    return std::any_of(ranges_.begin(), ranges_.end(),
                       [c](const Range& range) { return range.lo <= c && c <= range.hi; });
}

std::vector<Utf8Range> utf8_ranges(const CharSet& set) {
    std::vector<Utf8Range> out;
    for (const CharSet::Range& range : set.ranges()) {
        char32_t first = 0;
        for (std::size_t length = 1; length <= 4; ++length) {
            const char32_t lo = std::max(range.lo, first);
            const char32_t hi = std::min(range.hi, kLastOfLength[length - 1]);
            if (lo <= hi) {
                split(lo, hi, length, out);
            }
            first = kLastOfLength[length - 1] + 1;
        }
    }
    return out;
}

}  // namespace trilane::grammar
