// The tokenizer and its white-space control; brackets are its only grammar.
#include "chat/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "chat/parser.h"
#include "chat/unicode.h"

namespace trilane::chat {
namespace {

/// Line ends become \n and the last one goes, as Jinja2 reads a template.
std::string normalized(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            out += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n') {
                ++i;
            }
        } else {
            out += source[i];
        }
    }
    if (!out.empty() && out.back() == '\n') {
        out.pop_back();
    }
    return out;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

bool is_name_char(char c) {
    return is_name_start(c) || is_digit(c);
}

class Lexer {
public:
    explicit Lexer(std::string_view source) : source_(normalized(source)) {}

    Result<std::vector<Token>> run();

private:
    enum class Mark { none, trim, keep };  // what a '-' or '+' in a tag asks for

    [[nodiscard]] bool at(std::string_view text) const { return at(text, pos_); }
    [[nodiscard]] bool at(std::string_view text, std::size_t where) const {
        return std::string_view(source_).substr(where, text.size()) == text;
    }
    [[nodiscard]] std::size_t skip_space(std::size_t where) const;
    [[nodiscard]] std::size_t find_tag(std::size_t from) const;
    Position position(std::size_t offset);
    void push(TokenKind kind, std::size_t offset, std::string text = {});
    template <class... Args>
    tl::unexpected<Error> error(std::size_t offset, fmt::format_string<Args...> format,
                                Args&&... args) {
        return fail(Fault::invalid, "{}: {}", place(position(offset)),
                    fmt::format(format, std::forward<Args>(args)...));
    }

    void push_text(std::size_t begin, std::size_t end, Mark mark, bool lstrip);
    Mark take_mark();
    void finish_tag(Mark mark, bool trim_newline);
    Status comment();
    Result<bool> raw();
    Status inside(bool block);
    Result<bool> tag_end(bool block);
    Status token();
    Status string();
    void number();
    Status symbol();

    std::string source_;
    std::size_t pos_ = 0;
    bool line_starting_ = true;
    std::string brackets_;
    std::vector<Token> tokens_;
    std::size_t known_offset_ = 0;
    Position known_;
};

std::size_t Lexer::skip_space(std::size_t where) const {
    while (where < source_.size()) {
        std::size_t next = where;
        if (!is_space(next_char(source_, next))) {
            break;
        }
        where = next;
    }
    return where;
}

std::size_t Lexer::find_tag(std::size_t from) const {
    for (auto open = source_.find('{', from); open != std::string::npos;
         open = source_.find('{', open + 1)) {
        if (open + 1 < source_.size() &&
            (source_[open + 1] == '{' || source_[open + 1] == '%' || source_[open + 1] == '#')) {
            return open;
        }
    }
    return source_.size();
}

Position Lexer::position(std::size_t offset) {
    if (offset < known_offset_) {
        known_offset_ = 0;
        known_ = {};
    }
    for (; known_offset_ < offset && known_offset_ < source_.size(); ++known_offset_) {
        if (source_[known_offset_] == '\n') {
            ++known_.line;
            known_.column = 1;
        } else {
            ++known_.column;
        }
    }
    return known_;
}

void Lexer::push(TokenKind kind, std::size_t offset, std::string text) {
    tokens_.push_back({kind, std::move(text), position(offset)});
}

void Lexer::push_text(std::size_t begin, std::size_t end, Mark mark, bool lstrip) {
    auto text = std::string_view(source_).substr(begin, end - begin);
    if (mark == Mark::trim) {
        text = strip(text, std::nullopt, false, true);
    } else if (mark == Mark::none && lstrip) {
        const auto line_begin = text.rfind('\n') + 1;  // 0 when there is no line end
        if ((line_begin > 0 || line_starting_) &&
            strip(text.substr(line_begin), std::nullopt, true, false).empty()) {
            text = text.substr(0, line_begin);
        }
    }
    if (!text.empty()) {
        push(TokenKind::text, begin, std::string(text));
    }
}

Lexer::Mark Lexer::take_mark() {
    if (pos_ < source_.size() && (source_[pos_] == '-' || source_[pos_] == '+')) {
        return source_[pos_++] == '-' ? Mark::trim : Mark::keep;
    }
    return Mark::none;
}

void Lexer::finish_tag(Mark mark, bool trim_newline) {
    if (mark == Mark::trim) {
        pos_ = skip_space(pos_);
    } else if (mark == Mark::none && trim_newline && at("\n")) {
        ++pos_;
    }
    line_starting_ = source_[pos_ - 1] == '\n';
}

Status Lexer::comment() {
    const auto end = source_.find("#}", pos_);
    if (end == std::string::npos) {
        return error(pos_, "this comment has no end; close it with #}}");
    }
    const char last = end > pos_ ? source_[end - 1] : ' ';
    pos_ = end + 2;
    finish_tag(last == '-' ? Mark::trim : last == '+' ? Mark::keep : Mark::none, true);
    return {};
}

/// Reads `{% raw %}…{% endraw %}` when the tag at pos_ (after its mark) is one.
Result<bool> Lexer::raw() {
    auto next = skip_space(pos_);
    if (!at("raw", next)) {
        return false;
    }
    next = skip_space(next + 3);
    const bool trim = at("-%}", next);
    if (!trim && !at("%}", next)) {
        return false;
    }
    const auto begin_tag = pos_;
    pos_ = next + (trim ? 3 : 2);
    finish_tag(trim ? Mark::trim : Mark::none, false);
    const auto begin = pos_;
    for (auto open = source_.find("{%", pos_); open != std::string::npos;
         open = source_.find("{%", open + 1)) {
        pos_ = open + 2;
        const Mark mark = take_mark();
        next = skip_space(pos_);
        if (!at("endraw", next)) {
            continue;
        }
        pos_ = skip_space(next + 6);
        const Mark end_mark = take_mark();
        if (!at("%}")) {
            continue;
        }
        push_text(begin, open, mark, true);
        pos_ += 2;
        finish_tag(end_mark, true);
        return true;
    }
    return error(begin_tag, "this raw block has no endraw");
}

Result<bool> Lexer::tag_end(bool block) {
    if (!brackets_.empty()) {
        return false;
    }
    const std::string_view closing = block ? "%}" : "}}";
    Mark mark = Mark::none;
    std::size_t where = pos_;
    if (at("-") || (block && at("+"))) {
        mark = source_[pos_] == '-' ? Mark::trim : Mark::keep;
        ++where;
    }
    if (!at(closing, where)) {
        return false;
    }
    push(block ? TokenKind::block_end : TokenKind::variable_end, pos_);
    pos_ = where + 2;
    finish_tag(mark, block);
    return true;
}

Status Lexer::inside(bool block) {
    const auto begin = pos_;
    while (true) {
        pos_ = skip_space(pos_);
        if (pos_ >= source_.size()) {
            return error(begin, "this tag has no end; close it with {}", block ? "%}" : "}}");
        }
        TRILANE_TRY(const bool done, tag_end(block));
        if (done) {
            return {};
        }
        TRILANE_TRY_STATUS(token());
    }
}

Status Lexer::token() {
    const char c = source_[pos_];
    if (is_digit(c)) {
        number();
        return {};
    }
    if (is_name_start(c)) {
        const auto begin = pos_;
        while (pos_ < source_.size() && is_name_char(source_[pos_])) {
            ++pos_;
        }
        push(TokenKind::name, begin, source_.substr(begin, pos_ - begin));
        return {};
    }
    return c == '\'' || c == '"' ? string() : symbol();
}

void Lexer::number() {
    const auto begin = pos_;
    const auto digits = [&](std::size_t from) {
        while (from < source_.size() && (is_digit(source_[from]) || source_[from] == '_')) {
            ++from;
        }
        return from;
    };
    const bool after_dot = begin > 0 && source_[begin - 1] == '.';
    pos_ = digits(pos_);
    bool real = false;
    if (!after_dot && at(".") && pos_ + 1 < source_.size() && is_digit(source_[pos_ + 1])) {
        pos_ = digits(pos_ + 1);
        real = true;
    }
    if (!after_dot && (at("e") || at("E"))) {
        auto next = pos_ + 1;
        if (at("+", next) || at("-", next)) {
            ++next;
        }
        if (next < source_.size() && is_digit(source_[next])) {
            pos_ = digits(next);
            real = true;
        }
    }
    auto text = source_.substr(begin, pos_ - begin);
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    push(real ? TokenKind::real : TokenKind::integer, begin, std::move(text));
}

Status Lexer::symbol() {
    static constexpr std::array<std::string_view, 26> kSymbols = {
        "**", "//", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (const auto symbol : kSymbols) {
        if (!at(symbol)) {
            continue;
        }
        const auto closing = std::string_view(")]}").find(symbol);
        if (symbol == "(" || symbol == "[" || symbol == "{") {
            brackets_ += symbol;
        } else if (closing != std::string_view::npos) {
            if (brackets_.empty() || brackets_.back() != "([{"[closing]) {
                return error(pos_, "'{}' closes nothing", symbol);
            }
            brackets_.pop_back();
        }
        push(TokenKind::op, pos_, std::string(symbol));
        pos_ += symbol.size();
        return {};
    }
    std::string shown;
    std::size_t next = pos_;
    append_char(shown, next_char(source_, next));
    return error(pos_, "unexpected character '{}'", shown);
}

bool read_digits(std::string_view text, std::size_t& at, std::size_t count, unsigned base,
                 char32_t& value) {
    value = 0;
    for (std::size_t i = 0; i < count; ++i, ++at) {
        const char c = at < text.size() ? text[at] : ' ';
        unsigned digit = 99;
        if (is_digit(c)) {
            digit = static_cast<unsigned>(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = static_cast<unsigned>((c | 0x20) - 'a') + 10;
        }
        if (digit >= base) {
            return false;
        }
        value = value * base + digit;
    }
    return value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
}

/// One escape sequence of a Python string, `at` past the backslash. False when it is malformed.
bool append_escape(std::string& out, std::string_view text, std::size_t& at) {
    static constexpr std::string_view kFrom = "abfnrtv\\'\"";
    static constexpr std::string_view kTo = "\a\b\f\n\r\t\v\\'\"";
    const char c = text[at++];
    if (const auto found = kFrom.find(c); found != std::string_view::npos) {
        out += kTo[found];
        return true;
    }
    if (c == '\n') {
        return true;
    }
    char32_t value = 0;
    if (c == 'x' || c == 'u' || c == 'U') {
        const bool good = read_digits(text, at, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16, value);
        append_char(out, good ? value : U'?');
        return good;
    }
    if (c >= '0' && c <= '7') {
        const auto end = std::min(text.size(), at + 2);  // three digits at most
        for (--at; at < end && text[at] >= '0' && text[at] <= '7'; ++at) {
            value = value * 8 + static_cast<char32_t>(text[at] - '0');
        }
        append_char(out, value);
        return true;
    }
    out += '\\';
    out += c;
    return c != 'N';
}

Status Lexer::string() {
    const auto begin = pos_;
    const char quote = source_[pos_++];
    std::string text;
    while (pos_ < source_.size() && source_[pos_] != quote) {
        if (source_[pos_] != '\\') {
            text += source_[pos_++];
            continue;
        }
        const auto escape = pos_++;
        if (pos_ >= source_.size()) {
            break;
        }
        if (!append_escape(text, source_, pos_)) {
            return error(escape, "this escape sequence is not known");
        }
    }
    if (pos_ >= source_.size()) {
        return error(begin, "this string has no end");
    }
    ++pos_;
    push(TokenKind::string, begin, std::move(text));
    return {};
}

Result<std::vector<Token>> Lexer::run() {
    while (pos_ < source_.size()) {
        const auto begin = pos_;
        const auto open = find_tag(pos_);
        if (open >= source_.size()) {
            push_text(begin, open, Mark::keep, false);
            break;
        }
        const char kind = source_[open + 1];
        pos_ = open + 2;
        const Mark mark = take_mark();
        push_text(begin, open, mark, kind != '{');
        line_starting_ = false;
        if (kind == '#') {
            TRILANE_TRY_STATUS(comment());
            continue;
        }
        if (kind == '%') {
            TRILANE_TRY(const bool was_raw, raw());
            if (was_raw) {
                continue;
            }
        }
        push(kind == '%' ? TokenKind::block_begin : TokenKind::variable_begin, open);
        TRILANE_TRY_STATUS(inside(kind == '%'));
    }
    push(TokenKind::end, source_.size());
    return std::move(tokens_);
}

}  // namespace

std::string place(Position at) {
    return fmt::format("template:{}:{}", at.line, at.column);
}

Result<std::vector<Token>> tokenize(std::string_view source) {
    return Lexer(source).run();
}

}  // namespace trilane::chat
