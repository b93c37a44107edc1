// One answer of a lane, waited for: its text piece by piece while it comes, then its figures.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "job/job.h"
#include "lane/lane.h"

namespace trilane::app {

struct Answer {
    std::string text;  ///< without the reasoning
    job::FinishReason reason = job::FinishReason::stop;
    job::Done done;
    bool interrupted = false;  ///< then `text` is what came before, and `done` is empty
};

struct AnswerHooks {
    std::function<void(std::string_view text, bool reasoning)> on_text;
    /// Asked every few milliseconds; true ends the answer.
    std::function<bool()> interrupted;
};

/// Submits the request (one choice) and returns when its last event has come.
/// **Errors:** what the lane answered.
Result<Answer> answer(lane::Resident& resident, job::Request request, const AnswerHooks& hooks);

}  // namespace trilane::app
