// AnswerShaper: the events of the HTTP answers to one job → the events of the job. Puts answers
// that were asked for one after the other together, echoes prompts, and cuts what the server could
// not be told to leave away: tokens beyond the limit and stop texts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "job/job.h"
#include "lane/upstream/exchange.h"
#include "lane/upstream/rules.h"

namespace trilane::lane::upstream {

/// Text that comes in pieces → the text before the first of some stop texts.
class StopCutter {
public:
    /// Empty stop texts are ignored.
    explicit StopCutter(const std::vector<std::string>& stop);

    /// Takes a piece and leaves in it what may be sent now.
    void push(job::Text& piece);
    /// What was held back, when the answer ends without a stop text.
    job::Text flush();
    [[nodiscard]] bool stopped() const { return stopped_; }
    /// Which one has cut it.
    [[nodiscard]] const std::string& stop_text() const { return stop_text_; }
    /// Text is held back that may be the beginning of a stop text.
    [[nodiscard]] bool holds() const { return !held_.text.empty(); }

private:
    std::vector<std::string> stop_;
    job::Text held_;  // may be the beginning of a stop text
    bool stopped_ = false;
    std::string stop_text_;
};

class AnswerShaper {
public:
    /// `request` and `rules` must outlive the shaper.
    AnswerShaper(const job::Request& request, const UpstreamRules& rules, job::EventSink sink);
    AnswerShaper(const AnswerShaper&) = delete;
    AnswerShaper& operator=(const AnswerShaper&) = delete;

    Next on_event(job::Event event);

    /// The choice that the next answer is for, where choices are asked for one by one.
    [[nodiscard]] std::uint32_t choice() const { return first_choice_; }
    [[nodiscard]] const Error& failure() const { return failure_; }
    /// Something of the answer has been sent that cannot be taken back.
    [[nodiscard]] bool has_sent_text() const { return has_sent_text_; }
    [[nodiscard]] bool has_started() const { return has_started_; }

private:
    struct Choice {
        explicit Choice(const std::vector<std::string>& stop) : cutter(stop) {}
        StopCutter cutter;
        std::uint32_t tokens = 0;
        bool ended = false;
    };

    void start(job::Started started);
    Next text(job::Text piece);
    Next end(job::ChoiceEnd end);
    Next done(const job::Done& done);
    void add_figures(const job::Done& done);
    /// Where this answer leaves the whole; `running`: the server does not know yet.
    Next complete(bool running);
    [[nodiscard]] std::string_view echoed() const;
    [[nodiscard]] Choice& at(std::uint32_t choice) { return choices_[choice]; }

    const job::Request& request_;
    const bool one_by_one_;
    const bool cut_tokens_;
    const bool cut_stops_;
    job::EventSink sink_;
    std::uint32_t first_choice_ = 0;  // of the answer that is being read
    std::uint32_t choices_ended_ = 0;
    std::vector<Choice> choices_;
    job::Done sum_;
    Error failure_;
    bool has_started_ = false;
    bool has_sent_text_ = false;
};

}  // namespace trilane::lane::upstream
