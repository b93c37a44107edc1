#include "grammar/assembler.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace trilane::grammar {
namespace {

using Kind = Builder::Kind;
using Node = Builder::Node;

/// A rule that calls itself by no way and is at most this large is written out where it is called:
/// the machine then needs no stack there and can be made deterministic. Within a repetition more is
/// worth it, for there each character would be a call.
constexpr std::uint64_t kInlineSizeMax = 12;
constexpr std::uint64_t kInlineInLoopSizeMax = 200;
/// A repetition larger than this when written out is counted instead.
constexpr std::uint64_t kUnrolledSizeMax = 400;
/// Operands of both() are always written out, up to this.
constexpr std::size_t kBothStatesMax = 60'000;
constexpr std::uint64_t kSizeMax = kStatesMax;

/// Pairs of members that may be left out, of all lists together: what a list costs, for each may be
/// followed by any behind it. About 1,200 of them in one list take a second.
constexpr std::uint64_t kListPairsMax = 1'500'000;
/// Rules written out within each other: each is recursion here.
constexpr std::uint32_t kInliningMax = 100;

class Assembler {
public:
    Assembler(const Builder& builder, Part root) : builder_(builder), root_(root) {}

    Result<Automaton> run();

private:
    Status check_parts() const;
    void find_nullable();
    [[nodiscard]] bool nullable(Part part) const { return nullable_[part.index]; }
    [[nodiscard]] bool computed_nullable(const Node& node) const;
    void find_recursion();
    std::uint64_t size(Part part, bool in_loop);
    std::uint64_t computed_size(const Node& node, bool in_loop);
    bool inlined(std::uint32_t rule, bool in_loop);

    std::uint32_t machine_of_rule(std::uint32_t rule);
    std::uint32_t machine_of_part(Part part, std::string name);
    Status fill(std::uint32_t machine);

    /// Adds `part` behind state `from`; the state in which it has been matched.
    Result<std::uint32_t> emit(Machine& m, Part part, std::uint32_t from, bool in_loop);
    std::uint32_t emit_bytes(Machine& m, std::string_view bytes, std::uint32_t from);
    std::uint32_t emit_chars(Machine& m, const CharSet& set, std::uint32_t from);
    Result<std::uint32_t> emit_repeat(Machine& m, const Node& node, std::uint32_t from,
                                      bool in_loop);
    Result<std::uint32_t> emit_list(Machine& m, const Node& node, std::uint32_t from, bool in_loop);
    Result<std::uint32_t> emit_both(Machine& m, const Node& node, std::uint32_t from);
    Result<std::uint32_t> emit_call(Machine& m, const Node& node, std::uint32_t from, bool in_loop);

    const Builder& builder_;
    const Part root_;
    std::vector<bool> nullable_;  // by node
    std::vector<bool> rule_nullable_;
    std::vector<bool> recursive_;                      // by rule
    std::array<std::vector<std::uint64_t>, 2> sizes_;  // by node, out of and in a loop; 0 = unknown

    std::vector<Machine> machines_;
    std::vector<Part> bodies_;  // by machine
    std::vector<std::string> names_;
    std::map<std::uint32_t, std::uint32_t> of_rule_;
    std::map<std::uint32_t, std::uint32_t> of_part_;
    std::vector<Automaton::Loop> loops_;
    std::size_t states_ = 0;
    std::uint64_t list_pairs_ = 0;
    bool unroll_all_ = false;
    std::uint32_t inlining_ = 0;  // rules being written out within each other
};

Status Assembler::check_parts() const {
    if (builder_.rules().size() > kRulesMax) {
        return fail(Fault::invalid, "the grammar has {} rules; at most {} are taken",
                    builder_.rules().size(), kRulesMax);
    }
    if (builder_.nodes().size() > kPartsMax) {
        return fail(Fault::invalid, "the grammar has {} parts; at most {} are taken",
                    builder_.nodes().size(), kPartsMax);
    }
    for (const Builder::Definition& rule : builder_.rules()) {
        if (!rule.body.has_value()) {
            return fail(Fault::invalid, "the rule '{}' is used but not defined", rule.name);
        }
    }
    return {};
}

bool Assembler::computed_nullable(const Node& node) const {
    const auto is = [this](Part part) { return nullable(part); };
    switch (node.kind) {
        case Kind::bytes:
            return node.bytes.empty();
        case Kind::chars:
            return false;
        case Kind::sequence:
        case Kind::both:
            return std::all_of(node.parts.begin(), node.parts.end(), is);
        case Kind::either:
            return std::any_of(node.parts.begin(), node.parts.end(), is);
        case Kind::repeat:
            return node.min == 0 || is(node.parts[0]);
        case Kind::list:
            for (std::size_t i = 0; i < node.required.size(); ++i) {
                if (node.required[i] && !is(node.parts[i + 1])) {
                    return false;
                }
            }
            return true;
        case Kind::call:
            return rule_nullable_[node.rule];
    }
    return false;
}

/// A fixed point: what a part's nullability may change is looked at again when it is found.
void Assembler::find_nullable() {
    const std::size_t count = builder_.nodes().size();
    std::vector<std::vector<std::uint32_t>> holders(count);
    std::vector<std::vector<std::uint32_t>> calls(builder_.rules().size());
    std::vector<std::vector<std::uint32_t>> rules_of(count);
    std::vector<std::uint32_t> todo;
    for (std::uint32_t i = 0; i < count; ++i) {
        for (const Part part : builder_.nodes()[i].parts) {
            holders[part.index].push_back(i);
        }
        if (builder_.nodes()[i].kind == Kind::call) {
            calls[builder_.nodes()[i].rule].push_back(i);
        }
        todo.push_back(i);
    }
    for (std::uint32_t rule = 0; rule < builder_.rules().size(); ++rule) {
        rules_of[builder_.rules()[rule].body->index].push_back(rule);
    }
    nullable_.assign(count, false);
    rule_nullable_.assign(builder_.rules().size(), false);
    while (!todo.empty()) {
        const std::uint32_t i = todo.back();
        todo.pop_back();
        if (nullable_[i] || !computed_nullable(builder_.nodes()[i])) {
            continue;
        }
        nullable_[i] = true;
        todo.insert(todo.end(), holders[i].begin(), holders[i].end());
        for (const std::uint32_t rule : rules_of[i]) {
            rule_nullable_[rule] = true;
            todo.insert(todo.end(), calls[rule].begin(), calls[rule].end());
        }
    }
}

/// Marks the rules on cycles of calls: what is left when rules that call only settled rules are
/// taken away, again and again. (Rules that merely lead to a cycle are left too; they are not
/// written out either, which costs little.)
void Assembler::find_recursion() {
    const std::size_t count = builder_.rules().size();
    std::vector<std::vector<std::uint32_t>> callers(count);
    std::vector<std::size_t> open(count, 0);
    std::vector<std::uint32_t> seen_by(builder_.nodes().size(), kNone);
    for (std::uint32_t rule = 0; rule < count; ++rule) {
        std::vector<Part> todo = {*builder_.rules()[rule].body};
        while (!todo.empty()) {
            const Part part = todo.back();
            todo.pop_back();
            if (seen_by[part.index] == rule) {
                continue;
            }
            seen_by[part.index] = rule;
            const Node& node = builder_.nodes()[part.index];
            todo.insert(todo.end(), node.parts.begin(), node.parts.end());
            if (node.kind == Kind::call) {
                callers[node.rule].push_back(rule);
                ++open[rule];
            }
        }
    }
    recursive_.assign(count, true);
    std::vector<std::uint32_t> settled;
    for (std::uint32_t rule = 0; rule < count; ++rule) {
        if (open[rule] == 0) {
            settled.push_back(rule);
        }
    }
    while (!settled.empty()) {
        const std::uint32_t rule = settled.back();
        settled.pop_back();
        recursive_[rule] = false;
        // Leaves first, so that the sizes of callers find those of their callees known.
        size(*builder_.rules()[rule].body, false);
        size(*builder_.rules()[rule].body, true);
        for (const std::uint32_t caller : callers[rule]) {
            if (--open[caller] == 0) {
                settled.push_back(caller);
            }
        }
    }
}

std::uint64_t Assembler::size(Part part, bool in_loop) {
    std::uint64_t& known = sizes_[in_loop ? 1 : 0][part.index];
    if (known == 0) {
        const std::uint64_t computed =
            computed_size(builder_.nodes()[part.index], in_loop);  // may move nothing: fixed sizes
        known = std::clamp<std::uint64_t>(computed, 1, kSizeMax);
    }
    return known;
}

std::uint64_t Assembler::computed_size(const Node& node, bool in_loop) {
    std::uint64_t sum = 0;
    switch (node.kind) {
        case Kind::bytes:
            return node.bytes.size();
        case Kind::chars:
            for (const Utf8Range& range : utf8_ranges(node.chars)) {
                sum += range.length;
            }
            return sum;
        case Kind::repeat: {
            const std::uint64_t times = node.max >= kUnbounded ? node.min + 1ULL : node.max;
            sum = size(node.parts[0], true) * std::max<std::uint64_t>(times, 1);
            return sum <= kUnrolledSizeMax || unroll_all_ ? sum : 2;
        }
        case Kind::call:
            return inlined(node.rule, in_loop) ? size(*builder_.rules()[node.rule].body, in_loop)
                                               : 1;
        case Kind::both:
            return kInlineInLoopSizeMax + 1;  // unknown before it is computed; not worth copies
        case Kind::sequence:
        case Kind::either:
        case Kind::list:
            for (const Part part : node.parts) {
                sum += size(part, in_loop) * (node.kind == Kind::list ? 2 : 1);
            }
            return sum + 1;
    }
    return sum;
}

bool Assembler::inlined(std::uint32_t rule, bool in_loop) {
    return !recursive_[rule] &&
           (unroll_all_ || size(*builder_.rules()[rule].body, in_loop) <=
                               (in_loop ? kInlineInLoopSizeMax : kInlineSizeMax));
}

std::uint32_t Assembler::machine_of_part(Part part, std::string name) {
    machines_.emplace_back();
    bodies_.push_back(part);
    names_.push_back(std::move(name));
    return static_cast<std::uint32_t>(machines_.size() - 1);
}

std::uint32_t Assembler::machine_of_rule(std::uint32_t rule) {
    const auto at = of_rule_.find(rule);
    if (at != of_rule_.end()) {
        return at->second;
    }
    const Builder::Definition& definition = builder_.rules()[rule];
    const std::uint32_t machine = machine_of_part(*definition.body, definition.name);
    of_rule_.emplace(rule, machine);
    return machine;
}

Status Assembler::fill(std::uint32_t machine) {
    Machine m;
    m.start = m.add_state();
    TRILANE_TRY(const std::uint32_t last, emit(m, bodies_[machine], m.start, false));
    m.states[last].ends = true;
    // When there are too many subsets the machine stays as it is: jumps and ambiguity cost time
    // with each token, but not without end.
    determinize(m, 4 * m.states.size() + 1000);
    states_ += m.states.size();
    if (states_ > kStatesMax) {
        return fail(Fault::invalid, "the grammar needs more than {} states; make it smaller",
                    kStatesMax);
    }
    machines_[machine] = std::move(m);
    return {};
}

Result<std::uint32_t> Assembler::emit(Machine& m, Part part, std::uint32_t from, bool in_loop) {
    if (states_ + m.states.size() > kStatesMax ||
        (unroll_all_ && m.states.size() > kBothStatesMax)) {
        return fail(Fault::invalid, "the grammar needs more than {} states; make it smaller",
                    unroll_all_ ? kBothStatesMax : kStatesMax);
    }
    const Node& node = builder_.nodes()[part.index];
    switch (node.kind) {
        case Kind::bytes:
            return emit_bytes(m, node.bytes, from);
        case Kind::chars:
            return emit_chars(m, node.chars, from);
        case Kind::sequence:
            for (const Part piece : node.parts) {
                TRILANE_TRY(from, emit(m, piece, from, in_loop));
            }
            return from;
        case Kind::either: {
            const std::uint32_t end = m.add_state();
            for (const Part way : node.parts) {
                const std::uint32_t first = m.add_state();
                m.states[from].jumps.push_back(first);
                TRILANE_TRY(const std::uint32_t last, emit(m, way, first, in_loop));
                m.states[last].jumps.push_back(end);
            }
            return end;
        }
        case Kind::repeat:
            return emit_repeat(m, node, from, in_loop);
        case Kind::list:
            return emit_list(m, node, from, in_loop);
        case Kind::both:
            return emit_both(m, node, from);
        case Kind::call:
            return emit_call(m, node, from, in_loop);
    }
    return from;
}

std::uint32_t Assembler::emit_bytes(Machine& m, std::string_view bytes, std::uint32_t from) {
    for (const char c : bytes) {
        const std::uint32_t to = m.add_state();
        const auto byte = static_cast<std::uint8_t>(c);
        m.states[from].edges.push_back({byte, byte, to});
        from = to;
    }
    return from;
}

std::uint32_t Assembler::emit_chars(Machine& m, const CharSet& set, std::uint32_t from) {
    const std::uint32_t end = m.add_state();
    for (const Utf8Range& range : utf8_ranges(set)) {
        std::uint32_t at = from;
        for (std::size_t i = 0; i < range.length; ++i) {
            const std::uint32_t to = i + 1 == range.length ? end : m.add_state();
            m.states[at].edges.push_back({range.lo[i], range.hi[i], to});
            at = to;
        }
    }
    return end;
}

Result<std::uint32_t> Assembler::emit_repeat(Machine& m, const Node& node, std::uint32_t from,
                                             bool in_loop) {
    const Part body = node.parts[0];
    const bool endless = node.max >= kUnbounded;
    // What may be empty need not come at all, whatever is asked.
    const std::uint32_t min = nullable(body) ? 0 : node.min;
    const std::uint32_t copies = endless ? min : node.max;
    if (endless || copies > 1) {
        in_loop = true;
    }
    const bool unroll =
        unroll_all_ || copies <= 1 || size(body, in_loop) * copies <= kUnrolledSizeMax;
    if (!unroll && nullable(body)) {
        return fail(Fault::invalid,
                    "a repetition of up to {} times repeats what may be empty; make it non-empty, "
                    "or use '*'",
                    copies);
    }
    if (!unroll) {
        auto at = of_part_.find(body.index);
        if (at == of_part_.end()) {
            at = of_part_.emplace(body.index, machine_of_part(body, "a repetition")).first;
        }
        loops_.push_back({min, node.max});
        const std::uint32_t to = m.add_state();
        m.states[from].calls.push_back(
            {at->second, static_cast<std::uint32_t>(loops_.size() - 1), to});
        return to;
    }
    const std::uint32_t end = m.add_state();
    for (std::uint32_t i = 0; i < copies; ++i) {
        if (i >= min) {
            m.states[from].jumps.push_back(end);
        }
        TRILANE_TRY(from, emit(m, body, from, in_loop));
    }
    if (endless) {
        const std::uint32_t again = m.add_state();
        m.states[from].jumps.push_back(again);
        TRILANE_TRY(const std::uint32_t last, emit(m, body, again, true));
        m.states[last].jumps.push_back(again);
        from = again;
    }
    m.states[from].jumps.push_back(end);
    return end;
}

/// Two states before each member: nothing written yet, something written.
Result<std::uint32_t> Assembler::emit_list(Machine& m, const Node& node, std::uint32_t from,
                                           bool in_loop) {
    const auto optional = static_cast<std::uint64_t>(std::ranges::count(node.required, false));
    list_pairs_ += optional * optional;
    if (list_pairs_ > kListPairsMax) {
        return fail(Fault::invalid,
                    "too many properties that may be left out ({} in one place, and any may follow "
                    "any before it); require some of them, or name fewer",
                    optional);
    }
    std::uint32_t fresh = m.add_state();
    std::uint32_t begun = m.add_state();
    m.states[from].jumps.push_back(fresh);
    for (std::size_t i = 0; i < node.required.size(); ++i) {
        const std::uint32_t next_fresh = m.add_state();
        const std::uint32_t next_begun = m.add_state();
        TRILANE_TRY(const std::uint32_t first, emit(m, node.parts[i + 1], fresh, in_loop));
        m.states[first].jumps.push_back(next_begun);
        TRILANE_TRY(const std::uint32_t parted, emit(m, node.parts[0], begun, in_loop));
        TRILANE_TRY(const std::uint32_t later, emit(m, node.parts[i + 1], parted, in_loop));
        m.states[later].jumps.push_back(next_begun);
        if (!node.required[i]) {
            m.states[fresh].jumps.push_back(next_fresh);
            m.states[begun].jumps.push_back(next_begun);
        }
        fresh = next_fresh;
        begun = next_begun;
    }
    const std::uint32_t end = m.add_state();
    m.states[fresh].jumps.push_back(end);
    m.states[begun].jumps.push_back(end);
    return end;
}

Result<std::uint32_t> Assembler::emit_both(Machine& m, const Node& node, std::uint32_t from) {
    const bool outer = std::exchange(unroll_all_, true);
    const auto sizes =
        std::exchange(sizes_, {std::vector<std::uint64_t>(builder_.nodes().size(), 0),
                               std::vector<std::uint64_t>(builder_.nodes().size(), 0)});
    std::array<Machine, 2> operands;
    for (std::size_t i = 0; i < 2; ++i) {
        operands[i].start = operands[i].add_state();
        TRILANE_TRY(const std::uint32_t last,
                    emit(operands[i], node.parts[i], operands[i].start, false));
        operands[i].states[last].ends = true;
    }
    unroll_all_ = outer;
    sizes_ = sizes;
    Machine product;
    if (!determinize(operands[0], kBothStatesMax) || !determinize(operands[1], kBothStatesMax) ||
        !intersect(operands[0], operands[1], kBothStatesMax, product)) {
        return fail(Fault::invalid,
                    "a pattern together with other bounds on its text needs more than {} states; "
                    "use narrower bounds",
                    kBothStatesMax);
    }
    const auto offset = static_cast<std::uint32_t>(m.states.size());
    const auto end = static_cast<std::uint32_t>(offset + product.states.size());
    for (Machine::State& state : product.states) {
        for (Machine::Edge& edge : state.edges) {
            edge.to += offset;
        }
        if (state.ends) {
            state.ends = false;
            state.jumps.push_back(end);
        }
        m.states.push_back(std::move(state));
    }
    m.states[from].jumps.push_back(offset + product.start);
    return m.add_state();
}

Result<std::uint32_t> Assembler::emit_call(Machine& m, const Node& node, std::uint32_t from,
                                           bool in_loop) {
    if (inlined(node.rule, in_loop) && inlining_ < kInliningMax) {
        ++inlining_;
        auto to = emit(m, *builder_.rules()[node.rule].body, from, in_loop);
        --inlining_;
        return to;
    }
    TRILANE_CHECK(!unroll_all_);  // operands of both() call no rules that call themselves
    const std::uint32_t machine = machine_of_rule(node.rule);
    const std::uint32_t to = m.add_state();
    m.states[from].calls.push_back({machine, kNone, to});
    return to;
}

Result<Automaton> Assembler::run() {
    TRILANE_TRY_STATUS(check_parts());
    for (auto& sizes : sizes_) {
        sizes.assign(builder_.nodes().size(), 0);
    }
    find_nullable();
    find_recursion();
    machine_of_part(root_, "the whole");
    std::vector<bool> may_be_empty;
    for (std::uint32_t next = 0; next < machines_.size(); ++next) {
        TRILANE_TRY_STATUS(fill(next));
        may_be_empty.push_back(nullable(bodies_[next]));
    }
    return link(machines_, names_, may_be_empty, std::move(loops_), builder_.depth_max());
}

}  // namespace

Result<Automaton> assemble(const Builder& builder, Part root) {
    return Assembler(builder, root).run();
}

}  // namespace trilane::grammar
