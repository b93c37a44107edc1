#include "lane/upstream/answer_shaper.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/utf8.h"

namespace trilane::lane::upstream {
namespace {

/// Length of the longest suffix of `text` that is a proper prefix of `stop`.
std::size_t begun(std::string_view text, std::string_view stop) {
    for (std::size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n) {
        if (text.ends_with(stop.substr(0, n))) {
            return n;
        }
    }
    return 0;
}

std::uint32_t tokens_of(const job::Text& piece) {
    return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(piece.logprobs.size()));
}

}  // namespace

StopCutter::StopCutter(const std::vector<std::string>& stop) {
    std::ranges::copy_if(stop, std::back_inserter(stop_), [](const auto& s) { return !s.empty(); });
}

void StopCutter::push(job::Text& piece) {
    held_.text += piece.text;
    std::ranges::move(piece.logprobs, std::back_inserter(held_.logprobs));
    piece.logprobs.clear();
    std::size_t end = std::string::npos;
    for (const std::string& stop : stop_) {
        if (const std::size_t at = held_.text.find(stop); at < end) {
            end = at;
            stop_text_ = stop;
        }
    }
    if (end != std::string::npos) {
        stopped_ = true;
        held_.text.resize(end);
    } else {
        std::size_t keep = 0;
        for (const std::string& stop : stop_) {
            keep = std::max(keep, begun(held_.text, stop));
        }
        end =
            utf8_complete_prefix(std::string_view(held_.text).substr(0, held_.text.size() - keep));
    }
    piece.text.assign(held_.text, 0, end);
    held_.text.erase(0, end);
    if (held_.text.empty() || !piece.text.empty()) {
        piece.logprobs.swap(held_.logprobs);
    }
}

job::Text StopCutter::flush() {
    return std::exchange(held_, {});
}

AnswerShaper::AnswerShaper(const job::Request& request, const UpstreamRules& rules,
                           job::EventSink sink)
    : request_(request),
      one_by_one_(rules.single_choice && request.choices > 1),
      cut_tokens_(request.max_tokens && *request.max_tokens < rules.max_tokens_min),
      cut_stops_(rules.stops_ignored && !request.stop.empty()),
      sink_(std::move(sink)) {
    const std::vector<std::string> none;
    choices_.assign(request.choices, Choice(cut_stops_ ? request.stop : none));
}

Next AnswerShaper::on_event(job::Event event) {
    if (auto* piece = std::get_if<job::Text>(&event)) {
        piece->choice += first_choice_;
        return text(std::move(*piece));
    }
    if (auto* call = std::get_if<job::ToolCallPiece>(&event)) {
        call->choice += first_choice_;
        if (!at(call->choice).ended) {
            has_sent_text_ = true;
            sink_(std::move(event));
        }
        return Next::more;
    }
    if (const auto* started = std::get_if<job::Started>(&event)) {
        start(*started);
        return Next::more;
    }
    if (auto* last = std::get_if<job::ChoiceEnd>(&event)) {
        return end({last->choice + first_choice_, last->reason, std::move(last->stop_text)});
    }
    if (const auto* last = std::get_if<job::Done>(&event)) {
        add_figures(*last);
        return complete(false);
    }
    failure_ = std::move(std::get<job::Failed>(event).error);
    return Next::failed;
}

/// The prompt, where the answer is to begin with it and no server is asked to.
std::string_view AnswerShaper::echoed() const {
    const auto* completion = std::get_if<job::Completion>(&request_.ask);
    if (completion == nullptr || !completion->echo) {
        return {};
    }
    const auto* prompt = std::get_if<std::string>(&completion->prompt);
    return prompt == nullptr ? std::string_view() : std::string_view(*prompt);
}

void AnswerShaper::start(job::Started started) {
    if (std::exchange(has_started_, true)) {
        return;
    }
    sink_(started);
    const std::string_view prompt = echoed();
    for (std::uint32_t i = 0; !prompt.empty() && i < choices_.size(); ++i) {
        sink_(job::Text{i, std::string(prompt), false, {}});
    }
}

Next AnswerShaper::text(job::Text piece) {
    Choice& choice = at(piece.choice);
    if (choice.ended) {
        return Next::more;
    }
    const std::uint32_t before = choice.tokens;
    choice.tokens += tokens_of(piece);
    if (cut_tokens_ && before >= *request_.max_tokens) {
        return Next::more;
    }
    // A stop text ends the answer, not the thoughts before it.
    if (cut_stops_ && !piece.reasoning) {
        choice.cutter.push(piece);
    }
    const std::uint32_t index = piece.choice;
    if (!piece.text.empty() || !piece.logprobs.empty()) {
        has_sent_text_ = true;
        sink_(std::move(piece));
    }
    return choice.cutter.stopped()
               ? end({index, job::FinishReason::stop, choice.cutter.stop_text()})
               : Next::more;
}

Next AnswerShaper::end(job::ChoiceEnd end) {
    const std::uint32_t index = end.choice;
    Choice& choice = at(index);
    if (std::exchange(choice.ended, true)) {
        return Next::more;
    }
    if (cut_tokens_ && choice.tokens > *request_.max_tokens) {
        end.reason = job::FinishReason::length;
    }
    const bool stopped = choice.cutter.stopped();
    if (!stopped) {
        job::Text rest = choice.cutter.flush();
        if (!rest.text.empty() || !rest.logprobs.empty()) {
            rest.choice = index;
            sink_(std::move(rest));
        }
    }
    sink_(std::move(end));
    ++choices_ended_;
    const bool last_here = one_by_one_ || choices_ended_ == choices_.size();
    if (!stopped || !last_here) {
        return Next::more;
    }
    // The server would go on, and tell what it read only at its own end: unknown.
    job::Done done;
    for (const Choice& one : choices_) {
        const bool here = !one_by_one_ || &one == &choice;
        done.usage.completion_tokens += here ? one.tokens : 0;
    }
    done.timings.predicted_tokens = done.usage.completion_tokens;
    add_figures(done);
    return complete(true);
}

void AnswerShaper::add_figures(const job::Done& done) {
    const bool first = first_choice_ == 0;
    job::Usage& usage = sum_.usage;
    job::Timings& timings = sum_.timings;
    if (first || usage.prompt_tokens == 0) {
        usage.prompt_tokens = done.usage.prompt_tokens;
        usage.cached_tokens = done.usage.cached_tokens;
    }
    if (first) {
        timings.prompt_tokens = done.timings.prompt_tokens;
        timings.prompt_ms = done.timings.prompt_ms;
    }
    std::uint32_t tokens = done.usage.completion_tokens;
    if (cut_tokens_) {
        const std::uint32_t choices = one_by_one_ ? 1 : request_.choices;
        tokens = std::min(tokens, *request_.max_tokens * choices);
    }
    usage.completion_tokens += tokens;
    timings.predicted_tokens += done.timings.predicted_tokens;
    timings.predicted_ms += done.timings.predicted_ms;
}

Next AnswerShaper::complete(bool running) {
    if (one_by_one_ && first_choice_ + 1 < choices_.size()) {
        ++first_choice_;
        return running ? Next::enough_of_this : Next::ask_again;
    }
    sink_(sum_);
    return running ? Next::enough : Next::answered;
}

}  // namespace trilane::lane::upstream
