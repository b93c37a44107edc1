// The search of SpecialSplitter.
#include "token/special_splitter.h"

#include <algorithm>
#include <functional>

namespace trilane::token {
namespace {

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/// The exceptions of Phi-3's own tokenizer to its rule.
bool keeps_space_after(std::string_view text) {
    return text == "<unk>" || text == "<s>" || text == "<|endoftext|>";
}

}  // namespace

SpecialSplitter::SpecialSplitter(const Vocabulary& vocabulary) {
    for (std::size_t i = 0; i < vocabulary.entries.size(); ++i) {
        const Kind kind = vocabulary.kinds[i];
        const std::string_view text = vocabulary.entries[i];
        const bool control = kind == Kind::control || kind == Kind::unknown;
        if (text.empty() || (!control && kind != Kind::user_defined)) {
            continue;
        }
        texts_.push_back(text);
        specials_.push_back({static_cast<Id>(i), control,
                             vocabulary.trims_after_special && !keeps_space_after(text)});
        lengths_[static_cast<unsigned char>(text.front())].push_back(text.size());
    }
    table_ = EntryTable(texts_);
    for (std::vector<std::size_t>& lengths : lengths_) {
        std::sort(lengths.begin(), lengths.end(), std::greater<>());
        lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
    }
}

const SpecialSplitter::Special* SpecialSplitter::at_front(std::string_view text,
                                                          bool control) const {
    for (const std::size_t length : lengths_[static_cast<unsigned char>(text.front())]) {
        if (length > text.size()) {
            continue;
        }
        const std::int32_t index = table_.find(text.substr(0, length));
        if (index == EntryTable::kAbsent) {
            continue;
        }
        const Special& special = specials_[static_cast<std::size_t>(index)];
        if (control || !special.control) {
            return &special;
        }
    }
    return nullptr;
}

SpecialSplitter::Piece SpecialSplitter::next(std::string_view& rest, bool control) const {
    for (std::size_t i = 0; i < rest.size(); ++i) {
        const Special* special = at_front(rest.substr(i), control);
        if (special == nullptr) {
            continue;
        }
        const Piece piece{rest.substr(0, i), special->id};
        const auto index = static_cast<std::size_t>(special - specials_.data());
        rest.remove_prefix(i + texts_[index].size());
        while (special->trims_after && !rest.empty() && is_space(rest.front())) {
            rest.remove_prefix(1);
        }
        return piece;
    }
    const Piece piece{rest, -1};
    rest = {};
    return piece;
}

}  // namespace trilane::token
