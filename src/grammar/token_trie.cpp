#include "grammar/token_trie.h"

#include <algorithm>

#include "grammar/builder.h"

namespace trilane::grammar {
namespace {

/// The half's nodes from its tokens in the order of their bytes.
TokenTrie::Half half_of(const std::vector<std::string>& texts, const std::vector<token::Id>& ids) {
    TokenTrie::Half half;
    std::vector<std::uint32_t> path;  // nodes that lead to the last token
    std::string_view last;
    const auto close = [&](std::size_t depth) {
        while (path.size() > depth) {
            half.nodes[path.back()].skip = static_cast<std::uint32_t>(half.nodes.size());
            path.pop_back();
        }
    };
    for (const token::Id id : ids) {
        const std::string& text = texts[static_cast<std::size_t>(id)];
        const auto shared = static_cast<std::size_t>(
            std::mismatch(text.begin(), text.end(), last.begin(), last.end()).first - text.begin());
        close(shared);
        for (std::size_t i = shared; i < text.size(); ++i) {
            path.push_back(static_cast<std::uint32_t>(half.nodes.size()));
            half.nodes.push_back(
                {0, 0, 0, static_cast<std::uint16_t>(i + 1), static_cast<std::uint8_t>(text[i])});
        }
        TokenTrie::Node& node = half.nodes[path.back()];
        if (node.tokens == 0) {
            node.tokens_at = static_cast<std::uint32_t>(half.ids.size());
        }
        ++node.tokens;
        half.ids.push_back(id);
        half.depth_max = std::max(half.depth_max, text.size());
        last = text;
    }
    close(0);
    return half;
}

}  // namespace

TokenTrie::TokenTrie(const token::Tokenizer& tokenizer) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < tokenizer.size(); ++i) {
        const auto id = static_cast<token::Id>(i);
        if (tokenizer.is_end(id)) {
            ends_.push_back(id);
            texts.emplace_back();
        } else if (tokenizer.is_control(id)) {
            texts.push_back(token_mark(id));
        } else {
            texts.push_back(tokenizer.bytes_of(id, false));
            // Such a byte is in no text, and nothing may spell a mark byte by byte.
            if (texts.back().find('\xFF') != std::string::npos) {
                texts.back().clear();
            }
        }
    }
    build(texts);
}

TokenTrie::TokenTrie(std::vector<std::string> texts, std::vector<token::Id> ends)
    : ends_(std::move(ends)) {
    std::sort(ends_.begin(), ends_.end());
    for (const token::Id id : ends_) {
        texts[static_cast<std::size_t>(id)].clear();
    }
    build(texts);
}

void TokenTrie::build(const std::vector<std::string>& texts) {
    std::vector<token::Id> short_ids;
    std::vector<token::Id> long_ids;
    texts_at_.push_back(0);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::size_t bytes = texts[i].size();
        if (bytes > 0 && bytes <= kTokenBytesMax) {
            (bytes <= kShortTokenBytes ? short_ids : long_ids).push_back(static_cast<token::Id>(i));
            texts_ += texts[i];
        }
        texts_at_.push_back(static_cast<std::uint32_t>(texts_.size()));
    }
    const auto by_text = [&](token::Id a, token::Id b) {
        const int order =
            texts[static_cast<std::size_t>(a)].compare(texts[static_cast<std::size_t>(b)]);
        return order != 0 ? order < 0 : a < b;
    };
    std::sort(short_ids.begin(), short_ids.end(), by_text);
    std::sort(long_ids.begin(), long_ids.end(), by_text);
    short_ = half_of(texts, short_ids);
    long_ = half_of(texts, long_ids);
}

std::string_view TokenTrie::bytes_of(token::Id id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= size()) {
        return {};
    }
    const auto i = static_cast<std::size_t>(id);
    return std::string_view(texts_).substr(texts_at_[i], texts_at_[i + 1] - texts_at_[i]);
}

bool TokenTrie::is_end(token::Id id) const {
    return std::binary_search(ends_.begin(), ends_.end(), id);
}

std::optional<token::Id> TokenTrie::longest_beginning(std::string_view text) const {
    std::optional<token::Id> longest;
    std::size_t node = 0;
    std::size_t end = short_.nodes.size();
    for (const char c : text) {
        while (node < end && short_.nodes[node].byte != static_cast<std::uint8_t>(c)) {
            node = short_.nodes[node].skip;
        }
        if (node >= end) {
            break;
        }
        const Node& found = short_.nodes[node];
        if (found.tokens > 0) {
            longest = short_.ids[found.tokens_at];
        }
        end = found.skip;
        ++node;
    }
    return longest;
}

}  // namespace trilane::grammar
