// BERT's WordPiece: text is cleaned, stripped of accents and lower-cased, cut at white space,
// punctuation and ideographs, and each word is spelled with the longest entries from its left.
// Source: the behaviour of the models' own BertNormalizer (full canonical decomposition, only
// nonspacing marks go); readers that decompose Hangul to its first letter differ there.
#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "token/families.h"
#include "token/vocabulary_tokenizer.h"

namespace trilane::token {
namespace {

constexpr std::string_view kWordStart = "\xE2\x96\x81";
/// Longer words are one unknown token. Source: max_input_chars_per_word of BERT's tokenizers.
constexpr std::size_t kWordCharactersMax = 100;
/// No character of Unicode decomposes into more than this (18 is the longest compatibility one).
constexpr std::size_t kDecomposedMax = 32;

bool is_space(utf8proc_int32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

bool is_ideograph(utf8proc_int32_t c) {
    // The third last range starts at U+2B920 in the reference, not where the block does.
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

/// Controls, formats, surrogates, private and unassigned: text that BERT never saw.
bool is_other(utf8proc_category_t category) {
    return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_CS || category == UTF8PROC_CATEGORY_CO ||
           category == UTF8PROC_CATEGORY_CN;
}

bool is_punctuation(utf8proc_int32_t c, utf8proc_category_t category) {
    if (c < 0x80) {
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
               (c >= '{' && c <= '~');
    }
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

void append_utf8(utf8proc_int32_t c, std::string& text) {
    std::array<utf8proc_uint8_t, 4> bytes{};
    const utf8proc_ssize_t count = utf8proc_encode_char(c, bytes.data());
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
        text.push_back(static_cast<char>(bytes[static_cast<std::size_t>(i)]));
    }
}

class WordPiece final : public VocabularyTokenizer {
public:
    WordPiece(Vocabulary vocabulary, Conventions conventions)
        : VocabularyTokenizer(std::move(vocabulary), std::move(conventions)),
          lower_case_(this->vocabulary().lower_case.value_or(true)),
          strip_accents_(this->vocabulary().strip_accents.value_or(lower_case_)) {
        for (const std::string_view entry : this->vocabulary().entries) {
            entry_bytes_max_ = std::max(entry_bytes_max_, entry.size());
        }
    }

protected:
    void encode_text(std::string_view text, std::vector<Id>& ids) const override {
        Words words{*this, ids, std::string(kWordStart), 0};
        const auto* from = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
        auto left = static_cast<utf8proc_ssize_t>(text.size());
        while (left > 0) {
            utf8proc_int32_t c = 0;
            const utf8proc_ssize_t bytes = utf8proc_iterate(from, left, &c);
            if (bytes <= 0) {
                break;  // not reached: the text is valid
            }
            from += bytes;
            left -= bytes;
            take(c, words);
        }
        words.end();
    }

    void append_text_of(Id id, std::string& text) const override {
        const std::string_view stored = entry(id);
        if (stored.starts_with(kWordStart)) {
            text.append(" ").append(stored.substr(kWordStart.size()));
        } else {
            text.append(stored);
        }
    }

private:
    /// The word that is being collected, and where its ids go.
    struct Words {
        const WordPiece& pieces;
        std::vector<Id>& ids;
        std::string text;
        std::size_t characters;

        void end() {
            if (characters > 0) {
                pieces.spell(text, characters, ids);
            }
            text.resize(kWordStart.size());
            characters = 0;
        }
    };

    /// Decomposes one character where accents are to go, and hands on what is left of it.
    void take(utf8proc_int32_t c, Words& words) const {
        if (!strip_accents_ || c < 0x80) {
            take_decomposed(c, words);
            return;
        }
        std::array<utf8proc_int32_t, kDecomposedMax> parts{};
        int boundary = 0;
        const utf8proc_ssize_t count =
            utf8proc_decompose_char(c, parts.data(), kDecomposedMax, UTF8PROC_DECOMPOSE, &boundary);
        if (count <= 0 || count > static_cast<utf8proc_ssize_t>(kDecomposedMax)) {
            take_decomposed(c, words);
            return;
        }
        // The canonical order of several accents does not matter: all of them are dropped.
        for (utf8proc_ssize_t i = 0; i < count; ++i) {
            take_decomposed(parts[static_cast<std::size_t>(i)], words);
        }
    }

    void take_decomposed(utf8proc_int32_t c, Words& words) const {
        if (is_space(c)) {
            words.end();
            return;
        }
        const utf8proc_category_t category = utf8proc_category(c);
        if (c == 0 || c == 0xFFFD || is_other(category) ||
            (strip_accents_ && category == UTF8PROC_CATEGORY_MN)) {
            return;
        }
        const bool alone = is_punctuation(c, category) || is_ideograph(c);
        if (alone) {
            words.end();
        }
        append_utf8(lower_case_ ? utf8proc_tolower(c) : c, words.text);
        ++words.characters;
        if (alone) {
            words.end();
        }
    }

    /// The longest entry at each place, from the left; a word with a gap is one unknown token.
    void spell(std::string_view word, std::size_t characters, std::vector<Id>& ids) const {
        const std::size_t before = ids.size();
        std::size_t begin = characters > kWordCharactersMax ? std::string_view::npos : 0;
        while (begin < word.size()) {
            std::size_t bytes = std::min(word.size() - begin, entry_bytes_max_);
            Id id = -1;
            for (; bytes > 0; --bytes) {
                id = find_ordinary(word.substr(begin, bytes));
                if (id >= 0) {
                    break;
                }
            }
            if (id < 0) {
                begin = std::string_view::npos;
                break;
            }
            ids.push_back(id);
            begin += bytes;
        }
        if (begin == std::string_view::npos) {
            ids.resize(before);
            if (vocabulary().unknown) {
                ids.push_back(*vocabulary().unknown);
            }
        }
    }

    bool lower_case_;
    bool strip_accents_;
    std::size_t entry_bytes_max_ = 0;
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_wordpiece(Vocabulary vocabulary) {
    Conventions conventions;
    conventions.description = vocabulary.pre.empty()
                                  ? std::string("WordPiece")
                                  : fmt::format("WordPiece ({})", vocabulary.pre);
    conventions.adds_bos = true;
    conventions.adds_separator = true;
    conventions.drops_first_space = true;
    return std::make_shared<const WordPiece>(std::move(vocabulary), std::move(conventions));
}

}  // namespace trilane::token
