// Tokenizer: text ⇄ token ids, as the model's own GGUF metadata define it. Families: byte-level BPE
// (gpt-2, llama-bpe, qwen2, deepseek-llm, starcoder), SentencePiece-BPE (llama-spm, phi-3),
// WordPiece (bert-bge). Knows nothing of models or chats.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trilane::gguf {
class File;
}

namespace trilane::token {

using Id = std::int32_t;

struct EncodeOptions {
    /// BOS/EOS (or [CLS]/[SEP]) where the vocabulary asks for them.
    bool add_special = true;
    /// Read "<|end|>" in the text as that token rather than as letters.
    bool parse_special = false;
};

class Tokenizer {
public:
    virtual ~Tokenizer() = default;

    /// Builds the tokenizer that `file` describes; views into `file` may be kept, so it must
    /// outlive the tokenizer (the shared pointer is held).
    /// **Errors:** invalid for families or pre-tokenizers it does not know (named), corrupt for
    /// vocabularies that contradict themselves.
    static Result<std::shared_ptr<const Tokenizer>> from_gguf(
        const std::shared_ptr<const gguf::File>& file);

    /// **Threads:** all const members may be called from any thread at once.
    /// Invalid UTF-8 in `text` is read as U+FFFD.
    [[nodiscard]] virtual std::vector<Id> encode(std::string_view text,
                                                 EncodeOptions options) const = 0;

    /// The bytes a token stands for when it is appended to a text; empty for control tokens unless
    /// `render_special`. Ids outside the vocabulary give "".
    [[nodiscard]] virtual std::string bytes_of(Id id, bool render_special) const = 0;

    /// The text of a whole sequence, as `bytes_of` one by one, less the family's leading-space
    /// rule.
    [[nodiscard]] virtual std::string decode(std::span<const Id> ids,
                                             bool render_special) const = 0;

    /// The token's entry in the vocabulary as stored ("Ġtime", "▁time", "##ing").
    [[nodiscard]] virtual std::string_view entry(Id id) const = 0;

    [[nodiscard]] virtual std::size_t size() const = 0;
    [[nodiscard]] virtual std::optional<Id> bos() const = 0;
    [[nodiscard]] virtual std::optional<Id> eos() const = 0;
    [[nodiscard]] virtual bool adds_bos() const = 0;
    /// End of text, of turn or of message: generation stops here.
    [[nodiscard]] virtual bool is_end(Id id) const = 0;
    [[nodiscard]] virtual bool is_control(Id id) const = 0;
    /// "byte-level BPE (llama-bpe)": for `gguf show` and errors.
    [[nodiscard]] virtual std::string description() const = 0;
};

/// Turns generated tokens into text that can be sent: never half a UTF-8 character.
class StreamDecoder {
public:
    explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer);
    /// The text that became complete with this token; may be empty.
    std::string push(Id id);
    /// What is left at the end, repaired to valid UTF-8.
    std::string flush();

private:
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::string held_;
};

}  // namespace trilane::token
