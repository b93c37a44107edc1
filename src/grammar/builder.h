// Builder: a grammar being put together from parts: literals, characters, sequences, alternatives,
// repetitions and rules that may call each other. build() makes a Grammar of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/char_set.h"
#include "token/tokenizer.h"

namespace trilane::grammar {

class Grammar;
/// A grammar that is ready for use: immutable and shared.
using Compiled = std::shared_ptr<const Grammar>;

/// A piece of a grammar; of use only to the Builder that made it.
struct Part {
    std::uint32_t index = 0;
};
struct Rule {
    std::uint32_t index = 0;
};

/// Counts from here on are as good as no limit: no answer is this long.
inline constexpr std::uint32_t kUnbounded = 1U << 30U;
/// How deep calls may nest while an answer is written, unless the builder says otherwise.
inline constexpr std::uint32_t kDepthDefault = 256;
inline constexpr std::size_t kRulesMax = 50'000;
inline constexpr std::size_t kPartsMax = 1'000'000;

class Builder {
public:
    /// The bytes of `text`, exactly.
    Part literal(std::string_view text);
    /// One token by its id: how control tokens, which have no text, stand in a grammar.
    Part token(token::Id id);
    /// Any one character of the set.
    Part chars(const CharSet& set);
    Part sequence(std::vector<Part> parts);
    /// Any one of them; none given = no text at all matches.
    Part either(std::vector<Part> parts);
    Part optional(Part part) { return repeat(part, 0, 1); }
    /// `part` between `min` and `max` times; a max of kUnbounded or more is none.
    Part repeat(Part part, std::uint32_t min, std::uint32_t max);
    /// Members in this order with `separator` between those that are there.
    struct Member {
        Part part;
        bool required = false;
    };
    Part list(const std::vector<Member>& members, Part separator);
    /// What matches both. They must not call rules.
    Part both(Part a, Part b);
    /// Any text that ends with `marker` and does not hold it before; `marker` is not empty.
    Part until(std::string_view marker);

    /// A rule by a name that messages use; define it before build().
    Rule declare(std::string name);
    void define(Rule rule, Part body);
    Part call(Rule rule);

    /// Calls nest at most this deep in an answer; what would go deeper is not allowed there.
    void set_depth_max(std::uint32_t depth) { depth_max_ = depth; }

    /// **Errors:** invalid for left recursion, rules without finite text, repetitions of what may
    /// be empty; and for grammars that are too large (the limit is named).
    [[nodiscard]] Result<Compiled> build(Part root) const;

    enum class Kind : std::uint8_t { bytes, chars, sequence, either, repeat, list, both, call };
    struct Node {
        Kind kind = Kind::bytes;
        std::string bytes;
        CharSet chars;
        std::vector<Part> parts;     ///< of a list: the separator first
        std::vector<bool> required;  ///< of a list: by member
        std::uint32_t min = 0;
        std::uint32_t max = 0;
        std::uint32_t rule = 0;
    };
    struct Definition {
        std::string name;
        std::optional<Part> body;
    };
    [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
    [[nodiscard]] const std::vector<Definition>& rules() const { return rules_; }
    [[nodiscard]] std::uint32_t depth_max() const { return depth_max_; }

private:
    Part add(Node node);
    std::vector<Node> nodes_;
    std::vector<Definition> rules_;
    std::uint32_t depth_max_ = kDepthDefault;
};

/// The bytes by which a token stands in a grammar and in the trie when it has no text. They begin
/// with a byte that UTF-8 never has.
std::string token_mark(token::Id id);

}  // namespace trilane::grammar
