// SpecialSplitter: cuts the texts of control and user-defined tokens out of a text before a
// family's algorithm sees the rest. At each place the longest one wins; one pass whatever their
// number.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "token/entry_table.h"
#include "token/vocabulary.h"

namespace trilane::token {

class SpecialSplitter {
public:
    /// **Owns** no texts: they live as long as what `vocabulary`'s views point into.
    explicit SpecialSplitter(const Vocabulary& vocabulary);
    SpecialSplitter(const SpecialSplitter&) = delete;
    SpecialSplitter& operator=(const SpecialSplitter&) = delete;

    struct Piece {
        std::string_view text;  ///< ordinary text before the token; may be empty
        Id id = -1;             ///< the token that ends it; -1 at the end of the text
    };

    /// Takes the next piece off the front of `rest`. Control and unknown tokens are seen only with
    /// `control`; user-defined ones always.
    [[nodiscard]] Piece next(std::string_view& rest, bool control) const;

private:
    struct Special {
        Id id;
        bool control;
        bool trims_after;
    };

    [[nodiscard]] const Special* at_front(std::string_view text, bool control) const;

    std::vector<std::string_view> texts_;
    std::vector<Special> specials_;
    EntryTable table_;
    /// By first byte: the lengths that specials with this byte have, longest first.
    std::array<std::vector<std::size_t>, 256> lengths_;
};

}  // namespace trilane::token
