#include "lane/native/token_answers.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace trilane::lane {
namespace {

Result<job::Event> tokens_of(const job::Tokenize& ask, const PromptWriter& prompts,
                             const token::Tokenizer& tokenizer) {
    job::Tokens tokens;
    TRILANE_TRY(tokens.ids, prompts.text(ask.text, {.add_special = ask.add_special,
                                                    .parse_special = ask.parse_special}));
    for (const token::Id id : tokens.ids) {
        tokens.pieces.push_back(tokenizer.bytes_of(id, true));
    }
    return job::Event(std::move(tokens));
}

Result<job::Event> text_of(const job::Detokenize& ask, const token::Tokenizer& tokenizer) {
    for (const std::int32_t id : ask.ids) {
        if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.size()) {
            return fail(Fault::invalid, "tokens: {} is none of this model's {} tokens", id,
                        tokenizer.size());
        }
    }
    job::Text text;
    text.text = utf8_repaired(tokenizer.decode(ask.ids, true));
    return job::Event(std::move(text));
}

job::Event done(std::size_t tokens) {
    job::Done done;
    done.usage.prompt_tokens = static_cast<std::uint32_t>(tokens);
    return done;
}

}  // namespace

bool is_about_tokens(const job::Request& request) {
    return std::holds_alternative<job::Tokenize>(request.ask) ||
           std::holds_alternative<job::Detokenize>(request.ask) ||
           std::holds_alternative<job::CountTokens>(request.ask);
}

Status answer_about_tokens(const job::Request& request, const PromptWriter& prompts,
                           const token::Tokenizer& tokenizer, const job::EventSink& sink) {
    if (const auto* count = std::get_if<job::CountTokens>(&request.ask)) {
        TRILANE_TRY(const Prompt prompt, prompts.chat(count->chat));
        sink(done(prompt.ids.size()));
        return {};
    }
    if (const auto* ask = std::get_if<job::Tokenize>(&request.ask)) {
        TRILANE_TRY(job::Event tokens, tokens_of(*ask, prompts, tokenizer));
        const std::size_t count = std::get<job::Tokens>(tokens).ids.size();
        sink(std::move(tokens));
        sink(done(count));
        return {};
    }
    const auto& ask = std::get<job::Detokenize>(request.ask);
    TRILANE_TRY(job::Event text, text_of(ask, tokenizer));
    sink(std::move(text));
    sink(done(ask.ids.size()));
    return {};
}

}  // namespace trilane::lane
