// CharSet: a set of Unicode characters, and how its members are spelled in UTF-8. Surrogates are
// never members: they have no spelling.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace trilane::grammar {

class CharSet {
public:
    struct Range {
        char32_t lo;
        char32_t hi;  ///< inclusive
        bool operator==(const Range&) const = default;
    };

    CharSet() = default;
    CharSet(std::initializer_list<Range> ranges);
    static CharSet all();

    void add(std::span<const Range> ranges);
    void add(const CharSet& other);
    [[nodiscard]] CharSet inverse() const;
    [[nodiscard]] CharSet intersection(const CharSet& other) const;
    [[nodiscard]] bool contains(char32_t c) const;
    [[nodiscard]] bool empty() const { return ranges_.empty(); }
    /// Sorted, disjoint, not touching each other.
    [[nodiscard]] std::span<const Range> ranges() const { return ranges_; }

private:
    void normalize();
    std::vector<Range> ranges_;
};

/// Texts of `length` bytes, byte i of which lies in [lo[i], hi[i]].
struct Utf8Range {
    std::array<std::uint8_t, 4> lo{};
    std::array<std::uint8_t, 4> hi{};
    std::size_t length = 0;
};

/// The spellings of all members, each by exactly one of the ranges.
std::vector<Utf8Range> utf8_ranges(const CharSet& set);

}  // namespace trilane::grammar
