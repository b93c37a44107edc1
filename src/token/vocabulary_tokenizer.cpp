// The shared half of every tokenizer.
#include "token/vocabulary_tokenizer.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"

namespace trilane::token {
namespace {

/// Entries that end a text, a turn or a message by name: files often say only one of them in
/// eos_token_id. The last five end a file in models of code.
constexpr std::array<std::string_view, 21> kEndNames = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<turn|>",
    "</s>",
    "<eos>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<end_of_utterance>",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    "<|fim_pad|>",
    "<fim_pad>",
    "<|repo_name|>",
    "<reponame>",
    "<|file_sep|>",
};

std::vector<Id> find_ends(const Vocabulary& vocabulary) {
    std::vector<Id> ends;
    for (const std::optional<Id> id : {vocabulary.eos, vocabulary.eot, vocabulary.eom}) {
        if (id) {
            ends.push_back(*id);
        }
    }
    for (std::size_t i = 0; i < vocabulary.entries.size(); ++i) {
        // An ordinary entry of that name is text: "</s>" also ends an HTML element.
        const Kind kind = vocabulary.kinds[i];
        if ((kind == Kind::control || kind == Kind::user_defined) &&
            std::find(kEndNames.begin(), kEndNames.end(), vocabulary.entries[i]) !=
                kEndNames.end()) {
            ends.push_back(static_cast<Id>(i));
        }
    }
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    return ends;
}

}  // namespace

VocabularyTokenizer::VocabularyTokenizer(Vocabulary vocabulary, Conventions conventions)
    : vocabulary_(std::move(vocabulary)),
      conventions_(std::move(conventions)),
      table_(vocabulary_.entries),
      splitter_(vocabulary_),
      ends_(find_ends(vocabulary_)),
      adds_bos_(vocabulary_.add_bos.value_or(conventions_.adds_bos) && vocabulary_.bos),
      adds_eos_(vocabulary_.add_eos.value_or(false) && vocabulary_.eos),
      adds_separator_(vocabulary_.add_separator.value_or(conventions_.adds_separator) &&
                      vocabulary_.separator) {}

std::vector<Id> VocabularyTokenizer::encode(std::string_view text, EncodeOptions options) const {
    std::vector<Id> ids;
    if (options.add_special && adds_bos_) {
        ids.push_back(*vocabulary_.bos);
    }
    std::string repaired;
    if (!is_valid_utf8(text)) {
        repaired = utf8_repaired(text);
        text = repaired;
    }
    ids.reserve(ids.size() + text.size() / 3);
    while (!text.empty()) {
        const SpecialSplitter::Piece piece = splitter_.next(text, options.parse_special);
        if (!piece.text.empty()) {
            encode_text(piece.text, ids);
        }
        if (piece.id >= 0) {
            ids.push_back(piece.id);
        }
    }
    if (options.add_special && adds_eos_) {
        ids.push_back(*vocabulary_.eos);
    }
    if (options.add_special && adds_separator_) {
        ids.push_back(*vocabulary_.separator);
    }
    return ids;
}

void VocabularyTokenizer::append_bytes_of(Id id, bool render_special, std::string& text) const {
    if (!vocabulary_.holds(id)) {
        return;
    }
    switch (vocabulary_.kind(id)) {
        case Kind::control:
        case Kind::unknown:
            if (render_special) {
                text.append(entry(id));
            }
            break;
        case Kind::user_defined:
            text.append(entry(id));
            break;
        case Kind::normal:
        case Kind::unused:
        case Kind::byte:
            append_text_of(id, text);
            break;
    }
}

std::string VocabularyTokenizer::bytes_of(Id id, bool render_special) const {
    std::string text;
    append_bytes_of(id, render_special, text);
    return text;
}

std::string VocabularyTokenizer::decode(std::span<const Id> ids, bool render_special) const {
    std::string text;
    bool at_start = true;
    for (const Id id : ids) {
        append_bytes_of(id, render_special, text);
        if (at_start && !text.empty()) {
            at_start = false;
            if (conventions_.drops_first_space && vocabulary_.kind(id) == Kind::normal &&
                text.front() == ' ') {
                text.erase(0, 1);
            }
        }
    }
    return text;
}

std::string_view VocabularyTokenizer::entry(Id id) const {
    return vocabulary_.holds(id) ? vocabulary_.entries[static_cast<std::size_t>(id)]
                                 : std::string_view();
}

bool VocabularyTokenizer::is_end(Id id) const {
    return std::binary_search(ends_.begin(), ends_.end(), id);
}

bool VocabularyTokenizer::is_control(Id id) const {
    return vocabulary_.holds(id) && vocabulary_.kind(id) == Kind::control;
}

Id VocabularyTokenizer::ordinary(Id id) const {
    if (id < 0) {
        return -1;
    }
    const Kind kind = vocabulary_.kind(id);
    return kind == Kind::normal || kind == Kind::user_defined || kind == Kind::unused ? id : -1;
}

Id VocabularyTokenizer::find_ordinary(std::string_view text) const {
    return ordinary(table_.find(text));
}

void VocabularyTokenizer::find_ordinary(std::span<const std::string_view> texts,
                                        std::span<Id> ids) const {
    table_.find_all(texts, ids);
    for (Id& id : ids) {
        id = ordinary(id);
    }
}

}  // namespace trilane::token
