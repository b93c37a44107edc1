// The one loop of BPE: merge the best neighbours until none may be merged. What "best" means and
// what two neighbours become is the caller's lookup. Words are short as a rule and scanned; long
// ones go through a heap, so that no text makes it quadratic.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "token/pair_table.h"

namespace trilane::token {

/// A stretch of the word: an entry of the vocabulary, or -1 for a character that has none.
struct Symbol {
    std::uint32_t begin;
    std::uint32_t bytes;
    Id id;
};

/// Words longer than this are cut: positions are 32-bit, and a heap of such a word has its price.
inline constexpr std::size_t kWordBytesMax = std::size_t{16} << 20;

/// Memory that one call of encode() uses again for each word.
class Merger {
public:
    /// The word, one symbol per character; after run() what they became.
    std::vector<Symbol> symbols;

    /// `lookup(left, right)` gives the Merge of two symbols. Lowest rank first, then leftmost.
    template <class Lookup>
    void run(const Lookup& lookup) {
        if (symbols.size() <= kScanSymbolsMax) {
            scan(lookup);
        } else {
            heap(lookup);
        }
    }

private:
    // Up to here a scan over the ranks is cheaper than a heap's bookkeeping.
    static constexpr std::size_t kScanSymbolsMax = 40;
    static constexpr std::uint32_t kNone = 0xFFFFFFFFU;

    struct Candidate {
        std::uint32_t rank;
        std::uint32_t left;
        std::uint32_t bytes;  // of both: differs once either has been merged with another
        Id id;
        bool operator<(const Candidate& other) const {  // std heaps keep the greatest on top
            return rank != other.rank ? rank > other.rank : left > other.left;
        }
    };
    struct Link {
        std::uint32_t previous;
        std::uint32_t next;
    };

    template <class Lookup>
    void scan(const Lookup& lookup) {
        merges_.clear();
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            merges_.push_back(lookup(symbols[i], symbols[i + 1]));
        }
        while (!merges_.empty()) {
            const auto best =
                std::min_element(merges_.begin(), merges_.end(),
                                 [](const Merge& a, const Merge& b) { return a.rank < b.rank; });
            if (best->rank == Merge::kNever) {
                return;
            }
            const auto at = static_cast<std::size_t>(best - merges_.begin());
            symbols[at].bytes += symbols[at + 1].bytes;
            symbols[at].id = best->id;
            symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
            merges_.erase(best);
            if (at > 0) {
                merges_[at - 1] = lookup(symbols[at - 1], symbols[at]);
            }
            if (at < merges_.size()) {
                merges_[at] = lookup(symbols[at], symbols[at + 1]);
            }
        }
    }

    template <class Lookup>
    void consider(std::uint32_t left, const Lookup& lookup) {
        const std::uint32_t right = left == kNone ? kNone : links_[left].next;
        if (right == kNone) {
            return;
        }
        const Merge merge = lookup(symbols[left], symbols[right]);
        if (merge.rank != Merge::kNever) {
            candidates_.push_back(
                {merge.rank, left, symbols[left].bytes + symbols[right].bytes, merge.id});
            std::push_heap(candidates_.begin(), candidates_.end());
        }
    }

    template <class Lookup>
    void heap(const Lookup& lookup) {
        const auto count = static_cast<std::uint32_t>(symbols.size());
        links_.resize(count);
        for (std::uint32_t i = 0; i < count; ++i) {
            links_[i] = {i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
        }
        candidates_.clear();
        for (std::uint32_t i = 0; i + 1 < count; ++i) {
            consider(i, lookup);
        }
        while (!candidates_.empty()) {
            std::pop_heap(candidates_.begin(), candidates_.end());
            const Candidate best = candidates_.back();
            candidates_.pop_back();
            const std::uint32_t right = links_[best.left].next;
            // A symbol that was swallowed has no bytes left.
            if (symbols[best.left].bytes == 0 || right == kNone ||
                symbols[best.left].bytes + symbols[right].bytes != best.bytes) {
                continue;
            }
            symbols[best.left].bytes = best.bytes;
            symbols[best.left].id = best.id;
            symbols[right].bytes = 0;
            links_[best.left].next = links_[right].next;
            if (links_[right].next != kNone) {
                links_[links_[right].next].previous = best.left;
            }
            consider(links_[best.left].previous, lookup);
            consider(best.left, lookup);
        }
        std::erase_if(symbols, [](const Symbol& symbol) { return symbol.bytes == 0; });
    }

    std::vector<Merge> merges_;
    std::vector<Candidate> candidates_;
    std::vector<Link> links_;
};

}  // namespace trilane::token
