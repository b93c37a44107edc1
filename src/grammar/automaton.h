// Automaton: a grammar ready to run: for each rule a machine over bytes that may call the others,
// all machines' states in one table. Plain data; memo.h runs it.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "grammar/builder.h"

namespace trilane::grammar {

inline constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
/// Of a state from which no text ever comes to its end.
inline constexpr std::uint32_t kEndless = std::numeric_limits<std::uint32_t>::max();

/// States of a whole grammar.
inline constexpr std::size_t kStatesMax = 1'000'000;

/// One machine while it is built: with jumps (edges without a byte) before determinize(), mostly
/// without afterwards.
struct Machine {
    struct Edge {
        std::uint8_t lo;
        std::uint8_t hi;
        std::uint32_t to;
    };
    struct Call {
        std::uint32_t rule;  ///< the machine to run
        std::uint32_t loop;  ///< which loop counts its runs; kNone = runs once
        std::uint32_t to;    ///< where it goes on afterwards
        bool same_as(const Call& other) const { return rule == other.rule && loop == other.loop; }
    };
    struct State {
        std::vector<Edge> edges;
        std::vector<Call> calls;
        std::vector<std::uint32_t> jumps;
        bool ends = false;
    };
    std::vector<State> states;
    std::uint32_t start = 0;

    std::uint32_t add_state() {
        states.emplace_back();
        return static_cast<std::uint32_t>(states.size() - 1);
    }
};

/// An equivalent machine with at most one edge per byte and one call per rule in each state, or
/// false with `machine` as it was when that needs more than `states_max` states.
bool determinize(Machine& machine, std::size_t states_max);
/// The deterministic machine of what both match; neither calls. False beyond `states_max`.
bool intersect(const Machine& a, const Machine& b, std::size_t states_max, Machine& out);

/// The same for all rules together.
struct Automaton {
    using Edge = Machine::Edge;
    struct Call {
        std::uint32_t start;
        std::uint32_t loop;
        std::uint32_t to;
    };
    struct State {
        std::uint32_t edges_at = 0;
        std::uint32_t calls_at = 0;
        std::uint32_t jumps_at = 0;
        /// Calls that must still nest below this state before its machine can end.
        std::uint32_t need = kEndless;
        /// Bytes that its machine must still read before it can end.
        std::uint32_t rest = kEndless;
        bool ends = false;
        bool only_ends = false;  ///< nothing but the return is left: a call that goes on here need
                                 ///< not come back
    };
    struct Loop {
        std::uint32_t min;
        std::uint32_t max;
    };

    std::vector<State> states;  ///< one more than there are, for where the last one's lists end
    std::vector<Edge> edges;
    std::vector<Call> calls;
    std::vector<std::uint32_t> jumps;
    std::vector<Loop> loops;
    std::uint32_t start = 0;
    std::uint32_t depth_max = kDepthDefault;

    /// Bytes that no state tells apart share a class.
    std::array<std::uint8_t, 256> class_of{};
    std::vector<std::uint8_t> byte_of_class;

    [[nodiscard]] std::span<const Edge> edges_of(std::uint32_t state) const {
        return std::span(edges).subspan(states[state].edges_at,
                                        states[state + 1].edges_at - states[state].edges_at);
    }
    [[nodiscard]] std::span<const Call> calls_of(std::uint32_t state) const {
        return std::span(calls).subspan(states[state].calls_at,
                                        states[state + 1].calls_at - states[state].calls_at);
    }
    [[nodiscard]] std::span<const std::uint32_t> jumps_of(std::uint32_t state) const {
        return std::span(jumps).subspan(states[state].jumps_at,
                                        states[state + 1].jumps_at - states[state].jumps_at);
    }
};

/// Puts the machines, by rule, into one automaton that starts with the first.
/// **Errors:** invalid for left recursion (the rule is named) and when no text ever ends.
Result<Automaton> link(const std::vector<Machine>& machines, const std::vector<std::string>& names,
                       const std::vector<bool>& nullable, std::vector<Automaton::Loop> loops,
                       std::uint32_t depth_max);

class Memo;
class TokenTrie;

class Grammar {
public:
    explicit Grammar(Automaton automaton) : automaton_(std::move(automaton)) {}
    [[nodiscard]] const Automaton& automaton() const { return automaton_; }

private:
    friend class Matcher;
    /// What matchers have learned of this grammar over one vocabulary, for the next ones.
    std::shared_ptr<Memo> memo(const std::shared_ptr<const TokenTrie>& trie) const;
    std::shared_ptr<Memo> fresh_memo(const std::shared_ptr<const TokenTrie>& trie) const;

    Automaton automaton_;
    mutable std::mutex mutex_;
    mutable std::shared_ptr<Memo> memo_;
};

}  // namespace trilane::grammar
