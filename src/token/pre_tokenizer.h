// PreTokenizer: cuts text into the words that byte-level BPE may not merge across, by the regular
// expressions of the model's family. The families are one table in the .cpp; PCRE2 does not leak.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trilane::token {

/// Who takes the words, in the order of the text.
class WordSink {
public:
    virtual ~WordSink() = default;
    virtual void word(std::string_view text) = 0;
};

class PreTokenizer {
public:
    /// Steps that one match may take; beyond, the text is cut there instead.
    static constexpr std::uint32_t kMatchLimit = 10'000'000;

    /// The pre-tokenizer that files call `name`; an empty name is one that the file does not say.
    /// **Errors:** invalid when it is not known: the message names it and the known ones.
    static Result<PreTokenizer> create(std::string_view name,
                                       std::uint32_t match_limit = kMatchLimit);
    PreTokenizer(PreTokenizer&&) noexcept;
    PreTokenizer& operator=(PreTokenizer&&) noexcept;
    ~PreTokenizer();

    /// Gives `sink` the words of `text` (valid UTF-8): together they are `text` again.
    /// **Threads:** any number at once.
    void split(std::string_view text, WordSink& sink) const;

    /// A word that is an entry is that entry, whatever the merges would make of it.
    [[nodiscard]] bool takes_whole_words() const;
    /// What the family does when the file does not say.
    [[nodiscard]] bool adds_bos() const;

private:
    struct Compiled;
    explicit PreTokenizer(std::unique_ptr<Compiled> compiled);
    std::unique_ptr<Compiled> compiled_;
};

}  // namespace trilane::token
