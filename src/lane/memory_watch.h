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

#include "plan/plan.h"

namespace trilane::lane {

class MemoryWatch {
public:
    using Clock = std::chrono::steady_clock;
    using Look = std::function<plan::Observed()>;

    /// How long it is worth to wait for a look that is asked for: a busy driver may take longer.
    static constexpr std::chrono::milliseconds kPatience{250};
    /// From one look to the next at the same model.
    static constexpr std::chrono::milliseconds kInterval{1'000};

    struct Seen {
        plan::Observed held;     ///< zeros before the first look
        Clock::time_point at{};  ///< when it was looked; the epoch before the first look
    };

private:
    struct Board;

public:
    /// One model that is looked at for as long as this object lives. Outlives the watch, too: then
    /// nothing new is seen. **Threads:** every function from any thread.
    class Subject {
    public:
        Subject(Look look, std::weak_ptr<Board> board)
            : look_(std::move(look)), board_(std::move(board)) {}
        /// What was seen last. Waits for nobody.
        [[nodiscard]] Seen last() const;
        /// Has it looked at now, and waits for that, at most kPatience. For moments at which much
        /// has just changed, on threads that may wait.
        void refresh() const;
        /// Looks no more. Waits for a look that is under way: what it looks at may go then.
        void end();

    private:
        friend class MemoryWatch;
        void look();

        std::mutex looking_;  // held across a look, before the other
        Look look_;
        const std::weak_ptr<Board> board_;
        mutable std::mutex mutex_;
        mutable std::condition_variable looked_;
        Seen seen_;
    };

    MemoryWatch();  ///< its thread starts with the first subject
    ~MemoryWatch();
    MemoryWatch(const MemoryWatch&) = delete;
    MemoryWatch& operator=(const MemoryWatch&) = delete;

    /// Looks at once, and then at every interval. `look` may read files.
    std::shared_ptr<Subject> watch(Look look);

private:
    const std::shared_ptr<Board> board_;
    std::thread thread_;  // guarded by the board's mutex
};

}  // namespace trilane::lane
