// What tests of the native lane share: the bundled model, asks, and the events of one job.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "lane/native/native.h"

namespace trilane::lane {

inline std::shared_ptr<Resident> open(std::uint32_t slots = 4) {
    NativeOptions options;
    options.model_path = TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf";
    options.engine.slots = slots;
    options.engine.threads = 1;
    return load_native(options).value();
}

/// The events of one job, waited for until the last.
struct NativeAnswer {
    std::vector<job::Event> events;
    std::string text;
    std::size_t ends = 0;
    std::vector<job::LogprobEntry> logprobs;
    std::optional<job::Done> done;
    std::optional<Error> error;
    job::FinishReason reason = job::FinishReason::cancelled;
    std::string stop_text;
};

class Collector {
public:
    job::EventSink sink() {
        return [this](job::Event event) {
            const std::lock_guard<std::mutex> lock(mutex_);
            ASSERT_FALSE(last_) << "an event after the last";
            last_ = std::holds_alternative<job::Done>(event) ||
                    std::holds_alternative<job::Failed>(event);
            events_.push_back(std::move(event));
            changed_.notify_all();
        };
    }
    void wait_for_text() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] {
            return last_ || (!events_.empty() && std::holds_alternative<job::Text>(events_.back()));
        });
    }
    NativeAnswer answer() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return last_; });
        NativeAnswer answer;
        answer.events = events_;
        for (const job::Event& event : events_) {
            if (const auto* text = std::get_if<job::Text>(&event);
                text != nullptr && text->choice == 0) {
                answer.text += text->text;
                answer.logprobs.insert(answer.logprobs.end(), text->logprobs.begin(),
                                       text->logprobs.end());
            } else if (const auto* end = std::get_if<job::ChoiceEnd>(&event)) {
                ++answer.ends;
                answer.reason = end->reason;
                answer.stop_text = end->stop_text;
            } else if (const auto* done = std::get_if<job::Done>(&event)) {
                answer.done = *done;
            } else if (const auto* failed = std::get_if<job::Failed>(&event)) {
                answer.error = failed->error;
            }
        }
        return answer;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<job::Event> events_;
    bool last_ = false;
};

inline job::Message message(job::Role role, const std::string& content) {
    job::Message message;
    message.role = role;
    message.content = content;
    return message;
}

inline job::Request chat(const std::string& text, std::uint32_t max_tokens = 40) {
    job::Request request;
    request.ask = job::Chat{
        .messages = {message(job::Role::user, text)}, .tools = {}, .template_variables = {}};
    request.sampling.temperature = 0;
    request.max_tokens = max_tokens;
    return request;
}

inline job::Request completion(const std::string& text, std::uint32_t max_tokens) {
    job::Request request;
    request.ask = job::Completion{.prompt = text};
    request.sampling.temperature = 0;
    request.max_tokens = max_tokens;
    return request;
}

inline NativeAnswer ask_native(Resident& lane, job::Request request) {
    Collector collector;
    lane.submit(std::move(request), collector.sink(), {});
    return collector.answer();
}

}  // namespace trilane::lane
