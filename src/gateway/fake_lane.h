// FakeLane: a lane for tests whose answers a script writes, on a thread of the lane's own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "lane/lane.h"

namespace trilane::gateway {

class FakeLane final : public lane::Lane {
public:
    struct Job {
        job::Request request;
        job::EventSink sink;
        CancelToken cancel;
    };
    /// Answers one job. May move the job away and answer later.
    using Script = std::function<void(Job&)>;

    FakeLane(std::vector<std::string> models, Script script)
        : models_(std::move(models)), script_(std::move(script)), thread_([this] { run(); }) {}
    ~FakeLane() override { stop(0); }
    FakeLane(const FakeLane&) = delete;
    FakeLane& operator=(const FakeLane&) = delete;

    [[nodiscard]] std::string_view name() const override { return "fake"; }

    [[nodiscard]] std::vector<job::ModelCard> models() const override {
        std::vector<job::ModelCard> cards;
        for (const std::string& id : models_) {
            cards.emplace_back().id = id;
        }
        return cards;
    }

    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override {
        const std::scoped_lock lock(mutex_);
        jobs_.push_back({std::move(request), std::move(sink), std::move(cancel)});
        arrived_.notify_one();
    }

    [[nodiscard]] lane::LaneSnapshot snapshot() const override {
        lane::LaneSnapshot snapshot;
        snapshot.name = "fake";
        snapshot.slots = 4;
        snapshot.slots_busy = 1;
        snapshot.queued_max = 64;
        snapshot.requests_total = 7;
        return snapshot;
    }

    void stop(std::uint32_t /*patience_ms*/) override {
        {
            const std::scoped_lock lock(mutex_);
            stopping_ = true;
            arrived_.notify_one();
        }
        if (thread_.joinable()) {
            thread_.join();
        }
    }

private:
    void run() {
        while (true) {
            std::unique_lock lock(mutex_);
            arrived_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
            if (jobs_.empty()) {
                return;
            }
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            script_(job);
        }
    }

    const std::vector<std::string> models_;
    const Script script_;
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<Job> jobs_;
    bool stopping_ = false;
    std::thread thread_;  // last: it uses all of the above
};

/// The events of a good answer with one choice made of `texts`.
inline void answer_with(const FakeLane::Job& job, const std::vector<std::string>& texts) {
    job.sink(job::Started{5});
    for (const std::string& text : texts) {
        job::Text event;
        event.text = text;
        job.sink(std::move(event));
    }
    job.sink(job::ChoiceEnd{0, job::FinishReason::stop});
    job::Done done;
    done.usage = {5, 2, static_cast<std::uint32_t>(texts.size())};
    done.timings.queue_ms = 3;
    job.sink(done);
}

}  // namespace trilane::gateway
