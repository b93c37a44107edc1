// Session: one slot of the KV cache as a timeline of tokens. The caller always hands over the full
// prefix it wants; the session says how much of it is there already.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "token/tokenizer.h"

namespace trilane::engine {

/// Length of the longest common prefix.
inline std::size_t common_prefix(std::span<const token::Id> a, std::span<const token::Id> b) {
    std::size_t n = 0;
    while (n < a.size() && n < b.size() && a[n] == b[n]) {
        ++n;
    }
    return n;
}

class Session {
public:
    explicit Session(std::uint32_t slot) : slot_(slot) {}

    [[nodiscard]] std::uint32_t slot() const { return slot_; }
    /// The tokens whose keys and values the slot holds.
    [[nodiscard]] std::span<const token::Id> tokens() const { return tokens_; }

    /// Keeps what the timeline shares with `prefix` and forgets the rest. At least one token of
    /// `prefix` is left to run, since its logits are wanted. Returns how many tokens are kept.
    std::size_t sync(std::span<const token::Id> prefix) {
        const std::size_t shared = common_prefix(tokens_, prefix);
        const std::size_t kept = shared == prefix.size() && shared > 0 ? shared - 1 : shared;
        tokens_.resize(kept);
        return kept;
    }

    /// The slot was filled with another slot's first tokens.
    void assume(std::span<const token::Id> tokens) { tokens_.assign(tokens.begin(), tokens.end()); }

    /// A token was run at the end of the timeline.
    void append(token::Id id) { tokens_.push_back(id); }
    void clear() { tokens_.clear(); }

private:
    std::uint32_t slot_;
    std::vector<token::Id> tokens_;
};

}  // namespace trilane::engine
