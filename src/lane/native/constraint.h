// Constraint: what an answer must be → a grammar over the model's tokens. Formats that the client
// asked for, and calls that it wants made. A model that thinks may do so first: the thoughts are
// free, what follows them is not.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/result.h"
#include "grammar/grammar.h"
#include "job/job.h"
#include "lane/native/answer_assembler.h"
#include "lane/native/prompt.h"
#include "token/tokenizer.h"

namespace trilane::lane {

/// Calls that one answer may be made to hold, where several are welcome and the model was taught to
/// make them; others would go on and on.
inline constexpr std::uint32_t kForcedCallsMax = 8;

/// Null when the answer may be anything. With tools that may be called, a format is that of the
/// answer's text: it is either that or calls. Arguments keep to the schema of their tool where the
/// grammar can promise it, else they are any JSON object.
/// **Errors:** invalid: a format that cannot be kept to, a tool that must be called and is not
/// among the tools.
Result<grammar::Compiled> constraint_of(const job::Request& request, const Prompt& prompt,
                                        const AnswerForm& form, const token::Tokenizer& tokenizer);

/// Whether an answer that is held to a format is brought to its end as its tokens run out. Not
/// where it may be calls of tools: one with half its arguments would be made.
bool ends_in_time(const job::Request& request);

/// The grammars of one model's last requests: agents ask the same over and over, and what a grammar
/// has worked out about tokens is kept with it. **Threads:** any.
class Constraints {
public:
    Constraints(std::shared_ptr<const AnswerForm> form,
                std::shared_ptr<const token::Tokenizer> tokenizer)
        : form_(std::move(form)), tokenizer_(std::move(tokenizer)) {}

    /// As constraint_of().
    Result<grammar::Compiled> of(const job::Request& request, const Prompt& prompt);

private:
    static constexpr std::size_t kKeptMax = 16;

    std::shared_ptr<const AnswerForm> form_;
    std::shared_ptr<const token::Tokenizer> tokenizer_;
    std::mutex mutex_;  // guards what follows; grammars are made without it
    std::deque<std::pair<std::string, grammar::Compiled>> kept_;  // the last used first
};

}  // namespace trilane::lane
