#include "grammar/builder.h"

#include "base/check.h"
#include "grammar/assembler.h"
#include "grammar/automaton.h"

namespace trilane::grammar {

Part Builder::add(Node node) {
    nodes_.push_back(std::move(node));
    return {static_cast<std::uint32_t>(nodes_.size() - 1)};
}

Part Builder::literal(std::string_view text) {
    Node node;
    node.bytes = text;
    return add(std::move(node));
}

Part Builder::token(token::Id id) {
    return literal(token_mark(id));
}

Part Builder::chars(const CharSet& set) {
    Node node;
    node.kind = Kind::chars;
    node.chars = set;
    return add(std::move(node));
}

Part Builder::sequence(std::vector<Part> parts) {
    Node node;
    node.kind = Kind::sequence;
    node.parts = std::move(parts);
    return add(std::move(node));
}

Part Builder::either(std::vector<Part> parts) {
    Node node;
    node.kind = Kind::either;
    node.parts = std::move(parts);
    return add(std::move(node));
}

Part Builder::repeat(Part part, std::uint32_t min, std::uint32_t max) {
    Node node;
    node.kind = Kind::repeat;
    node.parts = {part};
    node.min = std::min(min, kUnbounded - 1);
    node.max = std::min(max, kUnbounded);
    return add(std::move(node));
}

Part Builder::list(const std::vector<Member>& members, Part separator) {
    Node node;
    node.kind = Kind::list;
    node.parts = {separator};
    for (const Member& member : members) {
        node.parts.push_back(member.part);
        node.required.push_back(member.required);
    }
    return add(std::move(node));
}

Part Builder::both(Part a, Part b) {
    Node node;
    node.kind = Kind::both;
    node.parts = {a, b};
    return add(std::move(node));
}

/// One rule per prefix of the marker that the text ends with, as in Knuth-Morris-Pratt matching,
/// over bytes. Bytes that are no UTF-8 stay outside: what is not the marker's is whole characters.
Part Builder::until(std::string_view marker) {
    TRILANE_CHECK(!marker.empty());
    std::vector<Rule> after;
    for (std::size_t i = 0; i < marker.size(); ++i) {
        after.push_back(declare(fmt::format("until-{}", i)));
    }
    // Which prefix the text ends with after prefix `length` and one more byte.
    const auto fallen = [&](std::size_t length, char byte) {
        const std::string text = std::string(marker.substr(0, length)) + byte;
        std::size_t keep = text.size();
        while (keep > 0 && !(keep <= marker.size() && text.ends_with(marker.substr(0, keep)))) {
            --keep;
        }
        return keep;
    };
    for (std::size_t i = 0; i < marker.size(); ++i) {
        std::vector<Part> ways;
        CharSet others = CharSet::all();
        for (char32_t c = 0; c < 0x80; ++c) {
            const std::size_t next = fallen(i, static_cast<char>(c));
            if (next == 0) {
                continue;
            }
            others = others.intersection(CharSet{{c, c}}.inverse());
            const Part byte = literal(std::string(1, static_cast<char>(c)));
            ways.push_back(next == marker.size() ? byte : sequence({byte, call(after[next])}));
        }
        ways.push_back(sequence({chars(others), call(after[0])}));
        define(after[i], either(std::move(ways)));
    }
    return call(after[0]);
}

Rule Builder::declare(std::string name) {
    rules_.push_back({std::move(name), std::nullopt});
    return {static_cast<std::uint32_t>(rules_.size() - 1)};
}

void Builder::define(Rule rule, Part body) {
    rules_[rule.index].body = body;
}

Part Builder::call(Rule rule) {
    Node node;
    node.kind = Kind::call;
    node.rule = rule.index;
    return add(std::move(node));
}

Result<Compiled> Builder::build(Part root) const {
    TRILANE_TRY(Automaton automaton, assemble(*this, root));
    return std::make_shared<const Grammar>(std::move(automaton));
}

std::string token_mark(token::Id id) {
    std::string mark = "\xFF";
    for (unsigned shift = 0; shift < 30; shift += 6) {
        mark += static_cast<char>(0x80U | ((static_cast<std::uint32_t>(id) >> shift) & 0x3FU));
    }
    return mark;
}

}  // namespace trilane::grammar
