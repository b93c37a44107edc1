// TokenTrie: a vocabulary's tokens by their bytes, so that all of them are held to a grammar in one
// walk that leaves out what a dead beginning leads to. Built once per tokenizer and shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "token/tokenizer.h"

namespace trilane::grammar {

/// Tokens longer than this are kept apart: they are few, and counting loops need not look as far
/// ahead for the others.
inline constexpr std::size_t kShortTokenBytes = 32;
/// Longer tokens are never allowed; no real vocabulary has them.
inline constexpr std::size_t kTokenBytesMax = 4096;

class TokenTrie {
public:
    /// Nodes in the order of a walk: a node's subtree follows it, up to `skip`.
    struct Node {
        std::uint32_t skip;
        std::uint32_t tokens_at;
        std::uint16_t tokens;
        std::uint16_t depth;  ///< bytes of the text that leads here, 1 …
        std::uint8_t byte;
    };
    struct Half {
        std::vector<Node> nodes;
        std::vector<token::Id> ids;
        std::size_t depth_max = 0;
    };

    explicit TokenTrie(const token::Tokenizer& tokenizer);
    /// For tests: token i is texts[i]; empty ones are never allowed.
    TokenTrie(std::vector<std::string> texts, std::vector<token::Id> ends);

    [[nodiscard]] std::size_t size() const { return texts_at_.size() - 1; }
    [[nodiscard]] std::size_t words() const { return (size() + 63) / 64; }
    [[nodiscard]] std::string_view bytes_of(token::Id id) const;
    [[nodiscard]] std::span<const token::Id> ends() const { return ends_; }
    [[nodiscard]] bool is_end(token::Id id) const;
    /// The longest of the short tokens that `text` begins with.
    [[nodiscard]] std::optional<token::Id> longest_beginning(std::string_view text) const;
    [[nodiscard]] const Half& short_tokens() const { return short_; }
    [[nodiscard]] const Half& long_tokens() const { return long_; }

private:
    void build(const std::vector<std::string>& texts);

    std::string texts_;
    std::vector<std::uint32_t> texts_at_;
    std::vector<token::Id> ends_;  // sorted
    Half short_;
    Half long_;
};

}  // namespace trilane::grammar
