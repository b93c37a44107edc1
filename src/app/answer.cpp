#include "app/answer.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace trilane::app {
namespace {

constexpr std::chrono::milliseconds kInterruptPoll{20};

/// Events on their way from the lane's thread to ours. Never longer than one answer.
class EventQueue {
public:
    void push(job::Event event) {
        {
            const std::lock_guard lock(mutex_);
            events_.push_back(std::move(event));
        }
        ready_.notify_one();
    }

    std::optional<job::Event> pop_within(std::chrono::milliseconds patience) {
        std::unique_lock lock(mutex_);
        if (!ready_.wait_for(lock, patience, [this] { return !events_.empty(); })) {
            return std::nullopt;
        }
        job::Event event = std::move(events_.front());
        events_.pop_front();
        return event;
    }

private:
    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<job::Event> events_;
};

}  // namespace

Result<Answer> answer(lane::Resident& resident, job::Request request, const AnswerHooks& hooks) {
    const auto queue = std::make_shared<EventQueue>();
    const CancelToken cancel;
    resident.submit(
        std::move(request), [queue](job::Event event) { queue->push(std::move(event)); }, cancel);
    Answer answer;
    while (true) {
        if (!answer.interrupted && hooks.interrupted && hooks.interrupted()) {
            answer.interrupted = true;
            cancel.cancel();
        }
        const std::optional<job::Event> event = queue->pop_within(kInterruptPoll);
        if (!event) {
            continue;
        }
        if (const auto* text = std::get_if<job::Text>(&*event)) {
            if (!text->reasoning) {
                answer.text += text->text;
            }
            if (hooks.on_text && !answer.interrupted) {
                hooks.on_text(text->text, text->reasoning);
            }
        } else if (const auto* end = std::get_if<job::ChoiceEnd>(&*event)) {
            answer.reason = end->reason;
        } else if (const auto* done = std::get_if<job::Done>(&*event)) {
            answer.done = *done;
            return answer;
        } else if (const auto* failed = std::get_if<job::Failed>(&*event)) {
            if (answer.interrupted) {
                return answer;
            }
            return tl::unexpected(failed->error);
        }
    }
}

}  // namespace trilane::app
