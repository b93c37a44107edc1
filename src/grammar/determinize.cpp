// Subset construction. Calls are symbols like bytes: two ways that begin with the same call are
// one until it returns. And products of machines.
#include <algorithm>
#include <map>
#include <unordered_map>

#include "grammar/automaton.h"

namespace trilane::grammar {
namespace {

using Subset = std::vector<std::uint32_t>;

struct SubsetHash {
    std::size_t operator()(const Subset& subset) const {
        std::size_t hash = subset.size();
        for (const std::uint32_t state : subset) {
            hash = (hash ^ state) * 0x9E3779B97F4A7C15ULL;
            hash ^= hash >> 29U;
        }
        return hash;
    }
};

class Subsets {
public:
    Subsets(const Machine& from, std::size_t states_max) : from_(from), states_max_(states_max) {
        reached_at_.resize(from.states.size(), 0);
    }

    bool run(Machine& out) {
        out.states.clear();
        out.start = id_of({from_.start}, out);
        for (std::uint32_t next = 0; next < out.states.size(); ++next) {
            if (out.states.size() > states_max_) {
                return false;
            }
            const Subset subset = subsets_[next];  // a copy: the list grows
            add_edges(subset, next, out);
            add_calls(subset, next, out);
        }
        return out.states.size() <= states_max_;
    }

private:
    /// What `subset` reaches by jumps, less the states that do nothing but jump: many ways into a
    /// loop are then one state.
    Subset closure(Subset subset) {
        ++round_;
        Subset out;
        while (!subset.empty()) {
            const std::uint32_t state = subset.back();
            subset.pop_back();
            if (reached_at_[state] == round_) {
                continue;
            }
            reached_at_[state] = round_;
            const Machine::State& s = from_.states[state];
            if (s.ends || !s.edges.empty() || !s.calls.empty()) {
                out.push_back(state);
            }
            subset.insert(subset.end(), s.jumps.begin(), s.jumps.end());
        }
        std::sort(out.begin(), out.end());
        return out;
    }

    std::uint32_t id_of(Subset subset, Machine& out) {
        Subset closed = closure(std::move(subset));
        const auto [at, fresh] =
            ids_.try_emplace(closed, static_cast<std::uint32_t>(subsets_.size()));
        if (fresh) {
            const std::uint32_t id = out.add_state();
            out.states[id].ends =
                std::any_of(closed.begin(), closed.end(),
                            [&](std::uint32_t state) { return from_.states[state].ends; });
            subsets_.push_back(std::move(closed));
        }
        return at->second;
    }

    void add_edges(const Subset& subset, std::uint32_t id, Machine& out) {
        std::vector<unsigned> borders;
        std::vector<Machine::Edge> all;
        for (const std::uint32_t state : subset) {
            for (const Machine::Edge& edge : from_.states[state].edges) {
                all.push_back(edge);
                borders.push_back(edge.lo);
                borders.push_back(edge.hi + 1U);
            }
        }
        std::sort(borders.begin(), borders.end());
        borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
        for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
            Subset to;
            for (const Machine::Edge& edge : all) {
                if (edge.lo <= borders[i] && borders[i] <= edge.hi) {
                    to.push_back(edge.to);
                }
            }
            if (to.empty()) {
                continue;
            }
            const std::uint32_t target = id_of(std::move(to), out);
            auto& edges = out.states[id].edges;
            const auto hi = static_cast<std::uint8_t>(borders[i + 1] - 1);
            if (!edges.empty() && edges.back().to == target && edges.back().hi + 1U == borders[i]) {
                edges.back().hi = hi;
            } else {
                edges.push_back({static_cast<std::uint8_t>(borders[i]), hi, target});
            }
        }
    }

    void add_calls(const Subset& subset, std::uint32_t id, Machine& out) {
        std::map<std::pair<std::uint32_t, std::uint32_t>, Subset> to;
        for (const std::uint32_t state : subset) {
            for (const Machine::Call& call : from_.states[state].calls) {
                to[{call.rule, call.loop}].push_back(call.to);
            }
        }
        for (auto& [call, targets] : to) {
            const std::uint32_t target = id_of(std::move(targets), out);
            out.states[id].calls.push_back({call.first, call.second, target});
        }
    }

    const Machine& from_;
    std::size_t states_max_;
    std::vector<Subset> subsets_;
    std::unordered_map<Subset, std::uint32_t, SubsetHash> ids_;
    std::vector<std::uint32_t> reached_at_;  // the last round that reached the state
    std::uint32_t round_ = 0;
};

}  // namespace

bool determinize(Machine& machine, std::size_t states_max) {
    Machine out;
    if (!Subsets(machine, states_max).run(out)) {
        return false;
    }
    machine = std::move(out);
    return true;
}

bool intersect(const Machine& a, const Machine& b, std::size_t states_max, Machine& out) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> ids;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
    const auto id_of = [&](std::uint32_t x, std::uint32_t y) {
        const auto [at, fresh] = ids.try_emplace({x, y}, static_cast<std::uint32_t>(pairs.size()));
        if (fresh) {
            pairs.emplace_back(x, y);
            out.states[out.add_state()].ends = a.states[x].ends && b.states[y].ends;
        }
        return at->second;
    };
    out.states.clear();
    out.start = id_of(a.start, b.start);
    for (std::size_t next = 0; next < pairs.size(); ++next) {
        if (pairs.size() > states_max) {
            return false;
        }
        const auto [x, y] = pairs[next];
        for (const Machine::Edge& e : a.states[x].edges) {
            for (const Machine::Edge& f : b.states[y].edges) {
                const std::uint8_t lo = std::max(e.lo, f.lo);
                const std::uint8_t hi = std::min(e.hi, f.hi);
                if (lo <= hi) {
                    const std::uint32_t target = id_of(e.to, f.to);
                    out.states[next].edges.push_back({lo, hi, target});
                }
            }
        }
    }
    return true;
}

}  // namespace trilane::grammar
