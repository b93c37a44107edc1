// FakeService: a plane for tests whose answers a script writes, on a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "plane/service.h"

namespace trilane::gateway {

class FakeService final : public plane::Service {
public:
    struct Job {
        job::Request request;
        job::EventSink sink;
        CancelToken cancel;
    };
    /// Answers one job. May move the job away and answer later.
    using Script = std::function<void(Job&)>;

    FakeService(std::vector<std::string> models, Script script)
        : models_(std::move(models)), script_(std::move(script)), thread_([this] { run(); }) {}
    ~FakeService() override { stop(); }
    FakeService(const FakeService&) = delete;
    FakeService& operator=(const FakeService&) = delete;

    [[nodiscard]] std::vector<job::ModelCard> models() const override {
        std::vector<job::ModelCard> cards;
        for (const std::string& id : models_) {
            job::ModelCard& card = cards.emplace_back();
            card.id = id;
            job::Abilities& able = card.abilities;  // of everything but hearing
            able.chat = able.complete = able.insert = able.tools = able.vision = true;
            able.embed = able.rerank = able.transcribe = able.speak = able.draw = true;
        }
        return cards;
    }

    [[nodiscard]] Result<job::ModelCard> find(std::string_view name) const override {
        for (job::ModelCard& card : models()) {
            if (card.id == name || (name == "default" && models_.size() == 1) ||
                aliased(name) == card.id) {
                return std::move(card);
            }
        }
        std::string known;
        for (const std::string& id : models_) {
            known += (known.empty() ? "use one of: " : ", ") + id;
        }
        return fail(Fault::not_found, "model: there is none called '{}' here; {}", name,
                    known.empty() ? "no model is loaded" : known);
    }

    [[nodiscard]] plane::Line line_of(std::string_view /*model*/) const override { return {0, 64}; }
    [[nodiscard]] std::chrono::seconds next_try_in(std::string_view model) const override {
        return std::chrono::seconds(model == "tiny" ? next_try_s_.load() : 0);
    }

    /// From now on jobs are answered within submit(), as a lane does that refuses.
    void answer_at_once() { at_once_ = true; }

    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override {
        if (at_once_) {
            Job job{std::move(request), std::move(sink), std::move(cancel)};
            script_(job);
            return;
        }
        const std::scoped_lock lock(mutex_);
        jobs_.push_back({std::move(request), std::move(sink), std::move(cancel)});
        arrived_.notify_one();
    }
    void notice_cancel() override { noticed_ += 1; }

    [[nodiscard]] plane::View view() const override {
        plane::View view;
        plane::LaneView& lane = view.lanes.emplace_back();
        lane.name = "fake";
        lane.kind = "fake";
        lane.slots = 4;
        lane.slots_busy = 1;
        lane.queued_max = 64;
        lane.requests_total = 7;
        plane::Residency& one = lane.residents.emplace_back();
        one.model = "tiny";
        one.state = lane::State::ready;
        one.context_tokens = context_tokens_;
        one.load.slots = 4;
        one.predicted_bytes = 100;
        one.planned_bytes = 123;
        one.correction.emplace().observed_bytes = 122;
        view.pools.push_back({"system", 1000, 10, 20, 30});
        const std::scoped_lock lock(mutex_);
        for (const auto& [name, silicon] : more_lanes_) {
            plane::LaneView& further = view.lanes.emplace_back();
            further.name = name;
            further.kind = "llama-server";
            further.silicon = silicon;
        }
        return view;
    }

    void load(LoadAsk ask, std::function<void(Status)> done) override {
        const std::string model = ask.model;
        {
            const std::scoped_lock lock(mutex_);
            loads_.push_back(std::move(ask));
        }
        done(find(model).map([](const job::ModelCard&) {}));
    }
    /// "tiny" is in memory, and stays there.
    Status unload(std::string_view model) override {
        TRILANE_TRY_STATUS(find(model));
        if (model == "kept") {
            return fail(Fault::not_found, "'kept' is not loaded");
        }
        const std::scoped_lock lock(mutex_);
        unloads_.emplace_back(model);
        return {};
    }
    Status keep(std::string_view model, std::optional<std::chrono::milliseconds> time) override {
        const std::scoped_lock lock(mutex_);
        kept_.emplace_back(std::string(model), time);
        return {};
    }
    [[nodiscard]] Result<std::shared_ptr<os::LogRing>> log_of(
        std::string_view lane) const override {
        if (lane != "fake") {
            return fail(Fault::not_found, "there is no lane '{}'; there is: fake", lane);
        }
        return log_;
    }

    void stop() {
        {
            const std::scoped_lock lock(mutex_);
            stopping_ = true;
            arrived_.notify_one();
        }
        if (thread_.joinable()) {
            thread_.join();
        }
    }
    /// What it was told of models' staying, in order.
    [[nodiscard]] std::vector<std::pair<std::string, std::optional<std::chrono::milliseconds>>>
    kept() {
        const std::scoped_lock lock(mutex_);
        return kept_;
    }
    /// What it was asked to load and to unload, in order.
    [[nodiscard]] std::vector<LoadAsk> loads() {
        const std::scoped_lock lock(mutex_);
        return loads_;
    }
    [[nodiscard]] std::vector<std::string> unloads() {
        const std::scoped_lock lock(mutex_);
        return unloads_;
    }
    /// Another name of a model; one that ends with '*' stands for every name that begins so.
    void alias(std::string name, std::string id) {
        const std::scoped_lock lock(mutex_);
        aliases_.emplace_back(std::move(name), std::move(id));
    }
    /// A further lane, of kind llama-server and with nothing in memory.
    void add_lane(std::string name, std::string silicon) {
        const std::scoped_lock lock(mutex_);
        more_lanes_.emplace_back(std::move(name), std::move(silicon));
    }
    /// What is told of it.
    void pause_for(std::uint32_t seconds) { next_try_s_ = seconds; }
    /// Of the model in memory.
    void give_context(std::uint32_t tokens) { context_tokens_ = tokens; }
    [[nodiscard]] int noticed() const { return noticed_; }
    [[nodiscard]] os::LogRing& log() const { return *log_; }

private:
    [[nodiscard]] std::string aliased(std::string_view name) const {
        const std::scoped_lock lock(mutex_);
        for (const auto& [alias, id] : aliases_) {
            const bool pattern = alias.ends_with('*');
            if (alias == name || (pattern && name.starts_with(alias.substr(0, alias.size() - 1)))) {
                return id;
            }
        }
        return {};
    }
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
    const std::shared_ptr<os::LogRing> log_ = std::make_shared<os::LogRing>();
    std::atomic<int> noticed_ = 0;
    std::atomic<bool> at_once_ = false;
    std::atomic<std::uint32_t> context_tokens_ = 0;
    std::atomic<std::uint32_t> next_try_s_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::pair<std::string, std::string>> aliases_;
    std::vector<std::pair<std::string, std::string>> more_lanes_;
    std::condition_variable arrived_;
    std::deque<Job> jobs_;
    std::vector<std::pair<std::string, std::optional<std::chrono::milliseconds>>> kept_;
    std::vector<LoadAsk> loads_;
    std::vector<std::string> unloads_;
    bool stopping_ = false;
    std::thread thread_;  // last: it uses all of the above
};

/// The events of a good answer with one choice made of `texts`.
inline void answer_with(const FakeService::Job& job, const std::vector<std::string>& texts) {
    job.sink(job::Started{5});
    for (const std::string& text : texts) {
        job::Text event;
        event.text = text;
        job.sink(std::move(event));
    }
    job.sink(job::ChoiceEnd{0, job::FinishReason::stop, {}});
    job::Done done;
    done.usage = {5, 2, static_cast<std::uint32_t>(texts.size())};
    done.timings.queue_ms = 3;
    job.sink(done);
}

}  // namespace trilane::gateway
