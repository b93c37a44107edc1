// GBNF → parts: rules, alternatives, groups, literals, classes, repetitions, comments, as llama.cpp
// documents them. Recursive descent; where the text is wrong the error says line and column.
#include <map>

#include "base/utf8.h"
#include "grammar/grammar.h"
#include "grammar/text_reader.h"

namespace trilane::grammar {
namespace {

bool is_name(char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

class GbnfParser {
public:
    GbnfParser(Builder& builder, std::string_view source) : builder_(builder), in_(source) {}

    Result<Part> parse() {
        skip_space(true);
        while (!in_.done()) {
            TRILANE_TRY_STATUS(rule());
            skip_space(true);
        }
        const auto root = rules_.find("root");
        if (root == rules_.end() || !root->second.defined) {
            return fail(Fault::invalid, "the grammar has no rule 'root'; it says where to begin");
        }
        for (const auto& [name, known] : rules_) {
            if (!known.defined) {
                return fail(Fault::invalid, "the rule '{}' is used but not defined", name);
            }
        }
        return builder_.call(root->second.rule);
    }

private:
    struct Known {
        Rule rule;
        bool defined = false;
    };

    tl::unexpected<Error> wrong(std::string_view what) const { return in_.wrong("grammar", what); }

    void skip_space(bool newlines) {
        for (;;) {
            const char32_t c = in_.peek();
            if (c == ' ' || c == '\t' || (newlines && (c == '\n' || c == '\r'))) {
                in_.take();
            } else if (c == '#') {
                while (!in_.done() && in_.peek() != '\n' && in_.peek() != '\r') {
                    in_.take();
                }
            } else {
                return;
            }
        }
    }

    std::string name() {
        std::string out;
        while (is_name(in_.peek())) {
            out += static_cast<char>(in_.take());
        }
        return out;
    }

    Known& known(const std::string& name) {
        const auto [at, fresh] = rules_.try_emplace(name);
        if (fresh) {
            at->second.rule = builder_.declare(name);
        }
        return at->second;
    }

    Status rule() {
        const std::string called = name();
        if (called.empty()) {
            return wrong("a rule begins with its name: letters, digits, '-', '_'");
        }
        skip_space(false);
        if (!in_.accept("::=")) {
            return wrong(fmt::format("'::=' is expected behind the name of rule '{}'",
                                     utf8_clipped(called, 60)));
        }
        if (rules_.size() >= kRulesMax) {
            return wrong(fmt::format("there are more than {} rules", kRulesMax));
        }
        if (known(called).defined) {
            return wrong(fmt::format("the rule '{}' is defined twice", utf8_clipped(called, 60)));
        }
        known(called).defined = true;
        skip_space(true);
        TRILANE_TRY(const Part body, alternatives(0));
        builder_.define(known(called).rule, body);
        if (!in_.done() && in_.peek() != '\n' && in_.peek() != '\r') {
            return wrong(
                "the rule goes on with what is neither a literal, a class, a group nor a "
                "rule's name");
        }
        return {};
    }

    Result<Part> alternatives(unsigned depth) {
        if (depth > kGroupDepthMax) {
            return wrong(fmt::format("groups nest deeper than {}", kGroupDepthMax));
        }
        std::vector<Part> ways;
        for (;;) {
            TRILANE_TRY(const Part way, sequence(depth));
            ways.push_back(way);
            // An alternative may begin on the next line.
            const TextReader before = in_;
            skip_space(true);
            if (in_.peek() != '|') {
                if (depth == 0) {
                    in_ = before;
                }
                return ways.size() == 1 ? ways[0] : builder_.either(std::move(ways));
            }
            in_.take();
            skip_space(true);
        }
    }

    Result<Part> sequence(unsigned depth) {
        std::vector<Part> parts;
        for (;;) {
            const char32_t c = in_.peek();
            Part item;
            if (c == '"') {
                TRILANE_TRY(item, literal());
            } else if (c == '[') {
                TRILANE_TRY(item, char_class());
            } else if (c == '(') {
                in_.take();
                skip_space(true);
                TRILANE_TRY(item, alternatives(depth + 1));
                skip_space(true);
                if (in_.peek() != ')') {
                    return wrong("a group is not closed: ')' is expected");
                }
                in_.take();
            } else if (c == '.') {
                in_.take();
                item = builder_.chars(CharSet::all());
            } else if (c == '<' || c == '!') {
                TRILANE_TRY(item, token());
            } else if (is_name(c)) {
                item = builder_.call(known(name()).rule);
            } else {
                return parts.size() == 1 ? parts[0] : builder_.sequence(std::move(parts));
            }
            skip_space(depth > 0);
            TRILANE_TRY(item, repetitions(item, depth));
            parts.push_back(item);
            if (builder_.nodes().size() > kPartsMax) {
                return wrong(fmt::format("there are more than {} parts", kPartsMax));
            }
        }
    }

    Result<Part> repetitions(Part item, unsigned depth) {
        for (;;) {
            const char32_t c = in_.peek();
            if (c == '*' || c == '+' || c == '?') {
                in_.take();
                item = builder_.repeat(item, c == '+' ? 1 : 0, c == '?' ? 1 : kUnbounded);
            } else if (c == '{') {
                TRILANE_TRY(const auto bounds, in_.bounds("grammar"));
                item = builder_.repeat(item, bounds.first, bounds.second);
            } else {
                return item;
            }
            skip_space(depth > 0);
        }
    }

    /// "<[123]>": one token by its id.
    Result<Part> token() {
        if (!in_.accept("<[")) {
            return wrong(
                "tokens by name or negated tokens are not known here; write <[ID]> or the "
                "token's text as a literal");
        }
        TRILANE_TRY(const std::uint32_t id, in_.number("grammar"));
        if (!in_.accept("]>")) {
            return wrong("a token ends with ']>'");
        }
        if (id >= kUnbounded) {
            return wrong("no vocabulary has a token of this number");
        }
        return builder_.token(static_cast<token::Id>(id));
    }

    Result<char32_t> character() {
        if (in_.done()) {
            return wrong("the text ends within a literal or class");
        }
        const char32_t c = in_.take();
        if (c != '\\') {
            return c;
        }
        const char32_t escape = in_.take();
        switch (escape) {
            case 'x':
                return in_.hex(2, "grammar");
            case 'u':
                return in_.hex(4, "grammar");
            case 'U':
                return in_.hex(8, "grammar");
            case 'n':
                return U'\n';
            case 'r':
                return U'\r';
            case 't':
                return U'\t';
            case '\\':
            case '"':
            case '[':
            case ']':
            case '-':
            case '^':
                return escape;
            default:
                return wrong(
                    "an unknown escape; there are \\n \\r \\t \\\\ \\\" \\[ \\] \\xNN \\uNNNN "
                    "\\UNNNNNNNN");
        }
    }

    Result<Part> literal() {
        in_.take();
        std::string text;
        while (in_.peek() != '"') {
            TRILANE_TRY(const char32_t c, character());
            if (!append_utf8(text, c)) {
                return wrong("an escape names no character");
            }
        }
        in_.take();
        return builder_.literal(text);
    }

    Result<Part> char_class() {
        in_.take();
        const bool negated = in_.accept("^");
        CharSet set;
        std::vector<CharSet::Range> ranges;
        while (in_.peek() != ']') {
            TRILANE_TRY(const char32_t lo, character());
            char32_t hi = lo;
            if (in_.peek() == '-' && in_.peek(1) != ']') {
                in_.take();
                TRILANE_TRY(hi, character());
            }
            if (hi < lo) {
                return wrong("a range of characters runs backwards");
            }
            ranges.push_back({lo, hi});
        }
        in_.take();
        set.add(ranges);
        return builder_.chars(negated ? set.inverse() : set);
    }

    Builder& builder_;
    TextReader in_;
    std::map<std::string, Known> rules_;
};

}  // namespace

Result<Part> add_gbnf(Builder& builder, std::string_view source) {
    if (source.size() > kSourceBytesMax) {
        return fail(Fault::invalid, "the grammar has {} bytes; at most {} are taken", source.size(),
                    kSourceBytesMax);
    }
    if (!is_valid_utf8(source)) {
        return fail(Fault::invalid, "the grammar is not valid UTF-8");
    }
    return GbnfParser(builder, source).parse();
}

}  // namespace trilane::grammar
