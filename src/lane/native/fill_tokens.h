// FillTokens: the tokens by which a model of code is asked for a text between two others.
#pragma once

#include <optional>

#include "token/tokenizer.h"

namespace trilane::gguf {
class File;
}

namespace trilane::lane {

/// A prompt is `before`, the text before, `behind`, the text behind, `middle`; then the answer.
struct FillTokens {
    token::Id before = 0;
    token::Id behind = 0;
    token::Id middle = 0;
};

/// By the file's own word, or by the names that models give them; nothing for models without.
std::optional<FillTokens> fill_tokens_of(const gguf::File& file, const token::Tokenizer& tokenizer);

}  // namespace trilane::lane
