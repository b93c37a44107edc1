// SentencePiece's BPE: spaces become "▁", characters are merged to the entry with the best score,
// and a character without an entry is spelled in byte entries.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "token/families.h"
#include "token/merge.h"
#include "token/vocabulary_tokenizer.h"

namespace trilane::token {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";

/// Scores as ranks: the greater the score, the smaller the rank. NaN comes last.
std::uint32_t rank_of(float score) {
    if (std::isnan(score)) {
        return Merge::kNever - 1;
    }
    const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F);  // -0 becomes 0
    const std::uint32_t ascending = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
    return ~ascending;
}

std::size_t character_bytes(char lead) {
    const auto byte = static_cast<unsigned char>(lead);
    return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// The value of "<0x0A>", or -1.
int byte_of_entry(std::string_view entry) {
    if (entry.size() != 6 || !entry.starts_with("<0x") || entry.back() != '>') {
        return -1;
    }
    int value = 0;
    for (const char c : entry.substr(3, 2)) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

class SentencePiece final : public VocabularyTokenizer {
public:
    SentencePiece(Vocabulary vocabulary, Conventions conventions)
        : VocabularyTokenizer(std::move(vocabulary), std::move(conventions)),
          adds_space_(this->vocabulary().add_space_prefix.value_or(true)) {
        bytes_.fill(-1);
        const Vocabulary& known = this->vocabulary();
        for (std::size_t i = 0; i < known.entries.size(); ++i) {
            const std::string_view entry = known.entries[i];
            entry_bytes_max_ = std::max(entry_bytes_max_, entry.size());
            if (known.kinds[i] == Kind::byte) {
                if (const int byte = byte_of_entry(entry); byte >= 0) {
                    bytes_[static_cast<std::size_t>(byte)] = static_cast<Id>(i);
                }
            } else if (known.kinds[i] == Kind::normal && joins_words(entry)) {
                cuts_words_ = false;
            }
        }
        for (std::size_t c = 0; c < ascii_.size(); ++c) {
            const char character = static_cast<char>(c);
            ascii_[c] = find_ordinary({&character, 1});
        }
    }

protected:
    void encode_text(std::string_view text, std::vector<Id>& ids) const override {
        std::string spaced;
        spaced.reserve(text.size() + text.size() / 2 + kSpace.size());
        if (adds_space_) {
            spaced += kSpace;
        }
        for (const char c : text) {
            c == ' ' ? spaced.append(kSpace) : spaced.append(1, c);
        }
        Merger merger;
        std::string_view rest = spaced;
        while (!rest.empty()) {
            const std::size_t bytes = word_bytes(rest);
            merge(rest.substr(0, bytes), merger, ids);
            rest.remove_prefix(bytes);
        }
    }

    void append_text_of(Id id, std::string& text) const override {
        std::string_view rest = entry(id);
        if (vocabulary().kind(id) == Kind::byte) {
            if (const int byte = byte_of_entry(rest); byte >= 0) {
                text.push_back(static_cast<char>(byte));
            }
            return;
        }
        for (std::size_t at = rest.find(kSpace); at != std::string_view::npos;
             at = rest.find(kSpace)) {
            text.append(rest.substr(0, at)).push_back(' ');
            rest.remove_prefix(at + kSpace.size());
        }
        text.append(rest);
    }

private:
    /// Has this entry a "▁" after something else?
    static bool joins_words(std::string_view entry) {
        while (entry.starts_with(kSpace)) {
            entry.remove_prefix(kSpace.size());
        }
        return entry.find(kSpace) != std::string_view::npos;
    }

    /// How much of `text` can be merged on its own. No entry crosses from a letter to a "▁" as a
    /// rule, so nothing is ever merged over that border and each word can be done by itself.
    [[nodiscard]] std::size_t word_bytes(std::string_view text) const {
        std::size_t end = text.size();
        if (cuts_words_) {
            std::size_t begin = 0;
            while (text.substr(begin).starts_with(kSpace)) {
                begin += kSpace.size();
            }
            end = std::min(end, text.find(kSpace, begin));
        }
        if (end > kWordBytesMax) {
            end = kWordBytesMax;
            while ((static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
                --end;
            }
        }
        return end;
    }

    [[nodiscard]] Id character_id(std::string_view character) const {
        return character.size() == 1 ? ascii_[static_cast<unsigned char>(character.front()) & 0x7FU]
                                     : find_ordinary(character);
    }

    void merge(std::string_view word, Merger& merger, std::vector<Id>& ids) const {
        merger.symbols.clear();
        for (std::size_t i = 0; i < word.size();) {
            const std::size_t bytes = std::min(character_bytes(word[i]), word.size() - i);
            merger.symbols.push_back({static_cast<std::uint32_t>(i),
                                      static_cast<std::uint32_t>(bytes),
                                      character_id(word.substr(i, bytes))});
            i += bytes;
        }
        merger.run([&](const Symbol& left, const Symbol& right) -> Merge {
            const std::size_t bytes = left.bytes + right.bytes;
            const Id id =
                bytes > entry_bytes_max_ ? -1 : find_ordinary(word.substr(left.begin, bytes));
            return id < 0 ? Merge{} : Merge{ranks_at(id), id};
        });
        for (const Symbol& symbol : merger.symbols) {
            if (symbol.id >= 0) {
                ids.push_back(symbol.id);
            } else {
                spell(word.substr(symbol.begin, symbol.bytes), ids);
            }
        }
    }

    [[nodiscard]] std::uint32_t ranks_at(Id id) const {
        return rank_of(vocabulary().scores[static_cast<std::size_t>(id)]);
    }

    /// A character without an entry: its bytes, or one unknown token where those are missing too.
    void spell(std::string_view character, std::vector<Id>& ids) const {
        const std::size_t before = ids.size();
        for (const char c : character) {
            const Id id = bytes_[static_cast<unsigned char>(c)];
            if (id < 0) {
                ids.resize(before);
                if (vocabulary().unknown) {
                    ids.push_back(*vocabulary().unknown);
                }
                return;
            }
            ids.push_back(id);
        }
    }

    bool adds_space_;
    bool cuts_words_ = true;
    std::size_t entry_bytes_max_ = 0;
    std::array<Id, 256> bytes_{};
    std::array<Id, 128> ascii_{};
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_sentencepiece(Vocabulary vocabulary) {
    if (vocabulary.scores.size() != vocabulary.entries.size()) {
        return fail(Fault::corrupt, "{} scores for {} entries", vocabulary.scores.size(),
                    vocabulary.entries.size());
    }
    Conventions conventions;
    conventions.description = vocabulary.trims_after_special ? "SentencePiece BPE (phi-3)"
                                                             : "SentencePiece BPE (llama-spm)";
    conventions.adds_bos = true;
    conventions.drops_first_space = vocabulary.add_space_prefix.value_or(true);
    return std::make_shared<const SentencePiece>(std::move(vocabulary), std::move(conventions));
}

}  // namespace trilane::token
