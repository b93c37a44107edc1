// Byte-level BPE: every byte is a letter, so every text has a spelling; words come from the
// pre-tokenizer and are merged by rank.
#include <algorithm>
#include <array>
#include <span>

#include "token/byte_letters.h"
#include "token/families.h"
#include "token/merge.h"
#include "token/pre_tokenizer.h"
#include "token/vocabulary_tokenizer.h"

namespace trilane::token {
namespace {

class ByteBpe final : public VocabularyTokenizer {
public:
    ByteBpe(Vocabulary vocabulary, Conventions conventions, PreTokenizer pre_tokenizer)
        : VocabularyTokenizer(std::move(vocabulary), std::move(conventions)),
          pre_tokenizer_(std::move(pre_tokenizer)),
          pairs_(this->vocabulary().merges.size()) {
        for (std::size_t byte = 0; byte < letters_.size(); ++byte) {
            letters_[byte] = find_ordinary(letter_of_byte(static_cast<std::uint8_t>(byte)));
        }
        add_merges();
    }

protected:
    void encode_text(std::string_view text, std::vector<Id>& ids) const override {
        Words words(*this, ids);
        pre_tokenizer_.split(text, words);
    }

    void append_text_of(Id id, std::string& text) const override {
        append_bytes_of_letters(entry(id), text);
    }

private:
    /// One call of encode_text(): takes the words and owns the memory that they share.
    class Words final : public WordSink {
    public:
        Words(const ByteBpe& bpe, std::vector<Id>& ids) : bpe_(bpe), ids_(ids) {}

        void word(std::string_view text) override {
            for (; text.size() > kWordBytesMax; text.remove_prefix(kWordBytesMax)) {
                merge(text.substr(0, kWordBytesMax));
            }
            merge(text);
        }

    private:
        void merge(std::string_view text) {
            if (bpe_.pre_tokenizer_.takes_whole_words()) {
                spelling_.clear();
                for (const char c : text) {
                    spelling_ += letter_of_byte(static_cast<std::uint8_t>(c));
                }
                if (const Id id = bpe_.find_ordinary(spelling_); id >= 0) {
                    ids_.push_back(id);
                    return;
                }
            }
            merger_.symbols.clear();
            for (std::size_t i = 0; i < text.size(); ++i) {
                const Id id = bpe_.letters_[static_cast<unsigned char>(text[i])];
                merger_.symbols.push_back({static_cast<std::uint32_t>(i), 1, id});
            }
            merger_.run([this](const Symbol& left, const Symbol& right) {
                return bpe_.pairs_.find(left.id, right.id);
            });
            for (const Symbol& symbol : merger_.symbols) {
                // A byte that the vocabulary has no letter for cannot be said in it.
                if (symbol.id >= 0) {
                    ids_.push_back(symbol.id);
                }
            }
        }

        const ByteBpe& bpe_;
        std::vector<Id>& ids_;
        Merger merger_;
        std::string spelling_;
    };

    static constexpr std::size_t kMergesAtOnce = 64;

    void add_merges() {
        const std::span<const std::string_view> merges = vocabulary().merges;
        for (std::size_t first = 0; first < merges.size(); first += kMergesAtOnce) {
            const std::size_t count = std::min(kMergesAtOnce, merges.size() - first);
            add_merges(merges.subspan(first, count), static_cast<std::uint32_t>(first));
        }
    }

    /// Merges whose parts or product have no entry are left out: they could never be said.
    void add_merges(std::span<const std::string_view> merges, std::uint32_t first_rank) {
        std::array<std::string_view, 3 * kMergesAtOnce> texts;  // left, right, product of each
        std::array<Id, 3 * kMergesAtOnce> ids{};
        std::size_t product_bytes = 0;
        for (const std::string_view merge : merges) {
            product_bytes += merge.size();
        }
        std::string products;
        products.reserve(product_bytes);  // once, so that views into it stay good
        for (std::size_t i = 0; i < merges.size(); ++i) {
            // From the second byte on: the first part is never empty, and may be a space itself.
            const std::size_t space = merges[i].find(' ', 1);
            if (space == std::string_view::npos) {
                continue;
            }
            texts[3 * i] = merges[i].substr(0, space);
            texts[3 * i + 1] = merges[i].substr(space + 1);
            const std::size_t begin = products.size();
            products.append(texts[3 * i]).append(texts[3 * i + 1]);
            texts[3 * i + 2] = std::string_view(products).substr(begin);
        }
        find_ordinary(std::span(texts).first(3 * merges.size()),
                      std::span(ids).first(3 * merges.size()));
        for (std::size_t i = 0; i < merges.size(); ++i) {
            pairs_.expect(ids[3 * i], ids[3 * i + 1]);
        }
        for (std::size_t i = 0; i < merges.size(); ++i) {
            if (ids[3 * i] >= 0 && ids[3 * i + 1] >= 0 && ids[3 * i + 2] >= 0) {
                pairs_.add(ids[3 * i], ids[3 * i + 1],
                           {first_rank + static_cast<std::uint32_t>(i), ids[3 * i + 2]});
            }
        }
    }

    PreTokenizer pre_tokenizer_;
    PairTable pairs_;
    std::array<Id, 256> letters_{};
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_byte_bpe(Vocabulary vocabulary) {
    TRILANE_TRY(PreTokenizer pre_tokenizer, PreTokenizer::create(vocabulary.pre));
    Conventions conventions;
    conventions.description =
        vocabulary.pre.empty()
            ? "byte-level BPE (default: the file names no pre-tokenizer, so words may be cut "
              "otherwise than in training)"
            : fmt::format("byte-level BPE ({})", vocabulary.pre);
    conventions.adds_bos = pre_tokenizer.adds_bos();
    return std::make_shared<const ByteBpe>(std::move(vocabulary), std::move(conventions),
                                           std::move(pre_tokenizer));
}

}  // namespace trilane::token
