// Prompt: a job's ask → the tokens a model reads, through its chat template and tokenizer.
#pragma once

#include <memory>
#include <optional>
#include <string>
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
    PromptWriter(const gguf::File& file, std::shared_ptr<const token::Tokenizer> tokenizer);

    /// **Errors:** invalid: no template, the template's own refusal, ids outside the vocabulary.
    [[nodiscard]] Result<std::vector<token::Id>> tokens(const job::Request& request) const;

private:
    [[nodiscard]] Result<std::string> render(const job::Chat& chat) const;
    [[nodiscard]] Result<std::vector<token::Id>> completion_tokens(
        const job::Completion& completion) const;

    std::shared_ptr<const token::Tokenizer> tokenizer_;
    Result<chat::Template> template_;
};

}  // namespace trilane::lane
