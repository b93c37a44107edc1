// Constraint: what an answer must be → a grammar over the model's tokens. Formats that the client
// asked for, and calls that it wants made. A model that thinks may do so first: the thoughts are
// free, what follows them is not.
#pragma once

#include "base/result.h"
#include "grammar/grammar.h"
#include "job/job.h"
#include "lane/native/answer_assembler.h"
#include "lane/native/prompt.h"
#include "token/tokenizer.h"

namespace trilane::lane {

/// Calls that one answer may be made to hold, where several are welcome.
inline constexpr std::uint32_t kForcedCallsMax = 8;

/// Null when the answer may be anything. With tools that may be called, a format is that of the
/// answer's text: it is either that or calls. Arguments keep to the schema of their tool where the
/// grammar can promise it, else they are any JSON object.
/// **Errors:** invalid: a format that cannot be kept to, a tool that must be called and is not
/// among the tools.
Result<grammar::Compiled> constraint_of(const job::Request& request, const Prompt& prompt,
                                        const AnswerForm& form, const token::Tokenizer& tokenizer);

}  // namespace trilane::lane
