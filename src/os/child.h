// ChildWatch: starts programs with a given environment and limits, keeps what they print, and says
// when they end. No HTTP, no policy: what a child is for is its owner's business.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/log_ring.h"

namespace trilane::os {

/// Running at once, of one watch; more are refused.
inline constexpr std::size_t kChildrenMax = 256;
/// After a child's end, for what a process that left its group (and so outlives it) may still
/// print.
inline constexpr std::chrono::milliseconds kChildDrainPatience{250};
/// For children that do not even die when killed (a driver holds them) as the watch ends.
inline constexpr std::chrono::milliseconds kChildReapPatience{5'000};

/// What to start, and within which bounds. Signals, standard input and core dumps are not this
/// process's: default, /dev/null and none.
struct ChildOptions {
    /// argv[0] is the path of the program; a relative one starts at `directory`. No search.
    std::vector<std::string> argv;
    std::vector<std::string> environment;  ///< all of it, as "NAME=value": nothing is inherited
    std::string directory;                 ///< to start in; empty = this process's
    /// RLIMIT_MEMLOCK, as far as this process may raise it (what is missing is a line in the log);
    /// never less than this process's; absent = this process's.
    std::optional<std::uint64_t> memlock_bytes;
    /// A directory of the control-group file system that the child joins before it starts; empty =
    /// this process's. A group that cannot be joined is a line in the log, not an error.
    std::string cgroup;
    std::int32_t niceness = 0;     ///< 0 = this process's
    std::shared_ptr<LogRing> log;  ///< what it prints; null = a ring of its own
};

/// How a child ended.
struct ChildExit {
    std::optional<int> code;    ///< exit status, or
    std::optional<int> signal;  ///< the signal that ended it
    /// "exited with status 1", "was ended by signal 9 (SIGKILL)"
    [[nodiscard]] std::string text() const;
};

/// One started program and all it starts in turn (a process group of its own).
/// **Threads:** every function from any thread.
class Child {
public:
    virtual ~Child() = default;  ///< of the last reference: kills the group if it still runs
    [[nodiscard]] virtual pid_t pid() const = 0;
    /// Absent while it runs.
    [[nodiscard]] virtual std::optional<ChildExit> exit() const = 0;
    /// SIGTERM to the group, and SIGCONT, so that a stopped one heeds it. No effect once it has
    /// ended.
    virtual void terminate() = 0;
    /// SIGKILL to the group.
    virtual void kill() = 0;
    /// Waits for the end, at most so long; true when it has ended.
    virtual bool wait_for(std::chrono::milliseconds patience) = 0;
    [[nodiscard]] virtual const std::shared_ptr<LogRing>& log() const = 0;
    /// Resident bytes of the group's first process that no file backs (RssAnon + RssShmem); 0 once
    /// it has ended or when this cannot be told.
    [[nodiscard]] virtual std::uint64_t resident_bytes() const = 0;
    /// Its resident bytes that files back (RssFile), if it maps one of `files` (canonical paths);
    /// else 0.
    [[nodiscard]] virtual std::uint64_t file_bytes(std::span<const std::string> files) const = 0;
};

/// Starts children and watches them, all on one thread of its own. Children end when this process
/// does, however it ends (a set-user-id program excepted: the kernel spares it). What they have
/// started is killed as soon as they end, whoever ends them, as long as this process lives.
class ChildWatch {
public:
    ChildWatch();
    /// Kills what still runs, reaps it (each on_exit is still called) and joins. Not from on_exit.
    ~ChildWatch();
    ChildWatch(const ChildWatch&) = delete;
    ChildWatch& operator=(const ChildWatch&) = delete;

    /// Starts a program and waits until it runs. `on_exit` is called once, on the watch's thread,
    /// after the child is reaped and what it printed is in the log; it must not block. That may be
    /// before start() has returned. Never after an error.
    /// **Threads:** any, also from on_exit.
    /// **Errors:** not_found (no such program or directory; says where it was looked for),
    /// unavailable (not executable, out of processes or memory, too many children), invalid (a NUL
    /// byte in an argument).
    Result<std::shared_ptr<Child>> start(ChildOptions options,
                                         std::function<void(const ChildExit&)> on_exit);

private:
    class Watching;
    std::unique_ptr<Watching> watching_;
};

}  // namespace trilane::os
