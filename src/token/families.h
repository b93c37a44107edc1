// The three families and the one place that chooses among them.
#pragma once

#include <memory>

#include "base/result.h"
#include "token/tokenizer.h"
#include "token/vocabulary.h"

namespace trilane::token {

/// Byte-level BPE: letters for bytes, a pre-tokenizer, ranked merges.
/// **Errors:** invalid for a pre-tokenizer it does not know (named, with the known ones).
Result<std::shared_ptr<const Tokenizer>> make_byte_bpe(Vocabulary vocabulary);
/// SentencePiece's BPE: scored entries, "▁" for space, bytes for what has no entry.
Result<std::shared_ptr<const Tokenizer>> make_sentencepiece(Vocabulary vocabulary);
/// BERT's WordPiece, with word starts marked by "▁" as GGUF has them.
Result<std::shared_ptr<const Tokenizer>> make_wordpiece(Vocabulary vocabulary);

/// The tokenizer of `vocabulary.family`, after checking what all of them rely on.
/// **Errors:** corrupt for vocabularies that contradict themselves; those of the families.
Result<std::shared_ptr<const Tokenizer>> make_tokenizer(Vocabulary vocabulary);

}  // namespace trilane::token
