// AnswerAssembler: generated tokens of one choice → what they say: text, thoughts, calls of tools.
// Whole UTF-8 characters only, nothing of a stop text is ever sent, log-probabilities travel with
// the text they belong to.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "job/job.h"
#include "lane/upstream/answer_shaper.h"
#include "reply/reader.h"
#include "token/tokenizer.h"

namespace trilane::lane {

/// How a model's answers are read.
struct AnswerForm {
    reply::Style style;
    std::vector<token::Id> markers;  ///< control tokens that a reader must see; sorted
    bool calls_several = true;       ///< the model was taught to make several calls at once
};

/// The control tokens that answers of that style are marked with; sorted.
std::vector<token::Id> marker_ids(const token::Tokenizer& tokenizer, const reply::Style& style);

class AnswerAssembler {
public:
    /// Without a reader everything is text. `markers` are the control tokens it is shown; they must
    /// outlive the assembler.
    AnswerAssembler(std::shared_ptr<const token::Tokenizer> tokenizer,
                    const std::vector<std::string>& stop,
                    std::optional<reply::ReplyReader> reader = std::nullopt,
                    const std::vector<token::Id>* markers = nullptr);

    /// Adds a token. The returned pieces may be sent now; `has_ended()` says whether they are the
    /// last.
    std::vector<reply::Piece> push(token::Id id, std::optional<job::LogprobEntry> logprob);
    /// What was held back, when generation has ended.
    std::vector<reply::Piece> flush();

    /// A stop text, or the only call that was wanted, has ended the answer.
    [[nodiscard]] bool has_ended() const {
        return cutter_.stopped() || (reader_ && reader_->is_complete());
    }
    /// Which stop text has; "" = none.
    [[nodiscard]] const std::string& stop_text() const { return cutter_.stop_text(); }
    [[nodiscard]] bool has_called() const { return reader_ && reader_->calls() > 0; }

private:
    std::string text_of(token::Id id);
    std::vector<reply::Piece> shaped(std::vector<reply::Piece> pieces, bool last);
    std::vector<reply::Piece> read(std::string text);

    std::shared_ptr<const token::Tokenizer> tokenizer_;
    token::StreamDecoder decoder_;
    upstream::StopCutter cutter_;  // of the answer's text; thoughts and calls may say anything
    std::optional<reply::ReplyReader> reader_;
    const std::vector<token::Id>* markers_;
    std::vector<job::LogprobEntry> logprobs_;  // of tokens that nothing sent has shown
};

}  // namespace trilane::lane
