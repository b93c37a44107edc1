#include "lane/native/fill_tokens.h"

#include <array>
#include <string_view>
#include <unordered_map>

#include "gguf/gguf.h"

namespace trilane::lane {
namespace {

/// Before, behind, middle.
using Names = std::array<std::string_view, 3>;

constexpr std::array<Names, 2> kKeys{
    Names{"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.fim_suf_token_id",
          "tokenizer.ggml.fim_mid_token_id"},
    Names{"tokenizer.ggml.prefix_token_id", "tokenizer.ggml.suffix_token_id",
          "tokenizer.ggml.middle_token_id"},
};

constexpr std::array<Names, 6> kEntries{
    Names{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
    Names{"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
    Names{"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},
    Names{"<\uFF5Cfim\u2581begin\uFF5C>", "<\uFF5Cfim\u2581hole\uFF5C>",
          "<\uFF5Cfim\u2581end\uFF5C>"},
    Names{"\u2581<PRE>", "\u2581<SUF>", "\u2581<MID>"},
    Names{"<PRE>", "<SUF>", "<MID>"},
};

/// The tokens of the names, when `find` knows all three.
template <class Find>
std::optional<FillTokens> all_of(const Names& names, const Find& find) {
    const std::optional<token::Id> before = find(names[0]);
    const std::optional<token::Id> behind = find(names[1]);
    const std::optional<token::Id> middle = find(names[2]);
    if (!before || !behind || !middle) {
        return std::nullopt;
    }
    return FillTokens{*before, *behind, *middle};
}

}  // namespace

std::optional<FillTokens> fill_tokens_of(const gguf::File& file,
                                         const token::Tokenizer& tokenizer) {
    for (const Names& keys : kKeys) {
        const auto found = all_of(keys, [&](std::string_view key) -> std::optional<token::Id> {
            const auto id = file.integer(key);
            return id && *id < tokenizer.size() ? std::optional(static_cast<token::Id>(*id))
                                                : std::nullopt;
        });
        if (found) {
            return found;
        }
    }
    std::unordered_map<std::string_view, token::Id> marks;
    for (std::size_t i = 0; i < tokenizer.size(); ++i) {
        const auto id = static_cast<token::Id>(i);
        const std::string_view entry = tokenizer.entry(id);
        if (entry.ends_with('>') && (entry.starts_with('<') || entry.starts_with("\u2581<"))) {
            marks.emplace(entry, id);
        }
    }
    for (const Names& entries : kEntries) {
        const auto found = all_of(entries, [&](std::string_view entry) -> std::optional<token::Id> {
            const auto id = marks.find(entry);
            return id == marks.end() ? std::nullopt : std::optional(id->second);
        });
        if (found) {
            return found;
        }
    }
    return std::nullopt;
}

}  // namespace trilane::lane
