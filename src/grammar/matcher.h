// Matcher: holds one sequence's tokens to a grammar: which may come next, and whether the text may
// or must end. One per sequence; costs a table look-up where another sequence has been before.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "grammar/grammar.h"
#include "grammar/token_trie.h"

namespace trilane::grammar {

class Memo;

/// **Threads:** one at a time; matchers of one grammar may run on different threads.
class Matcher {
public:
    Matcher(Compiled grammar, std::shared_ptr<const TokenTrie> trie);
    ~Matcher();
    Matcher(Matcher&&) noexcept;
    Matcher& operator=(Matcher&&) noexcept;

    /// Sets the bit of each token id that may come next and clears the others; ends of text are
    /// among them when the text may end. `bits` holds at least (vocabulary + 63) / 64 words.
    void allowed(std::span<std::uint64_t> bits);
    /// Goes on by this token. False = it would break the grammar; nothing has changed then.
    bool accept(token::Id id);
    /// Whether the text could still come to its end within `left` further tokens if `next` were
    /// taken now. False also for what accept() refuses, and where it cannot be told.
    [[nodiscard]] bool leaves_room(token::Id next, std::uint32_t left);
    /// The same without taking anything first.
    [[nodiscard]] bool can_end_within(std::uint32_t left);
    /// The next token of the shortest way to the end; nullopt = the text may end here, or there is
    /// no such way.
    [[nodiscard]] std::optional<token::Id> next_to_end();
    /// The text so far is complete.
    [[nodiscard]] bool may_end() const;
    /// Nothing but the end may follow.
    [[nodiscard]] bool must_end() const;
    [[nodiscard]] const TokenTrie& trie() const { return *trie_; }

private:
    [[nodiscard]] bool ends_within(std::uint32_t set, std::uint32_t left);

    Compiled grammar_;
    std::shared_ptr<const TokenTrie> trie_;
    std::shared_ptr<Memo> memo_;
    std::uint32_t set_ = 0;
    bool ended_ = false;
};

}  // namespace trilane::grammar
