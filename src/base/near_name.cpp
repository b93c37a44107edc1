#include "base/near_name.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace trilane {
namespace {

/// Names this near are taken for slips of the hand.
constexpr std::size_t kSlipsMax = 2;
/// So much of a name's beginning is enough to mean it: "context_tokens" is meant for "context".
constexpr std::size_t kBeginningMin = 4;

/// Levenshtein's distance.
std::size_t slips_between(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

}  // namespace

std::string_view near_name(std::string_view name, std::span<const std::string_view> known) {
    std::string_view best;
    std::size_t least = kSlipsMax + 1;
    for (const std::string_view candidate : known) {
        const std::size_t shorter = std::min(name.size(), candidate.size());
        const bool begins = shorter >= kBeginningMin &&
                            (name.starts_with(candidate) || candidate.starts_with(name));
        const std::size_t apart = slips_between(name, candidate);
        const std::size_t slips = begins ? std::min(apart, kSlipsMax) : apart;
        // With every letter another one, short names would all be near each other.
        if (slips < least && slips < shorter) {
            best = candidate;
            least = slips;
        }
    }
    return best;
}

}  // namespace trilane
