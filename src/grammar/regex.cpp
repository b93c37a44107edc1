#include "grammar/regex.h"

#include <optional>

#include "base/utf8.h"
#include "grammar/grammar.h"
#include "grammar/text_reader.h"

namespace trilane::grammar {
namespace {

constexpr std::string_view kWhat = "regular expression";

CharSet digits() {
    return {{'0', '9'}};
}
CharSet word_chars() {
    return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
}
/// ECMAScript's white space and line ends.
CharSet spaces() {
    return {{0x9, 0xD},       {0x20, 0x20},     {0xA0, 0xA0},     {0x1680, 0x1680},
            {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
            {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
}
CharSet line_ends() {
    return {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
}

class RegexParser {
public:
    RegexParser(Builder& builder, std::string_view source, const RegexStyle& style)
        : builder_(builder), in_(source), style_(style) {}

    Result<Part> parse() {
        TRILANE_TRY(const Part whole, alternatives(0));
        if (!in_.done()) {
            return wrong("')' closes no group");
        }
        return whole;
    }

private:
    tl::unexpected<Error> wrong(std::string_view why) const { return in_.wrong(kWhat, why); }
    Part any_text() {
        return builder_.repeat(style_.write(builder_, CharSet::all()), 0, kUnbounded);
    }

    Result<Part> alternatives(unsigned depth) {
        if (depth > kGroupDepthMax) {
            return wrong(fmt::format("groups nest deeper than {}", kGroupDepthMax));
        }
        std::vector<Part> ways;
        do {
            TRILANE_TRY(const Part way, sequence(depth));
            ways.push_back(way);
        } while (in_.accept("|"));
        return ways.size() == 1 ? ways[0] : builder_.either(std::move(ways));
    }

    /// One alternative. At the outermost level its ends are those of the text.
    Result<Part> sequence(unsigned depth) {
        std::vector<Part> parts;
        const bool begins = depth == 0 && in_.accept("^");
        if (depth == 0 && style_.search && !begins) {
            parts.push_back(any_text());
        }
        bool ends = false;
        while (!in_.done() && in_.peek() != '|' && in_.peek() != ')') {
            if (in_.peek() == '$') {
                in_.take();
                if (depth > 0 || (!in_.done() && in_.peek() != '|')) {
                    return wrong(
                        "'$' is known at the end of the expression or of an alternative "
                        "only");
                }
                ends = true;
                break;
            }
            TRILANE_TRY(const Part atom, atom(depth));
            TRILANE_TRY(const Part repeated, repetitions(atom));
            parts.push_back(repeated);
            if (builder_.nodes().size() > kPartsMax) {
                return wrong(fmt::format("there are more than {} parts", kPartsMax));
            }
        }
        if (depth == 0 && style_.search && !ends) {
            parts.push_back(any_text());
        }
        return parts.size() == 1 ? parts[0] : builder_.sequence(std::move(parts));
    }

    Result<Part> repetitions(Part part) {
        const char32_t c = in_.peek();
        const bool braces = c == '{';
        if (c == '*' || c == '+' || c == '?') {
            in_.take();
            part = builder_.repeat(part, c == '+' ? 1 : 0, c == '?' ? 1 : kUnbounded);
        } else if (braces) {
            TRILANE_TRY(const auto bounds, in_.bounds(kWhat));
            part = builder_.repeat(part, bounds.first, bounds.second);
        } else {
            return part;
        }
        in_.accept("?");  // lazy or not, the texts are the same
        if (in_.peek() == '*' || in_.peek() == '+' || in_.peek() == '?' || in_.peek() == '{') {
            return wrong("a repetition of a repetition; put the inner one into a group");
        }
        return part;
    }

    Result<Part> atom(unsigned depth) {
        const char32_t c = in_.peek();
        switch (c) {
            case '(':
                return group(depth);
            case '[': {
                TRILANE_TRY(const CharSet set, char_class());
                return style_.write(builder_, set);
            }
            case '.':
                in_.take();
                return style_.write(builder_, line_ends().inverse());
            case '\\': {
                TRILANE_TRY(const CharSet set, escape(false));
                return style_.write(builder_, set);
            }
            case '^':
                return wrong(
                    "'^' is known at the beginning of the expression or of an alternative only");
            case '*':
            case '+':
            case '?':
            case '{':
                return wrong("a repetition repeats nothing");
            case ']':
            case '}':
                return wrong("a bracket that closes nothing; write it with a backslash");
            default: {
                const char32_t literal = in_.take();
                return style_.write(builder_, CharSet{{literal, literal}});
            }
        }
    }

    Result<Part> group(unsigned depth) {
        in_.take();
        if (in_.accept("?")) {
            const bool python_name = in_.accept("P<");
            if (python_name || (in_.peek() == '<' && in_.peek(1) != '=' && in_.peek(1) != '!')) {
                while (!in_.done() && in_.peek() != '>') {
                    in_.take();
                }
                if (!in_.accept(">")) {
                    return wrong("the name of a group is not closed");
                }
            } else if (!in_.accept(":")) {
                return wrong(
                    "groups that look around, and flags, are not supported; write the "
                    "expression without them");
            }
        }
        TRILANE_TRY(const Part inner, alternatives(depth + 1));
        if (!in_.accept(")")) {
            return wrong("a group is not closed: ')' is expected");
        }
        return inner;
    }

    /// Behind a backslash, which is still to be taken.
    Result<CharSet> escape(bool in_class) {
        in_.take();
        if (in_.done()) {
            return wrong("the expression ends within an escape");
        }
        const char32_t c = in_.take();
        const auto one = [](char32_t character) { return CharSet{{character, character}}; };
        switch (c) {
            case 'd':
                return digits();
            case 'D':
                return digits().inverse();
            case 'w':
                return word_chars();
            case 'W':
                return word_chars().inverse();
            case 's':
                return spaces();
            case 'S':
                return spaces().inverse();
            case 't':
                return one('\t');
            case 'n':
                return one('\n');
            case 'r':
                return one('\r');
            case 'f':
                return one('\f');
            case 'v':
                return one('\v');
            case 'x': {
                TRILANE_TRY(const char32_t value, in_.hex(2, kWhat));
                return one(value);
            }
            case 'u': {
                TRILANE_TRY(const char32_t value, unicode_escape());
                return one(value);
            }
            case 'b':
                if (in_class) {
                    return one('\b');
                }
                break;
            case '0':
                if (in_.peek() < '0' || in_.peek() > '9') {
                    return one(0);
                }
                break;
            default:
                if (c >= 0x80 ||
                    !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) {
                    return one(c);
                }
                break;
        }
        return wrong(
            "an escape that is not supported (there are \\d \\w \\s and their opposites, \\t \\n "
            "\\r \\f \\v \\0 \\xHH \\uHHHH, and punctuation)");
    }

    Result<char32_t> unicode_escape() {
        char32_t value = 0;
        if (in_.accept("{")) {
            unsigned digits = 0;
            while (in_.peek() != '}') {
                TRILANE_TRY(const char32_t digit, in_.hex(1, kWhat));
                value = (value << 4U) | digit;
                if (++digits > 6) {
                    return wrong("an escape names no character");
                }
            }
            in_.take();
        } else {
            TRILANE_TRY(value, in_.hex(4, kWhat));
            if (value >= 0xD800 && value <= 0xDBFF && in_.accept("\\u")) {
                TRILANE_TRY(const char32_t low, in_.hex(4, kWhat));
                if (low < 0xDC00 || low > 0xDFFF) {
                    return wrong("half of a surrogate pair");
                }
                value = 0x10000 + ((value - 0xD800) << 10U) + (low - 0xDC00);
            }
        }
        std::string ignored;
        if (!append_utf8(ignored, value)) {
            return wrong("an escape names no character");
        }
        return value;
    }

    Result<CharSet> char_class() {
        in_.take();
        const bool negated = in_.accept("^");
        CharSet set;
        std::vector<CharSet::Range> ranges;
        while (in_.peek() != ']') {
            if (in_.done()) {
                return wrong("a class is not closed: ']' is expected");
            }
            TRILANE_TRY(const CharSet first, class_item());
            if (in_.peek() != '-' || in_.peek(1) == ']') {
                ranges.insert(ranges.end(), first.ranges().begin(), first.ranges().end());
                continue;
            }
            in_.take();
            if (in_.done()) {
                return wrong("a class is not closed: ']' is expected");
            }
            TRILANE_TRY(const CharSet last, class_item());
            const auto single = [](const CharSet& s) {
                return s.ranges().size() == 1 && s.ranges()[0].lo == s.ranges()[0].hi;
            };
            if (!single(first) || !single(last)) {
                return wrong("a range of characters runs between two characters");
            }
            if (last.ranges()[0].lo < first.ranges()[0].lo) {
                return wrong("a range of characters runs backwards");
            }
            ranges.push_back({first.ranges()[0].lo, last.ranges()[0].lo});
        }
        in_.take();
        set.add(ranges);
        return negated ? set.inverse() : set;
    }

    Result<CharSet> class_item() {
        if (in_.peek() == '\\') {
            return escape(true);
        }
        const char32_t c = in_.take();
        return CharSet{{c, c}};
    }

    Builder& builder_;
    TextReader in_;
    const RegexStyle& style_;
};

}  // namespace

Result<Part> add_regex(Builder& builder, std::string_view source, const RegexStyle& style) {
    if (source.size() > kSourceBytesMax) {
        return fail(Fault::invalid, "the regular expression has {} bytes; at most {} are taken",
                    source.size(), kSourceBytesMax);
    }
    if (!is_valid_utf8(source)) {
        return fail(Fault::invalid, "the regular expression is not valid UTF-8");
    }
    return RegexParser(builder, source, style).parse();
}

Result<Part> add_regex(Builder& builder, std::string_view source) {
    return add_regex(
        builder, source,
        {.write = [](Builder& b, const CharSet& set) { return b.chars(set); }, .search = false});
}

}  // namespace trilane::grammar
