// FakeLane: a lane for tests. Loads and answers happen when the test says so, or at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lane/descriptor.h"
#include "lane/lane.h"

namespace trilane::plane {

inline constexpr std::chrono::seconds kTestPatience{20};

/// Shut until it is opened.
class Gate {
public:
    void open() {
        const std::scoped_lock lock(mutex_);
        open_ = true;
        opened_.notify_all();
    }
    bool wait_for(std::chrono::milliseconds patience) {
        std::unique_lock lock(mutex_);
        return opened_.wait_for(lock, patience, [&] { return open_; });
    }
    void wait() { wait_for(kTestPatience); }

private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool open_ = false;
};

/// Remembers the requests it was given; answers them when told to, or at once.
class FakeResident final : public lane::Resident {
public:
    struct Running {
        job::Request request;
        job::EventSink sink;
        CancelToken cancel;
    };

    FakeResident(std::string model, std::uint32_t slots, bool at_once)
        : slots_(slots), at_once_(at_once) {
        card_.id = std::move(model);
        card_.context_tokens = 4711;
    }
    ~FakeResident() override { fail_all({Fault::unavailable, "gone"}); }

    [[nodiscard]] const job::ModelCard& card() const override { return card_; }
    [[nodiscard]] std::uint32_t slots() const override { return slots_; }

    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override {
        if (at_once_) {
            answer({std::move(request), std::move(sink), std::move(cancel)});
            return;
        }
        const std::scoped_lock lock(mutex_);
        running_.push_back({std::move(request), std::move(sink), std::move(cancel)});
        most_ = std::max(most_, running_.size());
        changed_.notify_all();
    }

    void notice_cancel() override {
        std::vector<Running> cancelled;
        {
            const std::scoped_lock lock(mutex_);
            std::erase_if(running_, [&](Running& one) {
                const bool gone = one.cancel.cancelled();
                if (gone) {
                    cancelled.push_back(std::move(one));
                }
                return gone;
            });
        }
        for (Running& one : cancelled) {
            one.sink(job::Failed{{Fault::cancelled, "cancelled"}});
        }
    }

    [[nodiscard]] lane::ResidentSnapshot snapshot() const override {
        if (on_snapshot) {
            on_snapshot();
        }
        const std::scoped_lock lock(mutex_);
        lane::ResidentSnapshot out;
        out.slots = slots_;
        out.slots_busy = static_cast<std::uint32_t>(running_.size());
        out.requests_total = answered_;
        out.observed = observed_;
        return out;
    }

    void stop(std::uint32_t /*patience_ms*/) override {
        stopped_ = true;
        if (stop_gate != nullptr) {
            stop_gate->wait();
        }
        fail_all({Fault::unavailable, "stopped"});
    }

    /// Waits until so many requests run.
    bool wait_for_running(std::size_t count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kTestPatience, [&] { return running_.size() >= count; });
    }

    /// Answers the oldest one.
    void answer_next() {
        Running one;
        {
            const std::scoped_lock lock(mutex_);
            one = std::move(running_.front());
            running_.erase(running_.begin());
        }
        answer(std::move(one));
    }

    void fail_all(const Error& error) {
        std::vector<Running> all;
        {
            const std::scoped_lock lock(mutex_);
            all.swap(running_);
        }
        for (Running& one : all) {
            one.sink(job::Failed{error});
        }
    }

    void hold(const plan::Observed& observed) {
        const std::scoped_lock lock(mutex_);
        observed_ = observed;
    }
    [[nodiscard]] std::size_t most_at_once() const {
        const std::scoped_lock lock(mutex_);
        return most_;
    }
    [[nodiscard]] bool stopped() const { return stopped_; }

    // What the lane sets before the plane has it.
    std::shared_ptr<Gate> stop_gate;    ///< that stop() waits for
    std::function<void()> on_snapshot;  ///< called by everybody who takes one

private:
    void answer(Running one) {
        {
            const std::scoped_lock lock(mutex_);
            answered_ += 1;
        }
        one.sink(job::Started{3});
        job::Text text;
        text.text = card_.id;
        one.sink(std::move(text));
        one.sink(job::ChoiceEnd{});
        one.sink(job::Done{});
    }

    job::ModelCard card_;
    const std::uint32_t slots_;
    const bool at_once_;
    std::atomic<bool> stopped_ = false;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Running> running_;
    std::size_t most_ = 0;
    std::uint64_t answered_ = 0;
    plan::Observed observed_;
};

/// Serves every GGUF entry; needs `entry.bytes` of the pool.
class FakeLane final : public lane::Lane {
public:
    explicit FakeLane(std::string name, std::string device = "cpu")
        : name_(std::move(name)), device_(std::move(device)) {}

    // What the test may set before the plane starts.
    std::uint32_t slots = 2;
    std::uint32_t most_residents = 16;
    bool answers_at_once = true;
    std::uint64_t other_bytes = 0;                ///< that a need has besides its weights
    bool loads_wait = false;                      ///< for let_load()
    std::map<std::string, Error> bad;             ///< models whose load fails
    std::map<std::string, plan::Observed> holds;  ///< what a model is seen to hold
    std::uint64_t bytes_per_token = 0;            ///< of context
    std::vector<lane::LoadPhase> phases{lane::LoadPhase::starting};
    std::shared_ptr<Gate> stop_gate;  ///< that residents wait for when they are stopped
    std::function<void()> on_snapshot;

    [[nodiscard]] const std::string& name() const override { return name_; }
    [[nodiscard]] const lane::Descriptor& descriptor() const override { return kKind; }
    [[nodiscard]] const std::string& device() const override { return device_; }
    [[nodiscard]] std::uint32_t residents_max() const override { return most_residents; }
    [[nodiscard]] bool can_serve(const catalog::Entry& entry) const override {
        return entry.store == catalog::Store::gguf;
    }

    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& entry,
                                          const lane::LoadWishes& wishes) const override {
        plan::Need need;
        need.context_tokens = wishes.context_tokens != 0 ? wishes.context_tokens : 4096;
        need.parts = {{"weights", entry.bytes},
                      {"KV cache", need.context_tokens * bytes_per_token},
                      {"engine", other_bytes}};
        need.bytes_per_context_token = static_cast<double>(bytes_per_token);
        need.context_tokens_max = 4096;
        return need;
    }

    Result<std::shared_ptr<lane::Resident>> load(lane::LoadRequest request) override {
        const std::string& model = request.entry.id;
        for (const lane::LoadPhase phase : phases) {
            request.on_phase(phase);
        }
        if (const auto held = holds.find(model); held != holds.end()) {
            request.on_holding([observed = held->second] { return observed; });
        }
        std::unique_lock lock(mutex_);
        loading_.push_back(model);
        changed_.notify_all();
        // Nobody is told when a token is cancelled, so it is looked at now and then.
        constexpr std::chrono::milliseconds kLook{2};
        const auto end = std::chrono::steady_clock::now() + kTestPatience;
        while (loads_wait && !let_.contains(model) && !request.cancel.cancelled() &&
               std::chrono::steady_clock::now() < end) {
            changed_.wait_for(lock, kLook);
        }
        std::erase(loading_, model);
        if (request.cancel.cancelled()) {
            return fail(Fault::cancelled, "cancelled");
        }
        const auto failing = bad.find(model);
        if (failing != bad.end()) {
            return tl::unexpected(failing->second);
        }
        auto resident = std::make_shared<FakeResident>(model, slots, answers_at_once);
        resident->stop_gate = stop_gate;
        resident->on_snapshot = on_snapshot;
        if (const auto held = holds.find(model); held != holds.end()) {
            resident->hold(held->second);
        }
        residents_[model] = resident;
        lost_[model] = request.on_lost;
        loads_[model] += 1;
        changed_.notify_all();
        return std::shared_ptr<lane::Resident>(resident);
    }

    [[nodiscard]] std::shared_ptr<os::LogRing> log() const override { return log_; }

    bool wait_for_loading(const std::string& model) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kTestPatience, [&] {
            return std::ranges::find(loading_, model) != loading_.end();
        });
    }
    void let_load(const std::string& model) {
        const std::scoped_lock lock(mutex_);
        let_[model] = true;
        changed_.notify_all();
    }
    /// The resident of the latest load, waited for.
    std::shared_ptr<FakeResident> resident(const std::string& model) {
        std::unique_lock lock(mutex_);
        std::shared_ptr<FakeResident> found;
        changed_.wait_for(lock, kTestPatience, [&] {
            found = residents_[model].lock();
            return found != nullptr;
        });
        return found;
    }
    int loads(const std::string& model) {
        const std::scoped_lock lock(mutex_);
        return loads_[model];
    }
    void spoil(const std::string& model, Error error) {
        const std::scoped_lock lock(mutex_);
        bad.insert_or_assign(model, std::move(error));
    }
    void repair(const std::string& model) {
        const std::scoped_lock lock(mutex_);
        bad.erase(model);
    }
    /// As if its child had died: first it is told, then what runs fails.
    void lose(const std::string& model, const Error& error) {
        std::function<void(const Error&)> told;
        std::shared_ptr<FakeResident> resident;
        {
            const std::scoped_lock lock(mutex_);
            told = lost_[model];
            resident = residents_[model].lock();
            residents_.erase(model);
        }
        told(error);
        resident->fail_all(error);
    }

private:
    static inline const lane::Descriptor kKind{.kind = "fake",
                                               .summary = "",
                                               .silicon = lane::Silicon::gpu,
                                               .store = catalog::Store::gguf,
                                               .purposes = {},
                                               .programs = {},
                                               .options = {},
                                               .residents_max = 16,
                                               .requests_max = 0,
                                               .open = nullptr};
    const std::string name_;
    const std::string device_;
    const std::shared_ptr<os::LogRing> log_ = std::make_shared<os::LogRing>();
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> loading_;
    std::map<std::string, bool> let_;
    std::map<std::string, std::weak_ptr<FakeResident>> residents_;  // the plane owns them
    std::map<std::string, std::function<void(const Error&)>> lost_;
    std::map<std::string, int> loads_;
};

}  // namespace trilane::plane
