// Small vocabularies and texts for the tests of this module.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/matcher.h"

namespace trilane::grammar::sample {

/// Every byte by itself, token 256 = the end.
inline std::shared_ptr<const TokenTrie> bytes() {
    static const auto trie = [] {
        std::vector<std::string> texts;
        for (int byte = 0; byte < 256; ++byte) {
            texts.emplace_back(1, static_cast<char>(byte));
        }
        texts.emplace_back();
        return std::make_shared<const TokenTrie>(std::move(texts), std::vector<token::Id>{256});
    }();
    return trie;
}

/// How much of `text` the grammar takes, byte by byte.
inline std::size_t taken(Matcher& matcher, std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!matcher.accept(static_cast<unsigned char>(text[i]))) {
            return i;
        }
    }
    return text.size();
}

/// Whether the whole text is one of the grammar's.
inline bool matches(const Compiled& grammar, std::string_view text) {
    Matcher matcher(grammar, bytes());
    return taken(matcher, text) == text.size() && matcher.may_end();
}

}  // namespace trilane::grammar::sample
