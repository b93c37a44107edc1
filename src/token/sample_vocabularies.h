// Small vocabularies of each family, made in memory: for tests and fuzzing only.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "token/byte_letters.h"
#include "token/vocabulary.h"

namespace trilane::token::sample {

/// Collects entries and keeps their texts alive for the vocabulary that it gives away.
class Builder {
public:
    Id add(std::string text, Kind kind = Kind::normal, float score = 0) {
        texts_->push_back(std::move(text));
        vocabulary_.entries.emplace_back(texts_->back());
        vocabulary_.kinds.push_back(kind);
        vocabulary_.scores.push_back(score);
        return static_cast<Id>(vocabulary_.entries.size() - 1);
    }
    /// A merge and the entry that it makes, if that is new.
    void add_merge(const std::string& left, const std::string& right) {
        texts_->push_back(left + " " + right);
        vocabulary_.merges.emplace_back(texts_->back());
        for (const std::string_view entry : vocabulary_.entries) {
            if (entry == left + right) {
                return;
            }
        }
        add(left + right);
    }
    Vocabulary& vocabulary() { return vocabulary_; }
    Vocabulary take() {
        vocabulary_.keeper = texts_;
        return std::move(vocabulary_);
    }

private:
    // A deque, so that texts stay where they are.
    std::shared_ptr<std::deque<std::string>> texts_ = std::make_shared<std::deque<std::string>>();
    Vocabulary vocabulary_;
};

/// Ids: 0 <|bos|>, 1 <|end|> (EOS), 2 <|user|>, 3 <tool> (user-defined), 4… the 256 byte letters in
/// byte order, then the merges' products.
inline Vocabulary byte_bpe(std::string pre) {
    Builder builder;
    builder.vocabulary().family = Family::byte_bpe;
    builder.vocabulary().pre = std::move(pre);
    builder.vocabulary().bos = builder.add("<|bos|>", Kind::control);
    builder.vocabulary().eos = builder.add("<|end|>", Kind::control);
    builder.add("<|user|>", Kind::control);
    builder.add("<tool>", Kind::user_defined);
    for (unsigned byte = 0; byte < 256; ++byte) {
        builder.add(std::string(letter_of_byte(static_cast<std::uint8_t>(byte))));
    }
    const std::string space(letter_of_byte(' '));
    builder.add_merge("h", "e");
    builder.add_merge(space, "t");
    builder.add_merge(space + "t", "he");
    builder.add_merge("l", "l");
    builder.add_merge("he", "ll");
    builder.add_merge(space, space);
    builder.add_merge("a", "a");
    builder.add_merge("aa", "aa");
    builder.add_merge("1", "2");
    builder.add_merge("12", "3");
    return builder.take();
}

/// Ids: 0 <unk>, 1 <s>, 2 </s>, 3… the 256 bytes, then characters and words, <|end|> and <tool>.
inline Vocabulary sentencepiece() {
    Builder builder;
    builder.vocabulary().family = Family::sentencepiece;
    builder.vocabulary().unknown = builder.add("<unk>", Kind::unknown);
    builder.vocabulary().bos = builder.add("<s>", Kind::control);
    builder.vocabulary().eos = builder.add("</s>", Kind::control);
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (unsigned byte = 0; byte < 256; ++byte) {
        builder.add(std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">", Kind::byte);
    }
    float score = 0;
    for (const char* word : {"\u2581t", "he",   "\u2581the", "ll",     "hell", "\u2581\u2581",
                             "aa",      "aaaa", "\u2581a",   "\u2581", "a",    "e",
                             "h",       "l",    "o",         "t",      "r",    "<",
                             "s",       ">"}) {
        builder.add(word, Kind::normal, score--);
    }
    builder.add("<|end|>", Kind::control);
    builder.add("<tool>", Kind::user_defined);
    return builder.take();
}

/// Ids: 0 [PAD], 1 [UNK], 2 [CLS], 3 [SEP], then word starts and continuations.
inline Vocabulary wordpiece() {
    Builder builder;
    builder.vocabulary().family = Family::wordpiece;
    builder.add("[PAD]", Kind::control);
    builder.vocabulary().unknown = builder.add("[UNK]", Kind::control);
    builder.vocabulary().bos = builder.add("[CLS]", Kind::control);
    builder.vocabulary().separator = builder.add("[SEP]", Kind::control);
    for (const char* word :
         {"\u2581the", "\u2581he", "ll", "o", "\u2581cafe", "\u2581.", "\u2581a", "a",
          "\u2581\u4e2d", "\u2581\u6587", "\u2581[", "\u2581]", "\u2581unk", "ing"}) {
        builder.add(word);
    }
    return builder.take();
}

}  // namespace trilane::token::sample
