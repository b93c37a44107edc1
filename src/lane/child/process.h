// ChildProcess: the running server behind a resident. Starts it, tells everybody who asked when it
// ends, words that end for a person, and stops it so that nothing is left. No HTTP.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "lane/memory_watch.h"
#include "os/child.h"
#include "plan/plan.h"

namespace trilane::lane {

/// From SIGTERM to SIGKILL.
inline constexpr std::chrono::milliseconds kTerminateGrace{1'500};
/// From SIGKILL to giving up on it: a driver may hold a process beyond that.
inline constexpr std::chrono::milliseconds kReapPatience{3'000};
/// Lines of a child's output in an error message.
inline constexpr std::size_t kTailLines = 6;

/// Names for messages.
struct ChildNames {
    std::string program;  ///< "llama-server"
    std::string lane;     ///< "gpu"
};

/// **Threads:** every function from any thread.
class ChildProcess {
public:
    /// `memory` will look at what it holds. **Errors:** as os::ChildWatch::start.
    static Result<std::shared_ptr<ChildProcess>> start(os::ChildWatch& children,
                                                       MemoryWatch& memory,
                                                       os::ChildOptions options, ChildNames names);
    ~ChildProcess();  ///< stop()
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    [[nodiscard]] const ChildNames& names() const { return names_; }
    [[nodiscard]] bool ended() const;
    /// Waits for the end, at most so long; true when it has ended.
    [[nodiscard]] bool wait_ended(std::chrono::milliseconds patience) const;

    /// Called once when the process has ended: at once, if it already has; else on the watch's
    /// thread, where it must not block. Replaces an earlier one; an empty one takes it back.
    void on_end(std::function<void()> hear);

    /// How it ended, with its last lines: "llama-server exited with status 1 while loading: … ; see
    /// `trilane logs gpu`". `when` is " while loading" or "".
    [[nodiscard]] Error end_error(std::string_view when) const;
    /// A sentence about a process that still runs, with its last lines and where to read more.
    [[nodiscard]] std::string with_tail(std::string_view sentence) const;

    /// SIGKILL, without waiting: it hangs, and asking would be no use.
    void kill() { child_->kill(); }
    /// SIGTERM, after kTerminateGrace SIGKILL, and waits until it is reaped. Idempotent.
    void stop();

    [[nodiscard]] pid_t pid() const { return child_->pid(); }
    /// Memory it was last seen to hold; zeros once it has ended. Reads no file and waits for
    /// nobody.
    [[nodiscard]] MemoryWatch::Seen seen() const;
    /// Has it looked at now, and waits a moment for that.
    void look_again() const { memory_->refresh(); }
    /// The same as seen() for somebody else to call; does not keep the process alive.
    [[nodiscard]] std::function<plan::Observed()> observer() const;

private:
    /// Outlives the process object, because the watch's callback may.
    struct End {
        std::mutex mutex;
        std::condition_variable changed;
        std::optional<os::ChildExit> exit;
        std::function<void()> hear;
    };

    ChildProcess(std::shared_ptr<os::Child> child, std::shared_ptr<End> end, ChildNames names,
                 std::shared_ptr<const MemoryWatch::Subject> memory, std::uint64_t first_line);
    [[nodiscard]] std::string tail() const;

    const std::shared_ptr<os::Child> child_;
    const std::shared_ptr<End> end_;
    const ChildNames names_;
    const std::uint64_t first_line_;  // the log's last one before it started
    const std::shared_ptr<const MemoryWatch::Subject> memory_;
};

}  // namespace trilane::lane
