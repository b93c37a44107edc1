// EntryTable: text → index, for vocabularies that are built once and asked millions of times. One
// flat open-addressing array; the texts stay where they are. Not a general map: nothing is removed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace trilane::token {

class EntryTable {
public:
    static constexpr std::int32_t kAbsent = -1;

    EntryTable() = default;
    /// Indexes `entries`. Of equal texts the first is found; empty ones never are.
    /// **Owns** nothing: the vector behind `entries` and its texts must outlive the table.
    explicit EntryTable(std::span<const std::string_view> entries);

    /// The index of the entry that reads `text`, or kAbsent.
    [[nodiscard]] std::int32_t find(std::string_view text) const;

    /// `found[i] = find(texts[i])` for all of them. Building a vocabulary asks for hundreds of
    /// thousands of texts that are nowhere near a cache; here their misses overlap.
    void find_all(std::span<const std::string_view> texts, std::span<std::int32_t> found) const;

private:
    // The upper half is of the text's hash, so that a probe rarely reads a text that is not the
    // one.
    struct Slot {
        std::uint32_t hash = 0;
        std::int32_t index = kAbsent;
    };

    [[nodiscard]] std::int32_t find_hashed(std::string_view text, std::uint64_t hash) const;

    std::span<const std::string_view> entries_;
    std::vector<Slot> slots_;
    std::size_t mask_ = 0;
};

}  // namespace trilane::token
