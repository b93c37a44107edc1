// TokenAnswers: texts as tokens, tokens as text, and how many a conversation is. Answered at once,
// without the engine.
#pragma once

#include "base/result.h"
#include "job/job.h"
#include "lane/native/prompt.h"
#include "token/tokenizer.h"

namespace trilane::lane {

/// Whether the request is one of these.
bool is_about_tokens(const job::Request& request);

/// Sends the events that answer it, Done last.
/// **Errors:** invalid: ids outside the vocabulary, a conversation that cannot be rendered; nothing
/// has been sent then.
Status answer_about_tokens(const job::Request& request, const PromptWriter& prompts,
                           const token::Tokenizer& tokenizer, const job::EventSink& sink);

}  // namespace trilane::lane
