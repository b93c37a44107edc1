// Prompt: a job's ask → the tokens a model reads, through its chat template and tokenizer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chat/template.h"
#include "job/job.h"
#include "token/tokenizer.h"

namespace trilane::gguf {
class File;
}

namespace trilane::lane {

/// What turns asks of one model into tokens. **Threads:** const members may run in several at once.
class PromptWriter {
public:
    /// A template that does not compile is kept as the error that chats will get.
    /// `context_tokens` bounds the texts that are worth tokenizing.
    PromptWriter(const gguf::File& file, std::shared_ptr<const token::Tokenizer> tokenizer,
                 std::uint32_t context_tokens);

    /// What users and tools say is text: names of control tokens in it stay letters. In a
    /// completion's prompt they are tokens.
    /// **Errors:** invalid: no template, the template's own refusal, ids outside the vocabulary.
    [[nodiscard]] Result<std::vector<token::Id>> tokens(const job::Request& request) const;

private:
    [[nodiscard]] Result<std::string> render(const job::Chat& chat) const;
    [[nodiscard]] Result<std::vector<token::Id>> completion_tokens(
        const job::Completion& completion) const;

    [[nodiscard]] Status check_length(std::string_view text) const;
    [[nodiscard]] std::string shielded(std::string_view text) const;
    [[nodiscard]] std::vector<token::Id> encode_shielded(std::string_view text) const;

    std::shared_ptr<const token::Tokenizer> tokenizer_;
    Result<chat::Template> template_;
    std::vector<std::string> control_names_;  // of control tokens, two bytes or longer
    std::uint32_t context_tokens_ = 0;
    std::size_t token_bytes_max_ = 1;
};

}  // namespace trilane::lane
