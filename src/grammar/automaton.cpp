#include "grammar/automaton.h"

#include <algorithm>
#include <deque>

#include "grammar/memo.h"

namespace trilane::grammar {
namespace {

/// Lays the machines' lists one behind the other.
class Linker {
public:
    Linker(const std::vector<Machine>& machines, std::vector<Automaton::Loop> loops) {
        out_.loops = std::move(loops);
        for (const Machine& machine : machines) {
            offsets_.push_back(count_);
            count_ += static_cast<std::uint32_t>(machine.states.size());
        }
        out_.states.reserve(count_ + 1);
        for (std::size_t i = 0; i < machines.size(); ++i) {
            for (const Machine::State& state : machines[i].states) {
                add(machines, offsets_[i], state);
            }
        }
        out_.states.push_back(list_ends());
        out_.start = offsets_[0] + machines[0].start;
    }

    Automaton out_;
    std::vector<std::uint32_t> offsets_;

private:
    [[nodiscard]] Automaton::State list_ends() const {
        Automaton::State state;
        state.edges_at = static_cast<std::uint32_t>(out_.edges.size());
        state.calls_at = static_cast<std::uint32_t>(out_.calls.size());
        state.jumps_at = static_cast<std::uint32_t>(out_.jumps.size());
        return state;
    }

    void add(const std::vector<Machine>& machines, std::uint32_t offset,
             const Machine::State& state) {
        Automaton::State linked = list_ends();
        linked.ends = state.ends;
        linked.only_ends =
            state.ends && state.edges.empty() && state.calls.empty() && state.jumps.empty();
        out_.states.push_back(linked);
        for (Automaton::Edge edge : state.edges) {
            edge.to += offset;
            out_.edges.push_back(edge);
        }
        for (const Machine::Call& call : state.calls) {
            out_.calls.push_back(
                {offsets_[call.rule] + machines[call.rule].start, call.loop, offset + call.to});
        }
        for (const std::uint32_t jump : state.jumps) {
            out_.jumps.push_back(offset + jump);
        }
    }

    std::uint32_t count_ = 0;
};

/// Frames that a call puts on the stack.
std::uint32_t frames_of(const Automaton& a, const Automaton::Call& call) {
    return (a.states[call.to].only_ends ? 0U : 1U) + (call.loop != kNone ? 1U : 0U);
}

std::uint32_t computed_need(const Automaton& a, std::uint32_t state) {
    if (a.states[state].ends) {
        return 0;
    }
    std::uint32_t least = kEndless;
    for (const Automaton::Edge& edge : a.edges_of(state)) {
        least = std::min(least, a.states[edge.to].need);
    }
    for (const std::uint32_t jump : a.jumps_of(state)) {
        least = std::min(least, a.states[jump].need);
    }
    for (const Automaton::Call& call : a.calls_of(state)) {
        const std::uint32_t after = a.states[call.to].need;
        if (call.loop != kNone && a.loops[call.loop].min == 0) {
            least = std::min(least, after);
        }
        const std::uint32_t below = a.states[call.start].need;
        if (below != kEndless) {
            least = std::min(least, std::max(after, below + frames_of(a, call)));
        }
    }
    return least;
}

std::uint32_t computed_rest(const Automaton& a, std::uint32_t state) {
    if (a.states[state].ends) {
        return 0;
    }
    std::uint64_t least = kEndless;
    for (const Automaton::Edge& edge : a.edges_of(state)) {
        least = std::min(least, std::uint64_t{a.states[edge.to].rest} + 1);
    }
    for (const std::uint32_t jump : a.jumps_of(state)) {
        least = std::min(least, std::uint64_t{a.states[jump].rest});
    }
    for (const Automaton::Call& call : a.calls_of(state)) {
        const std::uint64_t runs = call.loop == kNone ? 1 : a.loops[call.loop].min;
        const std::uint64_t below = runs == 0 ? 0 : runs * a.states[call.start].rest;
        least = std::min(least, a.states[call.to].rest + below);
    }
    return static_cast<std::uint32_t>(least);
}

/// Bellman and Ford with a queue: a state is looked at again when one it leads to needs less.
void find_needs(Automaton& a) {
    const auto count = static_cast<std::uint32_t>(a.states.size() - 1);
    std::vector<std::vector<std::uint32_t>> leads(count);
    std::deque<std::uint32_t> todo;
    for (std::uint32_t state = 0; state < count; ++state) {
        for (const Automaton::Edge& edge : a.edges_of(state)) {
            leads[edge.to].push_back(state);
        }
        for (const std::uint32_t jump : a.jumps_of(state)) {
            leads[jump].push_back(state);
        }
        for (const Automaton::Call& call : a.calls_of(state)) {
            leads[call.to].push_back(state);
            leads[call.start].push_back(state);
        }
        if (a.states[state].ends) {
            todo.push_back(state);
        }
    }
    while (!todo.empty()) {
        const std::uint32_t state = todo.front();
        todo.pop_front();
        const std::uint32_t need = computed_need(a, state);
        const std::uint32_t rest = computed_rest(a, state);
        if (need < a.states[state].need || rest < a.states[state].rest) {
            a.states[state].need = need;
            a.states[state].rest = rest;
            todo.insert(todo.end(), leads[state].begin(), leads[state].end());
        }
    }
}

/// Finds a cycle of steps that read no byte and put something on the stack (Tarjan's components).
class LeftRecursion {
public:
    LeftRecursion(const Automaton& a, const std::vector<bool>& nullable_start)
        : a_(a), nullable_start_(nullable_start) {
        const std::size_t count = a.states.size() - 1;
        order_.resize(count, kNone);
        low_.resize(count, 0);
        component_.resize(count, kNone);
    }

    /// A state on such a cycle, or kNone.
    std::uint32_t find() {
        for (std::uint32_t state = 0; state < order_.size(); ++state) {
            if (order_[state] == kNone) {
                visit(state);
            }
        }
        for (std::uint32_t state = 0; state < order_.size(); ++state) {
            for (const Automaton::Call& call : a_.calls_of(state)) {
                if (component_[state] == component_[call.start] && frames_of(a_, call) > 0) {
                    return state;
                }
            }
        }
        return kNone;
    }

private:
    struct Visit {
        std::uint32_t state;
        std::vector<std::uint32_t> next;
    };

    [[nodiscard]] std::vector<std::uint32_t> successors(std::uint32_t state) const {
        const auto jumps = a_.jumps_of(state);
        std::vector<std::uint32_t> next(jumps.begin(), jumps.end());
        for (const Automaton::Call& call : a_.calls_of(state)) {
            next.push_back(call.start);
            if (nullable_start_[call.start] ||
                (call.loop != kNone && a_.loops[call.loop].min == 0)) {
                next.push_back(call.to);
            }
        }
        return next;
    }

    void open(std::uint32_t state) {
        order_[state] = low_[state] = clock_++;
        open_.push_back(state);
        visits_.push_back({state, successors(state)});
    }

    void visit(std::uint32_t root) {
        open(root);
        while (!visits_.empty()) {
            Visit& visit = visits_.back();
            if (!visit.next.empty()) {
                const std::uint32_t next = visit.next.back();
                visit.next.pop_back();
                if (order_[next] == kNone) {
                    open(next);
                } else if (component_[next] == kNone) {
                    low_[visit.state] = std::min(low_[visit.state], order_[next]);
                }
                continue;
            }
            const std::uint32_t state = visit.state;
            visits_.pop_back();
            if (!visits_.empty()) {
                const std::uint32_t parent = visits_.back().state;
                low_[parent] = std::min(low_[parent], low_[state]);
            }
            if (low_[state] == order_[state]) {
                close(state);
            }
        }
    }

    void close(std::uint32_t root) {
        std::uint32_t state = kNone;
        do {
            state = open_.back();
            open_.pop_back();
            component_[state] = root;
        } while (state != root);
    }

    const Automaton& a_;
    const std::vector<bool>& nullable_start_;
    std::vector<std::uint32_t> order_;
    std::vector<std::uint32_t> low_;
    std::vector<std::uint32_t> component_;
    std::vector<std::uint32_t> open_;
    std::vector<Visit> visits_;
    std::uint32_t clock_ = 0;
};

void find_classes(Automaton& a) {
    std::array<bool, 257> border{};
    border[0] = true;
    for (const Automaton::Edge& edge : a.edges) {
        border[edge.lo] = true;
        border[edge.hi + 1U] = true;
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
        if (border[byte]) {
            a.byte_of_class.push_back(static_cast<std::uint8_t>(byte));
        }
        a.class_of[byte] = static_cast<std::uint8_t>(a.byte_of_class.size() - 1);
    }
}

}  // namespace

Result<Automaton> link(const std::vector<Machine>& machines, const std::vector<std::string>& names,
                       const std::vector<bool>& nullable, std::vector<Automaton::Loop> loops,
                       std::uint32_t depth_max) {
    Linker linker(machines, std::move(loops));
    Automaton out = std::move(linker.out_);
    out.depth_max = depth_max;
    std::vector<bool> nullable_start(out.states.size(), false);
    for (std::size_t i = 0; i < machines.size(); ++i) {
        nullable_start[linker.offsets_[i] + machines[i].start] = nullable[i];
    }
    const std::uint32_t left = LeftRecursion(out, nullable_start).find();
    if (left != kNone) {
        const auto after =
            std::upper_bound(linker.offsets_.begin(), linker.offsets_.end(), left) - 1;
        return fail(Fault::invalid,
                    "the rule '{}' calls itself before it reads anything (left recursion); put "
                    "what it repeats behind, as in a ::= b (\",\" b)*",
                    names[static_cast<std::size_t>(after - linker.offsets_.begin())]);
    }
    find_needs(out);
    if (out.states[out.start].need == kEndless) {
        return fail(Fault::invalid,
                    "no text matches: every way through the grammar goes on for ever or asks for "
                    "what cannot be");
    }
    if (out.states[out.start].need > depth_max) {
        return fail(Fault::invalid,
                    "even the shortest text nests {} rules deep; at most {} are "
                    "taken",
                    out.states[out.start].need, depth_max);
    }
    find_classes(out);
    return out;
}

std::shared_ptr<Memo> Grammar::memo(const std::shared_ptr<const TokenTrie>& trie) const {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (memo_ != nullptr && memo_->trie() == trie) {
            return memo_;
        }
    }
    return fresh_memo(trie);
}

std::shared_ptr<Memo> Grammar::fresh_memo(const std::shared_ptr<const TokenTrie>& trie) const {
    auto memo = std::make_shared<Memo>(automaton_, trie);
    const std::lock_guard<std::mutex> lock(mutex_);
    memo_ = memo;
    return memo;
}

}  // namespace trilane::grammar
