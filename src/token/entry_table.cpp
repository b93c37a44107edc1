// The hash and the probing of EntryTable.
#include "token/entry_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace trilane::token {
namespace {

/// How many searches find_all() has under way.
constexpr std::size_t kAtOnce = 32;

template <class Word>
std::uint64_t load(const char* from) {
    Word word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

/// The last 0 to 7 bytes of a text as one word.
std::uint64_t load_tail(const char* from, std::size_t bytes) {
    if (bytes >= 4) {
        return load<std::uint32_t>(from) | load<std::uint32_t>(from + bytes - 4) << 32;
    }
    if (bytes == 0) {
        return 0;
    }
    return load<std::uint8_t>(from) | load<std::uint8_t>(from + bytes / 2) << 8 |
           load<std::uint8_t>(from + bytes - 1) << 16;
}

std::uint64_t hash_of(std::string_view text) {
    constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15U;
    const char* from = text.data();
    std::size_t left = text.size();
    std::uint64_t hash = left * kOdd;
    for (; left >= 8; left -= 8, from += 8) {
        hash = (hash ^ load<std::uint64_t>(from)) * kOdd;
        hash ^= hash >> 32;
    }
    hash = (hash ^ load_tail(from, left)) * kOdd;
    hash ^= hash >> 29;
    hash *= 0xBF58476D1CE4E5B9U;
    return hash ^ hash >> 32;
}

}  // namespace

EntryTable::EntryTable(std::span<const std::string_view> entries) : entries_(entries) {
    // At most half full, so that a search for an absent text ends after a probe or two.
    slots_.resize(std::bit_ceil(entries.size() * 2 + 1));
    mask_ = slots_.size() - 1;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].empty()) {
            continue;
        }
        const std::uint64_t hash = hash_of(entries[i]);
        const auto upper = static_cast<std::uint32_t>(hash >> 32);
        std::size_t at = hash & mask_;
        while (slots_[at].index != kAbsent) {
            const auto held = static_cast<std::size_t>(slots_[at].index);
            if (slots_[at].hash == upper && entries_[held] == entries[i]) {
                break;
            }
            at = (at + 1) & mask_;
        }
        if (slots_[at].index == kAbsent) {
            slots_[at] = {upper, static_cast<std::int32_t>(i)};
        }
    }
}

std::int32_t EntryTable::find_hashed(std::string_view text, std::uint64_t hash) const {
    const auto upper = static_cast<std::uint32_t>(hash >> 32);
    for (std::size_t at = hash & mask_; slots_[at].index != kAbsent; at = (at + 1) & mask_) {
        const Slot& slot = slots_[at];
        if (slot.hash == upper && entries_[static_cast<std::size_t>(slot.index)] == text) {
            return slot.index;
        }
    }
    return kAbsent;
}

std::int32_t EntryTable::find(std::string_view text) const {
    return text.empty() || slots_.empty() ? kAbsent : find_hashed(text, hash_of(text));
}

void EntryTable::find_all(std::span<const std::string_view> texts,
                          std::span<std::int32_t> found) const {
    TRILANE_CHECK(texts.size() == found.size());
    std::array<std::uint64_t, kAtOnce> hashes{};
    while (!texts.empty()) {
        const std::size_t count = std::min(kAtOnce, texts.size());
        for (std::size_t i = 0; i < count && !slots_.empty(); ++i) {
            hashes[i] = hash_of(texts[i]);
            __builtin_prefetch(&slots_[hashes[i] & mask_]);
        }
        for (std::size_t i = 0; i < count && !slots_.empty(); ++i) {
            const std::int32_t index = slots_[hashes[i] & mask_].index;
            if (index != kAbsent) {
                __builtin_prefetch(entries_[static_cast<std::size_t>(index)].data());
            }
        }
        for (std::size_t i = 0; i < count; ++i) {
            found[i] =
                texts[i].empty() || slots_.empty() ? kAbsent : find_hashed(texts[i], hashes[i]);
        }
        texts = texts.subspan(count);
        found = found.subspan(count);
    }
}

}  // namespace trilane::token
