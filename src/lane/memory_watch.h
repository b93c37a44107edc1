// MemoryWatch: looks once a second at what models hold, on a thread of its own, so that whoever
// asks gets a copy. Looking reads files that a busy driver may serve slowly, or never: no thread
// that answers clients or decides about loads may wait for that.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "plan/plan.h"

namespace trilane::lane {

class MemoryWatch {
public:
    using Clock = std::chrono::steady_clock;
    using Look = std::function<plan::Observed()>;

    /// From one look to the next at the same model.
    static constexpr std::chrono::milliseconds kInterval{1'000};

    struct Seen {
        plan::Observed held;     ///< zeros before the first look
        Clock::time_point at{};  ///< when it was looked; the epoch before the first look
    };

    /// One model that is looked at for as long as this object lives. Outlives the watch, too: then
    /// nothing new is seen. **Threads:** every function from any thread.
    class Subject {
    public:
        explicit Subject(Look look) : look_(std::move(look)) {}
        /// What was seen last. Waits for nobody.
        [[nodiscard]] Seen last() const;
        /// Looks no more. Waits for a look that is under way: what it looks at may go then.
        void end();

    private:
        friend class MemoryWatch;
        void look();

        std::mutex looking_;  // held across a look, before the other
        Look look_;
        mutable std::mutex mutex_;
        Seen seen_;
    };

    MemoryWatch() = default;  ///< its thread starts with the first subject
    ~MemoryWatch();
    MemoryWatch(const MemoryWatch&) = delete;
    MemoryWatch& operator=(const MemoryWatch&) = delete;

    /// Looks at once, and then at every interval. `look` may read files.
    std::shared_ptr<Subject> watch(Look look);

private:
    struct Entry {
        std::weak_ptr<Subject> subject;
        Clock::time_point next{};
    };
    void look_forever();
    std::shared_ptr<Subject> take_due(Clock::time_point now, Clock::time_point& next);

    std::mutex mutex_;  // guards all below; never held across a look
    std::condition_variable poke_;
    std::vector<Entry> entries_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace trilane::lane
