// The parser's cursor over tokens: what comes next, take it, or say what was expected. Shared by
// the statement and the expression parser; no grammar here.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/lexer.h"
#include "chat/parser.h"

namespace trilane::chat {

class TokenStream {
public:
    explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    [[nodiscard]] const Token& peek(std::size_t ahead = 0) const {
        return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
    }
    [[nodiscard]] bool is(TokenKind kind) const { return peek().kind == kind; }
    [[nodiscard]] bool is_op(std::string_view op) const { return is(TokenKind::op, op); }
    [[nodiscard]] bool is_name(std::string_view name) const { return is(TokenKind::name, name); }
    /// Takes the next token; the last one, `end`, stays.
    const Token& take() {
        const Token& token = peek();
        next_ = std::min(next_ + 1, tokens_.size() - 1);
        return token;
    }
    bool take_op(std::string_view op) { return is_op(op) && (take(), true); }
    bool take_name(std::string_view name) { return is_name(name) && (take(), true); }

    /// **Errors:** invalid: another token stands there.
    Status expect_op(std::string_view op) {
        return take_op(op) ? Status{} : Status(unexpected(fmt::format("'{}'", op)));
    }
    Result<std::string> expect_name() {
        return is(TokenKind::name) ? Result<std::string>(take().text) : unexpected("a name");
    }
    Status expect(TokenKind kind, std::string_view what) {
        return is(kind) ? (take(), Status{}) : Status(unexpected(what));
    }

    /// "template:1:7: expected a name, found 'in'".
    [[nodiscard]] tl::unexpected<Error> unexpected(std::string_view wanted) const {
        return fail(Fault::invalid, "{}: expected {}, found {}", place(peek().at), wanted, shown());
    }
    template <class... Args>
    [[nodiscard]] static tl::unexpected<Error> error(Position at,
                                                     fmt::format_string<Args...> format,
                                                     Args&&... args) {
        return fail(Fault::invalid, "{}: {}", place(at),
                    fmt::format(format, std::forward<Args>(args)...));
    }

    /// Counts one more level of nesting for as long as it lives.
    class Level {
    public:
        explicit Level(TokenStream& stream) : stream_(stream) { ++stream_.depth_; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;
        ~Level() { --stream_.depth_; }
        [[nodiscard]] Status check() const {
            if (stream_.depth_ > kSourceNestingMax) {
                return error(stream_.peek().at, "nested deeper than {} levels", kSourceNestingMax);
            }
            return {};
        }

    private:
        TokenStream& stream_;
    };

private:
    [[nodiscard]] bool is(TokenKind kind, std::string_view text) const {
        return peek().kind == kind && peek().text == text;
    }
    [[nodiscard]] std::string shown() const {
        switch (peek().kind) {
            case TokenKind::end:
                return "the end of the template";
            case TokenKind::text:
                return "text";
            case TokenKind::variable_begin:
                return "'{{'";
            case TokenKind::variable_end:
                return "'}}'";
            case TokenKind::block_begin:
                return "'{%'";
            case TokenKind::block_end:
                return "'%}'";
            default:
                return fmt::format("'{}'", peek().text);
        }
    }

    std::vector<Token> tokens_;
    std::size_t next_ = 0;
    unsigned depth_ = 0;
};

}  // namespace trilane::chat
