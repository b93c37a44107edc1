// Memo: what is known of one grammar over one vocabulary: which sets of places in the grammar there
// are, where a byte leads from each, which tokens each allows. Filled as matchers come by and
// bounded; a full one is replaced, not emptied, for matchers stand in it. Internal to Matcher.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/token_trie.h"

namespace trilane::grammar {

/// Bytes of one memo, about; beyond it matchers move to a fresh one.
inline constexpr std::size_t kMemoBytesMax = 48U << 20U;
/// Places of one set: ways to read the text so far. More is too ambiguous to follow.
inline constexpr std::size_t kPlacesMax = 8192;
/// Places that one byte may lead through, calls and returns included.
inline constexpr std::size_t kWaysMax = 16 * kPlacesMax;

class Memo {
public:
    using Set = std::uint32_t;
    using Stack = std::uint32_t;
    static constexpr Set kDead = 0;
    static constexpr Set kUnknown = kNone;
    static constexpr Stack kEmpty = 0;

    /// A state and what it returns to.
    struct Place {
        std::uint32_t state;
        Stack stack;
        auto operator<=>(const Place&) const = default;
    };
    /// A frame of a stack: where to go on, or a loop and how often it has run.
    struct Frame {
        std::uint32_t to;     ///< state, or loop
        std::uint32_t start;  ///< of a loop: its body's first state; kNone = not a loop
        std::uint32_t count;
        Stack parent;
        bool operator==(const Frame&) const = default;
    };

    /// `automaton` must outlive it: the grammar that owns it is held by every matcher.
    Memo(const Automaton& automaton, std::shared_ptr<const TokenTrie> trie);

    [[nodiscard]] const std::shared_ptr<const TokenTrie>& trie() const { return trie_; }
    [[nodiscard]] std::mutex& mutex() { return mutex_; }

    // All below: only with the mutex held.
    Set start();
    Set step(Set set, std::uint8_t byte) {
        const std::size_t at = set * classes_ + automaton_.class_of[byte];
        const Set next = steps_[at];
        return next != kUnknown ? next : compute_step(set, byte);
    }
    /// The text may end here.
    [[nodiscard]] bool ends(Set set) const { return sets_[set].ends; }
    /// More may follow.
    [[nodiscard]] bool goes_on(Set set) const { return !sets_[set].places.empty(); }
    /// The fewest bytes that bring the text to its end, not counting what the limit on depth
    /// forbids; kEndless = there are none.
    [[nodiscard]] std::uint32_t bytes_to_end(Set set) const;
    /// A text of that length, by the first of the bytes wherever several lead there; nullopt when
    /// it would be longer than `bytes_max`.
    std::optional<std::string> way_to_end(Set set, std::size_t bytes_max);
    /// A bit for each token that may come next; ends of text are not among them.
    std::span<const std::uint64_t> mask(Set set);
    /// The set with the same places as `set` of another memo of the same grammar.
    Set adopt(const Memo& other, Set set);
    [[nodiscard]] bool full() const { return bytes_ > kMemoBytesMax; }

private:
    struct SetEntry {
        std::vector<Place> places;  ///< sorted
        bool ends = false;
        std::uint32_t reach = 0;           ///< the deepest that its places' ends may nest
        std::uint32_t mask = kNone;        ///< of all tokens
        std::uint32_t short_mask = kNone;  ///< of the short ones, when loops are counted
    };
    /// The short tokens that a place allows, whatever it returns to.
    struct Local {
        std::vector<std::uint64_t> bits;
        std::vector<std::uint32_t> exits;  ///< nodes of the trie where its machine may have ended
        std::uint32_t reach = 0;           ///< of the sets it came through
        bool cheap = false;                ///< few nodes: walked again rather than kept
    };
    struct PlacesHash {
        std::size_t operator()(const std::vector<Place>& places) const;
    };
    struct FrameHash {
        std::size_t operator()(const Frame& frame) const;
    };

    Set compute_step(Set set, std::uint8_t byte);
    void enter(Place place);
    void call(const Automaton::Call& call, Stack stack);
    void leave(Stack stack);
    void iterate(Stack stack);
    void drain();
    Set intern_found();
    Set intern(std::vector<Place> places, bool ends);
    Stack push(const Frame& frame);
    [[nodiscard]] std::uint32_t rest_of(const Frame& frame) const;
    /// The set with counts that no token of up to `reach` - 1 bytes tells from those of `set`.
    Set canonical(Set set, std::uint32_t reach);
    Stack canonical_stack(Stack stack, std::uint32_t reach);
    std::uint32_t computed_mask(Set set);
    std::uint32_t keep(std::span<const std::uint64_t> bits);
    void add_short_tokens(Set set, std::span<std::uint64_t> bits);
    void add_short_tokens_of(const Place& place, std::span<std::uint64_t> bits);
    const Local& local(Set set);
    Stack rebased(Stack stack, Stack& rest);
    void walk(const TokenTrie::Half& half, Set from, std::span<std::uint64_t> bits);
    void walk_below(std::uint32_t node, Set from, std::span<std::uint64_t> bits);
    void walk(const TokenTrie::Half& half, std::size_t begin, std::size_t end,
              std::span<std::uint64_t> bits);

    const Automaton& automaton_;
    const std::shared_ptr<const TokenTrie> trie_;
    const std::size_t classes_;
    std::mutex mutex_;

    std::vector<SetEntry> sets_;
    std::vector<Set> steps_;  // [set][class]
    std::unordered_map<std::vector<Place>, std::array<Set, 2>, PlacesHash> set_ids_;  // by ends
    std::vector<Frame> frames_;
    std::vector<std::uint32_t> depths_;   // by stack: its frames
    std::vector<std::uint32_t> rests_;    // by stack: bytes that its frames must still read
    std::vector<std::uint32_t> reaches_;  // by stack: the deepest that returning may nest again
    std::unordered_map<Frame, Stack, FrameHash> frame_ids_;
    std::vector<std::uint64_t> masks_;  // [mask][word]
    std::unordered_map<Set, Local> locals_;
    std::size_t bytes_ = 0;

    // While one step is computed.
    std::vector<Place> todo_;
    std::unordered_set<std::uint64_t> seen_;
    std::vector<Place> found_;
    bool found_end_ = false;
    bool found_too_many_ = false;
    std::vector<Set> path_;
};

}  // namespace trilane::grammar
