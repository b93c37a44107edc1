// VocabularyTokenizer: what the families share: special tokens, BOS and EOS, ends, decoding by
// entries. A family adds how ordinary text is cut and what an ordinary entry stands for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "token/entry_table.h"
#include "token/special_splitter.h"
#include "token/tokenizer.h"
#include "token/vocabulary.h"

namespace trilane::token {

/// What a family does where the metadata are silent.
struct Conventions {
    std::string description;
    bool adds_bos = false;
    bool adds_separator = false;
    /// Encoding puts a space before the text, so decoding takes one away.
    bool drops_first_space = false;
};

class VocabularyTokenizer : public Tokenizer {
public:
    VocabularyTokenizer(const VocabularyTokenizer&) = delete;
    VocabularyTokenizer& operator=(const VocabularyTokenizer&) = delete;

    [[nodiscard]] std::vector<Id> encode(std::string_view text, EncodeOptions options) const final;
    [[nodiscard]] std::string bytes_of(Id id, bool render_special) const final;
    [[nodiscard]] std::string decode(std::span<const Id> ids, bool render_special) const final;
    [[nodiscard]] std::string_view entry(Id id) const final;
    [[nodiscard]] std::size_t size() const final { return vocabulary_.entries.size(); }
    [[nodiscard]] std::optional<Id> bos() const final { return vocabulary_.bos; }
    [[nodiscard]] std::optional<Id> eos() const final { return vocabulary_.eos; }
    [[nodiscard]] bool adds_bos() const final { return adds_bos_; }
    [[nodiscard]] bool is_end(Id id) const final;
    [[nodiscard]] bool is_control(Id id) const final;
    [[nodiscard]] std::string description() const final { return conventions_.description; }

protected:
    VocabularyTokenizer(Vocabulary vocabulary, Conventions conventions);

    /// Appends the ids of `text`: valid UTF-8, not empty, free of special tokens.
    virtual void encode_text(std::string_view text, std::vector<Id>& ids) const = 0;
    /// Appends what an entry of kind normal, unused or byte stands for.
    virtual void append_text_of(Id id, std::string& text) const = 0;

    [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
    /// The id of an entry that ordinary text may become, or -1: a control token's name in a text
    /// is only letters unless the caller asked to read it.
    [[nodiscard]] Id find_ordinary(std::string_view text) const;
    /// The same for many texts at once.
    void find_ordinary(std::span<const std::string_view> texts, std::span<Id> ids) const;

private:
    [[nodiscard]] Id ordinary(Id id) const;
    void append_bytes_of(Id id, bool render_special, std::string& text) const;

    Vocabulary vocabulary_;
    Conventions conventions_;
    EntryTable table_;
    SpecialSplitter splitter_;
    std::vector<Id> ends_;  // sorted
    bool adds_bos_;
    bool adds_eos_;
    bool adds_separator_;
};

}  // namespace trilane::token
