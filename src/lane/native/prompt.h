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
#include "lane/native/chat_values.h"
#include "lane/native/fill_tokens.h"
#include "reply/style.h"
#include "token/tokenizer.h"

namespace trilane::gguf {
class File;
}

namespace trilane::lane {

/// What a model reads before it answers.
struct Prompt {
    std::vector<token::Id> ids;
    /// The answer goes on inside thoughts that the prompt has begun.
    bool in_thought = false;
    /// The prompt has seen to it that the answer begins at once, without thoughts.
    bool thoughts_are_over = false;
};

/// What turns asks of one model into tokens. **Threads:** const members may run in several at once.
class PromptWriter {
public:
    /// A template that does not compile is kept as the error that chats will get.
    /// `context_tokens` bounds the texts that are worth tokenizing.
    PromptWriter(const gguf::File& file, std::shared_ptr<const token::Tokenizer> tokenizer,
                 std::uint32_t context_tokens);

    /// What users and tools say is text: names of control tokens in it stay letters. In a
    /// completion's prompt they are tokens.
    /// **Errors:** invalid: no template, the template's own refusal, ids outside the vocabulary, a
    /// suffix for a model that cannot fill in.
    [[nodiscard]] Result<Prompt> chat(const job::Chat& chat) const;
    [[nodiscard]] Result<Prompt> completion(const job::Completion& completion) const;
    /// A text as it stands. **Errors:** exhausted when it is too long for any context.
    [[nodiscard]] Result<std::vector<token::Id>> text(std::string_view text,
                                                      token::EncodeOptions options) const;

    /// How this model writes calls and thoughts.
    [[nodiscard]] const reply::Style& style() const { return style_; }
    /// What its chat template can say.
    [[nodiscard]] const TemplateTraits& traits() const { return traits_; }
    [[nodiscard]] bool has_template() const { return template_.has_value(); }
    /// A text between two can be asked for.
    [[nodiscard]] bool fills_in() const { return fill_.has_value(); }

private:
    [[nodiscard]] Result<std::string> render(const job::Chat& chat) const;
    [[nodiscard]] Result<std::string> render_continued(job::Chat chat) const;

    [[nodiscard]] Status check_length(std::string_view text) const;
    [[nodiscard]] std::string shielded(std::string_view text) const;
    [[nodiscard]] std::vector<token::Id> encode_shielded(std::string_view text) const;

    std::shared_ptr<const token::Tokenizer> tokenizer_;
    Result<chat::Template> template_;
    SpecialTexts texts_;
    TemplateTraits traits_;
    reply::Style style_;
    std::optional<FillTokens> fill_;
    std::vector<std::string> control_names_;  // of control tokens, two bytes or longer
    std::uint32_t context_tokens_ = 0;
    std::size_t token_bytes_max_ = 1;
};

}  // namespace trilane::lane
