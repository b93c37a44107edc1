// TextAssembler: generated tokens of one choice → text events. Whole UTF-8 characters only, nothing
// of a stop string is ever sent, log-probabilities travel with the text they belong to.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "job/job.h"
#include "token/tokenizer.h"

namespace trilane::lane {

class TextAssembler {
public:
    TextAssembler(std::shared_ptr<const token::Tokenizer> tokenizer, std::vector<std::string> stop);

    /// Adds a token. The returned text may be sent now; `stopped()` says whether a stop string
    /// ended it.
    job::Text push(token::Id id, std::optional<job::LogprobEntry> logprob);
    /// What was held back, when generation ends without a stop string.
    job::Text flush();
    [[nodiscard]] bool stopped() const { return stopped_; }

private:
    job::Text take(std::size_t bytes);

    token::StreamDecoder decoder_;
    std::vector<std::string> stop_;
    std::string held_;  // complete characters that may be the beginning of a stop string
    std::vector<job::LogprobEntry> held_logprobs_;
    bool stopped_ = false;
};

}  // namespace trilane::lane
