// The new process shares this one's memory until it executes the program (as vfork does), so that
// starting costs the same beside a model of 100 GiB, and so that its errors can be read from
// memory. What runs in it, child_main() and below, therefore must neither allocate, nor lock, nor
// call into anything that keeps state about this process: it makes bare system calls on prepared
// values.
#include "os/child_spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "os/reason.h"

// glibc's clone() under a name that the sanitizers leave alone: they treat every new process as one
// with memory of its own.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" int __clone(int (*start)(void*), void* stack, int flags, void* argument, ...) noexcept;

namespace trilane::os {
namespace {

constexpr std::size_t kSpawnStackBytes = std::size_t{64} << 10U;
constexpr int kExitBeforeProgram = 127;
constexpr long kSignalsMax = 64;  // the kernel's _NSIG on every machine we build for
constexpr unsigned kFirstForeignFd = 3;
#ifdef SYS_close_range
constexpr long kCloseRange = SYS_close_range;
#else
constexpr long kCloseRange = 436;
#endif

/// The step at which a start failed.
enum class Step { none, streams, directory, program };

/// Everything the new process needs and everything it answers, as plain values.
struct Launch {
    const char* path = nullptr;
    char* const* argv = nullptr;
    char* const* environment = nullptr;
    const char* directory = nullptr;  // null = this process's
    int null_fd = -1;
    int output_fd = -1;
    int errors_fd = -1;
    int cgroup_fd = -1;
    bool set_memlock = false;
    rlimit memlock_wanted{};    // needs a privilege
    rlimit memlock_possible{};  // never does
    int niceness = 0;
    pid_t parent = -1;

    Step failed = Step::none;
    int error = 0;
    int cgroup_error = 0;
    int memlock_error = 0;
    int niceness_error = 0;
};

#define TRILANE_BARE \
    __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

TRILANE_BARE void give_up(Launch* launch, Step step) {
    launch->error = errno;
    launch->failed = step;
    for (;;) {
        ::syscall(SYS_exit_group, kExitBeforeProgram);
    }
}

/// Handlers of this process mean nothing in a child, and what it ignores would stay ignored.
TRILANE_BARE void restore_signals() {
    // The kernel's struct sigaction in words: all zero is the default action, no flags, no mask.
    const unsigned long default_action[4] = {0, 0, 0, 0};
    static_assert(kSignalsMax / 8 == sizeof(long), "a signal set is one word");
    for (long number = 1; number <= kSignalsMax; ++number) {
        ::syscall(SYS_rt_sigaction, number, default_action, nullptr, sizeof(long));
    }
}

TRILANE_BARE void apply_wishes(Launch* launch) {
    if (launch->cgroup_fd >= 0 && ::syscall(SYS_write, launch->cgroup_fd, "0", 1L) < 0) {
        launch->cgroup_error = errno;
    }
    if (launch->set_memlock &&
        ::syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, &launch->memlock_wanted, nullptr) < 0) {
        launch->memlock_error = errno;
        ::syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, &launch->memlock_possible, nullptr);
    }
    if (launch->niceness != 0 &&
        ::syscall(SYS_setpriority, PRIO_PROCESS, 0, launch->niceness) < 0) {
        launch->niceness_error = errno;
    }
    const rlimit no_core{};
    ::syscall(SYS_prlimit64, 0, RLIMIT_CORE, &no_core, nullptr);
}

TRILANE_BARE int child_main(void* argument) {
    auto* const launch = static_cast<Launch*>(argument);
    ::syscall(SYS_prctl, PR_SET_PDEATHSIG, long{SIGKILL}, 0L, 0L, 0L);
    if (::syscall(SYS_getppid) != launch->parent) {
        give_up(launch, Step::program);  // the parent died before the line above
    }
    ::syscall(SYS_setsid);
    restore_signals();
    if (::syscall(SYS_dup3, launch->null_fd, 0, 0) < 0 ||
        ::syscall(SYS_dup3, launch->output_fd, 1, 0) < 0 ||
        ::syscall(SYS_dup3, launch->errors_fd, 2, 0) < 0) {
        give_up(launch, Step::streams);
    }
    apply_wishes(launch);
    if (launch->directory != nullptr && ::syscall(SYS_chdir, launch->directory) < 0) {
        give_up(launch, Step::directory);
    }
    // Descriptors that somebody opened without O_CLOEXEC; a kernel without the call leaves them.
    ::syscall(kCloseRange, kFirstForeignFd, std::numeric_limits<unsigned>::max(), 0);
    const unsigned long no_signals = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, nullptr, sizeof(no_signals));
    ::syscall(SYS_execve, launch->path, launch->argv, launch->environment);
    give_up(launch, Step::program);
    return kExitBeforeProgram;
}

#undef TRILANE_BARE

/// `fd` under a number that is no standard stream's, as it would be overwritten in the child.
UniqueFd above_streams(UniqueFd fd) {
    if (!fd.open() || fd.get() > STDERR_FILENO) {
        return fd;
    }
    return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};

std::optional<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return std::nullopt;
    }
    Pipe pipe{above_streams(UniqueFd(ends[0])), above_streams(UniqueFd(ends[1]))};
    if (!pipe.read.open() || !pipe.write.open() ||
        ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) {
        return std::nullopt;
    }
    return pipe;
}

std::vector<char*> pointers_of(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (const std::string& text : texts) {
        pointers.push_back(const_cast<char*>(text.c_str()));  // execve changes nothing
    }
    pointers.push_back(nullptr);
    return pointers;
}

bool has_nul(const std::string& text) {
    return text.find('\0') != std::string::npos;
}

Status check_texts(const ChildOptions& options) {
    if (options.argv.empty() || options.argv.front().empty()) {
        return fail(Fault::invalid, "no program to start; name one");
    }
    if (std::any_of(options.argv.begin(), options.argv.end(), has_nul) ||
        std::any_of(options.environment.begin(), options.environment.end(), has_nul) ||
        has_nul(options.directory) || has_nul(options.cgroup)) {
        return fail(Fault::invalid, "an argument or variable for {} contains a NUL byte; remove it",
                    options.argv.front().c_str());
    }
    return {};
}

/// As much as was asked for, but never less than this process has: it is a need, no cage.
void plan_memlock(const ChildOptions& options, Launch& launch) {
    rlimit now{};
    if (!options.memlock_bytes.has_value() || ::getrlimit(RLIMIT_MEMLOCK, &now) != 0) {
        return;
    }
    const auto wanted = static_cast<rlim_t>(*options.memlock_bytes);
    if (wanted <= now.rlim_cur) {
        return;
    }
    launch.set_memlock = true;
    launch.memlock_wanted = {wanted, std::max(wanted, now.rlim_max)};
    launch.memlock_possible = {std::min(wanted, now.rlim_max), now.rlim_max};
}

std::vector<std::string> remarks_of(const ChildOptions& options, const Launch& launch) {
    std::vector<std::string> remarks;
    if (launch.cgroup_error != 0) {
        remarks.push_back(fmt::format("cannot join control group {} ({}); started without it",
                                      options.cgroup, reason(launch.cgroup_error)));
    }
    if (launch.memlock_error != 0) {
        remarks.push_back(fmt::format(
            "may lock {} bytes of memory, not the {} it should; raise the limit (LimitMEMLOCK= of "
            "the service, memlock in limits.conf)",
            launch.memlock_possible.rlim_cur, launch.memlock_wanted.rlim_cur));
    }
    if (launch.niceness_error != 0) {
        remarks.push_back(fmt::format("cannot set niceness {} ({}); started without it",
                                      options.niceness, reason(launch.niceness_error)));
    }
    return remarks;
}

/// A relative path means the child's own directory.
std::filesystem::path program_path(const ChildOptions& options) {
    std::error_code ignored;
    const std::filesystem::path base = options.directory.empty()
                                           ? std::filesystem::current_path(ignored)
                                           : std::filesystem::path(options.directory);
    return base / options.argv.front();
}

tl::unexpected<Error> program_missing(const ChildOptions& options) {
    const std::filesystem::path path = program_path(options);
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) {
        return fail(Fault::unavailable,
                    "{} is there but its interpreter or dynamic loader is not; install a build for "
                    "this system",
                    path.string());
    }
    return fail(Fault::not_found, "no program at {}; install it or correct its path",
                path.string());
}

tl::unexpected<Error> program_failed(const ChildOptions& options, int error) {
    const std::string path = program_path(options).string();
    switch (error) {
        case ENOENT:
        case ENOTDIR:
            return program_missing(options);
        case EACCES:
            return fail(Fault::unavailable,
                        "{} may not be executed; make it an executable file of a path that this "
                        "user may enter",
                        path);
        case ENOEXEC:
            return fail(Fault::unavailable,
                        "{} is no program for this machine; install a build for it", path);
        default:
            return fail(Fault::unavailable, "cannot start {}: {}; try again later", path,
                        reason(error));
    }
}

tl::unexpected<Error> launch_failed(const ChildOptions& options, const Launch& launch) {
    if (launch.failed == Step::directory) {
        return fail(launch.error == ENOENT ? Fault::not_found : Fault::unavailable,
                    "cannot start {} in directory {}: {}; create it or name another",
                    options.argv.front(), options.directory, reason(launch.error));
    }
    if (launch.failed == Step::streams) {
        return fail(Fault::unavailable, "cannot connect the streams of {}: {}; try again later",
                    options.argv.front(), reason(launch.error));
    }
    return program_failed(options, launch.error);
}

tl::unexpected<Error> out_of(const ChildOptions& options, int error) {
    return fail(Fault::unavailable,
                "cannot start {}: {}; stop something or raise the limits of this process",
                options.argv.front(), reason(error));
}

/// Runs child_main() in a new process and waits until it has become the program or failed.
/// Answers the process's id and descriptor; an errno when there is no new process.
tl::expected<std::pair<pid_t, UniqueFd>, int> clone_child(Launch& launch) {
    const auto stack = std::make_unique_for_overwrite<std::byte[]>(kSpawnStackBytes);
    // Stacks grow downwards here, and begin at a multiple of 16.
    const auto top = (reinterpret_cast<std::uintptr_t>(stack.get()) + kSpawnStackBytes) & ~15UL;
    int process = -1;
    const pid_t pid = __clone(child_main, reinterpret_cast<void*>(top),
                              CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &launch, &process);
    if (pid < 0) {
        return tl::unexpected(errno);
    }
    return std::pair(pid, UniqueFd(process));
}

void reap_failed(pid_t pid) {
    siginfo_t ignored{};
    while (::waitid(P_PID, static_cast<id_t>(pid), &ignored, WEXITED) != 0 && errno == EINTR) {
    }
}

}  // namespace

Result<Spawned> spawn_child(const ChildOptions& options) {
    TRILANE_TRY_STATUS(check_texts(options));
    auto output = make_pipe();
    auto errors = make_pipe();
    const UniqueFd null = above_streams(UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
    if (!output.has_value() || !errors.has_value() || !null.open()) {
        return out_of(options, errno);
    }
    Launch launch;
    const std::vector<char*> argv = pointers_of(options.argv);
    const std::vector<char*> environment = pointers_of(options.environment);
    launch.path = options.argv.front().c_str();
    launch.argv = argv.data();
    launch.environment = environment.data();
    launch.directory = options.directory.empty() ? nullptr : options.directory.c_str();
    launch.null_fd = null.get();
    launch.output_fd = output->write.get();
    launch.errors_fd = errors->write.get();
    launch.niceness = options.niceness;
    launch.parent = ::getpid();
    plan_memlock(options, launch);
    UniqueFd cgroup;
    if (!options.cgroup.empty()) {
        const std::string members = options.cgroup + "/cgroup.procs";
        cgroup = above_streams(UniqueFd(::open(members.c_str(), O_WRONLY | O_CLOEXEC)));
        launch.cgroup_fd = cgroup.get();
        launch.cgroup_error = cgroup.open() ? 0 : errno;
    }

    auto process = clone_child(launch);
    if (!process) {
        return out_of(options, process.error());
    }
    if (launch.failed != Step::none) {
        reap_failed(process->first);
        return launch_failed(options, launch);
    }
    return Spawned{process->first, std::move(process->second), std::move(output->read),
                   std::move(errors->read), remarks_of(options, launch)};
}

}  // namespace trilane::os
