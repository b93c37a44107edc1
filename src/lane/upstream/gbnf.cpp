#include "lane/upstream/gbnf.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/utf8.h"

namespace trilane::lane::upstream {
namespace {

constexpr std::string_view kDigits = "0-9";
constexpr std::string_view kLetters = "A-Za-z0-9_";
constexpr std::string_view kBlanksRule = " \\t\\r\\n";

/// One byte of a literal or a class, escaped where the language wants it.
void append_byte(std::string& out, char c) {
    switch (c) {
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        case '"':
        case '\\':
        case ']':
        case '[':
            out += '\\';
            out += c;
            return;
        default:
            break;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        fmt::format_to(std::back_inserter(out), "\\x{:02X}", static_cast<unsigned char>(c));
    } else {
        out += c;
    }
}

std::string literal(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        // Brackets need no escape outside of classes, and are not known as escapes everywhere.
        if (c == '[' || c == ']') {
            out += c;
        } else {
            append_byte(out, c);
        }
    }
    return out + '"';
}

/// Reads an expression from front to back and writes the grammar as it goes.
class RegexReader {
public:
    explicit RegexReader(std::string_view regex) : all_(regex), rest_(regex) {}

    Result<std::string> read() {
        if (rest_.size() > kRegexBytesMax) {
            return fail(Fault::invalid, "regex: it is longer than {} bytes; write a shorter one",
                        kRegexBytesMax);
        }
        if (!is_valid_utf8(rest_)) {
            return fail(Fault::invalid, "regex: it is no UTF-8");
        }
        // The answer is matched whole in any case.
        if (rest_.starts_with('^')) {
            rest_.remove_prefix(1);
        }
        if (rest_.ends_with('$') && !rest_.ends_with("\\$")) {
            rest_.remove_suffix(1);
        }
        TRILANE_TRY_STATUS(alternatives());
        if (!rest_.empty()) {
            return wrong("a ')' without its '('");
        }
        return "root ::= " + (out_.empty() ? std::string("\"\"") : std::move(out_));
    }

private:
    [[nodiscard]] tl::unexpected<Error> wrong(std::string_view what) const {
        return fail(Fault::invalid, "regex: {} at byte {} cannot be used; write it without", what,
                    all_.size() - rest_.size());
    }
    char take() {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }
    bool take(std::string_view text) {
        if (!rest_.starts_with(text)) {
            return false;
        }
        rest_.remove_prefix(text.size());
        return true;
    }

    Status alternatives() {
        TRILANE_TRY_STATUS(sequence());
        while (take("|")) {
            out_ += " | ";
            TRILANE_TRY_STATUS(sequence());
        }
        return {};
    }

    Status sequence() {
        bool any = false;
        while (!rest_.empty() && rest_.front() != '|' && rest_.front() != ')') {
            out_ += any ? " " : "";
            any = true;
            TRILANE_TRY_STATUS(item());
        }
        out_ += any ? "" : "\"\"";
        return {};
    }

    Status item() {
        switch (rest_.front()) {
            case '(':
                TRILANE_TRY_STATUS(group());
                break;
            case '[':
                TRILANE_TRY_STATUS(letters());
                break;
            case '.':
                take();
                out_ += "[^\\n]";
                break;
            case '*':
            case '+':
            case '?':
            case '{':
                return wrong("a count of nothing");
            case '^':
            case '$':
                return wrong("an anchor inside");
            case '\\':
                TRILANE_TRY_STATUS(escape());
                break;
            default:
                out_ += literal(take_character());
                break;
        }
        return count();
    }

    std::string_view take_character() {
        std::size_t bytes = 1;
        while (bytes < rest_.size() &&
               (static_cast<unsigned char>(rest_[bytes]) & 0xC0U) == 0x80U) {
            ++bytes;
        }
        const std::string_view character = rest_.substr(0, bytes);
        rest_.remove_prefix(bytes);
        return character;
    }

    Status group() {
        take();
        if (take("?") && !take(":")) {
            return wrong("a group with '?' other than (?:");
        }
        if (++depth_ > kRegexDepthMax) {
            return wrong("a group in so many others");
        }
        out_ += '(';
        TRILANE_TRY_STATUS(alternatives());
        if (!take(")")) {
            return wrong("a '(' without its ')'");
        }
        out_ += ')';
        --depth_;
        return {};
    }

    /// The class that a letter behind '\' stands for; "" = none.
    static std::string_view class_of(char c) {
        switch (c) {
            case 'd':
            case 'D':
                return kDigits;
            case 'w':
            case 'W':
                return kLetters;
            case 's':
            case 'S':
                return kBlanksRule;
            default:
                return {};
        }
    }

    /// The byte that an escape stands for. **Errors:** invalid.
    Result<char> escaped_byte() {
        if (rest_.empty()) {
            return wrong("a '\\' at the end");
        }
        const char c = take();
        switch (c) {
            case 'n':
                return '\n';
            case 't':
                return '\t';
            case 'r':
                return '\r';
            case 'f':
                return '\f';
            case 'v':
                return '\v';
            default:
                break;
        }
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
        if (letter) {
            return wrong(fmt::format("the escape \\{}", c));
        }
        return c;
    }

    Status escape() {
        take();
        if (!rest_.empty() && !class_of(rest_.front()).empty()) {
            const char c = take();
            out_ += c >= 'a' ? "[" : "[^";
            out_ += class_of(c);
            out_ += ']';
            return {};
        }
        TRILANE_TRY(const char byte, escaped_byte());
        out_ += literal(std::string_view(&byte, 1));
        return {};
    }

    Status letters() {
        take();
        out_ += take("^") ? "[^" : "[";
        bool first = true;
        while (!rest_.empty() && (first || rest_.front() != ']')) {
            if (rest_.starts_with("[:")) {
                return wrong("a named class [:…:]");
            }
            if (rest_.front() != '\\') {
                append_class_character();
            } else {
                take();
                TRILANE_TRY_STATUS(class_escape());
            }
            first = false;
        }
        if (rest_.empty()) {
            return wrong("a '[' without its ']'");
        }
        take();
        out_ += ']';
        return {};
    }

    void append_class_character() {
        for (const char c : take_character()) {
            // A '-' at either end is itself, in the grammar as in the expression.
            append_byte(out_, c);
        }
    }

    Status class_escape() {
        if (!rest_.empty() && !class_of(rest_.front()).empty()) {
            const char c = take();
            if (c < 'a') {
                return wrong(fmt::format("\\{} inside a class", c));
            }
            out_ += class_of(c);
            return {};
        }
        TRILANE_TRY(const char byte, escaped_byte());
        if (byte == '-') {
            out_ += "\\x2D";
        } else if (byte == '^') {
            out_ += "\\x5E";
        } else {
            append_byte(out_, byte);
        }
        return {};
    }

    Status count() {
        if (take("*") || take("+") || take("?")) {
            out_ += *(rest_.data() - 1);
        } else if (rest_.starts_with('{')) {
            TRILANE_TRY_STATUS(braces());
        } else {
            return {};
        }
        if (take("+")) {
            return wrong("a possessive count");
        }
        take("?");  // which match is the shortest is no matter: the whole answer matches
        if (!rest_.empty() && (rest_.front() == '*' || rest_.front() == '{')) {
            return wrong("a count of a count");
        }
        return {};
    }

    Result<unsigned> digits() {
        unsigned value = 0;
        while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
            value = value * 10 + static_cast<unsigned>(take() - '0');
            if (value > kRegexRepeatMax) {
                return wrong(fmt::format("a count beyond {}", kRegexRepeatMax));
            }
        }
        return value;
    }

    Status braces() {
        take();
        if (rest_.empty() || rest_.front() < '0' || rest_.front() > '9') {
            return wrong("a '{' that is no count");
        }
        TRILANE_TRY(const unsigned least, digits());
        if (take("}")) {
            out_ += fmt::format("{{{}}}", least);
            return {};
        }
        if (!take(",")) {
            return wrong("a '{' that is no count");
        }
        if (take("}")) {
            out_ += fmt::format("{{{},}}", least);
            return {};
        }
        TRILANE_TRY(const unsigned most, digits());
        if (!take("}") || most < least) {
            return wrong("a '{' that is no count");
        }
        out_ += fmt::format("{{{},{}}}", least, most);
        return {};
    }

    const std::string_view all_;
    std::string_view rest_;
    std::string out_;
    unsigned depth_ = 0;
};

}  // namespace

std::string grammar_of_choices(const std::vector<std::string>& choices) {
    std::string out = "root ::= ";
    for (std::size_t i = 0; i < choices.size(); ++i) {
        out += (i == 0 ? "" : " | ") + literal(choices[i]);
    }
    return out;
}

Result<std::string> grammar_of_regex(std::string_view regex) {
    return RegexReader(regex).read();
}

}  // namespace trilane::lane::upstream
