#include "os/child.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "base/check.h"
#include "os/child_spawn.h"
#include "os/line_assembler.h"
#include "os/orphans.h"
#include "os/unique_fd.h"

namespace trilane::os {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kStartsWaitingMax = 256;
constexpr std::chrono::milliseconds kWaitMax = std::chrono::hours(24 * 365);  // no overflow
constexpr int kEventsMax = 64;
constexpr std::size_t kReadBytes = std::size_t{16} << 10U;
/// What a pipe can hold, and then some: more is the output of a process that was not killed.
constexpr int kLastReadsMax = 64;

/// A process as its handle and the watch share it.
class Process {
public:
    explicit Process(pid_t pid) : pid_(pid) {}

    [[nodiscard]] pid_t pid() const { return pid_; }

    [[nodiscard]] std::optional<ChildExit> exit() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return exit_;
    }

    /// To the group, unless it has ended. The lock keeps the id from being given to another
    /// process in between.
    void send(int number) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!exit_.has_value()) {
            ::kill(-pid_, number);
        }
    }

    bool wait_for(std::chrono::milliseconds patience) const {
        std::unique_lock<std::mutex> lock(mutex_);
        return ended_.wait_for(lock, std::min(patience, kWaitMax),
                               [this] { return exit_.has_value(); });
    }

    /// Reaps a process that has ended.
    ChildExit reap() {
        const std::lock_guard<std::mutex> lock(mutex_);
        siginfo_t ending{};
        int answer = 0;
        do {
            answer = ::waitid(P_PID, static_cast<id_t>(pid_), &ending, WEXITED | WNOHANG);
        } while (answer != 0 && errno == EINTR);
        exit_.emplace();
        if (answer == 0 && ending.si_code == CLD_EXITED) {
            exit_->code = ending.si_status;
        } else if (answer == 0 && ending.si_pid == pid_) {
            exit_->signal = ending.si_status;
        }
        ended_.notify_all();
        return *exit_;
    }

private:
    const pid_t pid_;
    mutable std::mutex mutex_;
    mutable std::condition_variable ended_;
    std::optional<ChildExit> exit_;
};

/// The sum of these lines of /proc/<pid>/status.
std::uint64_t status_bytes(pid_t pid, std::initializer_list<std::string_view> keys) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    std::uint64_t bytes = 0;
    std::string line;
    while (std::getline(status, line)) {
        for (const std::string_view key : keys) {
            if (line.starts_with(key)) {
                bytes += std::strtoull(line.c_str() + key.size(), nullptr, 10) * 1024;
            }
        }
    }
    return bytes;
}

/// Whether a process maps any of these files, whose paths are canonical.
bool maps_any(pid_t pid, std::span<const std::string> files) {
    std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
    std::string line;
    while (!files.empty() && std::getline(maps, line)) {
        const std::string_view mapped = line;
        if (std::ranges::any_of(files, [&](const std::string& file) {
                return mapped.ends_with(file) &&
                       mapped.substr(0, mapped.size() - file.size()).ends_with(' ');
            })) {
            return true;
        }
    }
    return false;
}

class ChildHandle final : public Child {
public:
    ChildHandle(std::shared_ptr<Process> process, std::shared_ptr<LogRing> log)
        : process_(std::move(process)), log_(std::move(log)) {}
    ChildHandle(const ChildHandle&) = delete;
    ChildHandle& operator=(const ChildHandle&) = delete;
    ~ChildHandle() override { process_->send(SIGKILL); }

    [[nodiscard]] pid_t pid() const override { return process_->pid(); }
    [[nodiscard]] std::optional<ChildExit> exit() const override { return process_->exit(); }
    void terminate() override {
        process_->send(SIGTERM);
        process_->send(SIGCONT);
    }
    void kill() override { process_->send(SIGKILL); }
    bool wait_for(std::chrono::milliseconds patience) override {
        return process_->wait_for(patience);
    }
    [[nodiscard]] const std::shared_ptr<LogRing>& log() const override { return log_; }
    [[nodiscard]] std::uint64_t resident_bytes() const override {
        const std::uint64_t bytes = status_bytes(process_->pid(), {"RssAnon:", "RssShmem:"});
        // Only now: had it ended before, another process might have answered.
        return process_->exit().has_value() ? 0 : bytes;
    }
    [[nodiscard]] std::uint64_t file_bytes(std::span<const std::string> files) const override {
        const bool maps = maps_any(process_->pid(), files);
        const std::uint64_t bytes = maps ? status_bytes(process_->pid(), {"RssFile:"}) : 0;
        return process_->exit().has_value() ? 0 : bytes;
    }

private:
    const std::shared_ptr<Process> process_;
    const std::shared_ptr<LogRing> log_;
};

}  // namespace

std::string ChildExit::text() const {
    if (code.has_value()) {
        return fmt::format("exited with status {}", *code);
    }
    if (signal.has_value()) {
        const char* const name = ::sigabbrev_np(*signal);
        return name == nullptr ? fmt::format("was ended by signal {}", *signal)
                               : fmt::format("was ended by signal {} (SIG{})", *signal, name);
    }
    return "ended in a way that could not be told";
}

/// The thread, and all that only it touches.
class ChildWatch::Watching {
public:
    Watching();
    ~Watching();
    Watching(const Watching&) = delete;
    Watching& operator=(const Watching&) = delete;

    using OnExit = std::function<void(const ChildExit&)>;
    Result<std::shared_ptr<Child>> start(ChildOptions options, OnExit on_exit);

private:
    using Started = Result<std::shared_ptr<Child>>;

    struct Request {
        ChildOptions options;
        OnExit on_exit;
        std::promise<Started> answer;
    };

    struct Stream {
        UniqueFd fd;
        LineAssembler lines;
    };

    struct Watched {
        std::shared_ptr<Process> process;
        std::shared_ptr<LogRing> log;
        OnExit on_exit;
        UniqueFd process_fd;
        std::array<Stream, 2> streams;  // output, errors
        /// Until when its streams may stay open, once it has ended.
        std::optional<Clock::time_point> drain_end;
    };

    /// What an event of epoll is about: a child's number times kRoles, plus one of these.
    enum Role : std::uint64_t { output = 0, errors = 1, process = 2, kRoles = 3 };
    static constexpr std::uint64_t kWakeTag = UINT64_MAX;

    void serve();
    void leave();
    [[nodiscard]] int patience_ms() const;
    void serve_requests();
    void handle(std::uint64_t tag);
    Started launch(ChildOptions& options, OnExit& on_exit);
    bool watch(int fd, std::uint64_t tag) const;
    void unwatch(UniqueFd& fd) const;
    bool read_some(Watched& child, std::size_t which);
    void close_stream(Watched& child, std::size_t which);
    void begin_drain(Watched& child);
    void finish_if_drained(std::uint64_t number, Clock::time_point now);

    const UniqueFd epoll_;
    const UniqueFd wake_;

    std::mutex mutex_;  // guards the two below
    std::deque<Request> requests_;
    bool leaving_ = false;

    // Of the thread alone:
    std::map<std::uint64_t, Watched> children_;
    std::uint64_t last_number_ = 0;
    std::optional<Clock::time_point> leave_end_;
    std::array<char, kReadBytes> buffer_{};

    std::thread thread_;
};

ChildWatch::Watching::Watching()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!epoll_.open() || !wake_.open() || !watch(wake_.get(), kWakeTag)) {
        return;  // start() says so
    }
    // The thread takes no signals: handlers would run in children that are not yet programs.
    sigset_t all{};
    sigset_t before{};
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { serve(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ChildWatch::Watching::~Watching() {
    if (!thread_.joinable()) {
        return;
    }
    TRILANE_CHECK(std::this_thread::get_id() != thread_.get_id());
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        leaving_ = true;
    }
    ::eventfd_write(wake_.get(), 1);
    thread_.join();
}

Result<std::shared_ptr<Child>> ChildWatch::Watching::start(ChildOptions options, OnExit on_exit) {
    if (!thread_.joinable()) {
        return fail(Fault::unavailable,
                    "children cannot be watched; let this process open more files");
    }
    if (std::this_thread::get_id() == thread_.get_id()) {
        return launch(options, on_exit);
    }
    std::future<Started> started;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (requests_.size() >= kStartsWaitingMax) {
            return fail(Fault::unavailable, "{} programs wait to be started; try again later",
                        requests_.size());
        }
        requests_.push_back({std::move(options), std::move(on_exit), {}});
        started = requests_.back().answer.get_future();
    }
    ::eventfd_write(wake_.get(), 1);
    return started.get();
}

void ChildWatch::Watching::serve() {
    std::array<epoll_event, kEventsMax> events{};
    for (;;) {
        const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, patience_ms());
        for (int i = 0; i < count; ++i) {
            handle(events[static_cast<std::size_t>(i)].data.u64);
        }
        const auto now = Clock::now();
        std::vector<std::uint64_t> draining;
        for (const auto& [number, child] : children_) {
            if (child.drain_end.has_value()) {
                draining.push_back(number);
            }
        }
        for (const std::uint64_t number : draining) {
            finish_if_drained(number, now);
        }
        if (leave_end_.has_value() && (children_.empty() || now >= *leave_end_)) {
            return;
        }
    }
}

/// Until the next thing that happens by itself.
int ChildWatch::Watching::patience_ms() const {
    std::optional<Clock::time_point> next = leave_end_;
    for (const auto& [number, child] : children_) {
        if (child.drain_end.has_value()) {
            next = std::min(next.value_or(*child.drain_end), *child.drain_end);
        }
    }
    if (!next.has_value()) {
        return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

void ChildWatch::Watching::handle(std::uint64_t tag) {
    if (tag == kWakeTag) {
        serve_requests();
        return;
    }
    const auto found = children_.find(tag / kRoles);
    if (found == children_.end()) {
        return;  // it was finished earlier in the same batch
    }
    if (tag % kRoles == Role::process) {
        begin_drain(found->second);
    } else {
        read_some(found->second, tag % kRoles);
    }
}

void ChildWatch::Watching::serve_requests() {
    eventfd_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
    std::deque<Request> requests;
    bool leaving = false;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        requests.swap(requests_);
        leaving = leaving_;
    }
    for (Request& request : requests) {
        request.answer.set_value(launch(request.options, request.on_exit));
    }
    if (leaving && !leave_end_.has_value()) {
        leave();
    }
}

void ChildWatch::Watching::leave() {
    leave_end_ = Clock::now() + kChildReapPatience;
    for (const auto& [number, child] : children_) {
        child.process->send(SIGKILL);
    }
}

Result<std::shared_ptr<Child>> ChildWatch::Watching::launch(ChildOptions& options,
                                                            OnExit& on_exit) {
    if (leave_end_.has_value()) {
        return fail(Fault::unavailable, "no program is started any more: the daemon is stopping");
    }
    if (children_.size() >= kChildrenMax) {
        return fail(Fault::unavailable, "{} children run already; stop one first",
                    children_.size());
    }
    TRILANE_TRY(Spawned spawned, spawn_child(options));
    const std::uint64_t number = ++last_number_;
    Watched& child = children_[number];
    child.process = std::make_shared<Process>(spawned.pid);
    child.log = options.log ? std::move(options.log) : std::make_shared<LogRing>();
    child.process_fd = std::move(spawned.process);
    child.streams[0].fd = std::move(spawned.output);
    child.streams[1].fd = std::move(spawned.errors);
    for (const std::string& remark : spawned.remarks) {
        child.log->note(remark, spawned.pid);
    }
    const bool watched = watch(child.streams[0].fd.get(), number * kRoles + Role::output) &&
                         watch(child.streams[1].fd.get(), number * kRoles + Role::errors) &&
                         watch(child.process_fd.get(), number * kRoles + Role::process);
    if (!watched) {
        child.process->send(SIGKILL);
        siginfo_t ending{};
        ::waitid(P_PID, static_cast<id_t>(spawned.pid), &ending, WEXITED | WNOWAIT);
        child.process->reap();
        children_.erase(number);
        return fail(Fault::unavailable,
                    "{} cannot be watched; raise fs.epoll.max_user_watches or free memory",
                    options.argv.front());
    }
    child.on_exit = std::move(on_exit);
    return std::make_shared<ChildHandle>(child.process, child.log);
}

bool ChildWatch::Watching::watch(int fd, std::uint64_t tag) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

/// Closing alone would not do while some other process holds a copy.
void ChildWatch::Watching::unwatch(UniqueFd& fd) const {
    if (fd.open()) {
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
        fd.reset();
    }
}

/// False when there is nothing to read now, or never again.
bool ChildWatch::Watching::read_some(Watched& child, std::size_t which) {
    Stream& stream = child.streams[which];
    if (!stream.fd.open()) {
        return false;
    }
    const ssize_t count = ::read(stream.fd.get(), buffer_.data(), buffer_.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (count <= 0) {
        close_stream(child, which);
        return false;
    }
    std::vector<std::string> lines;
    stream.lines.take({buffer_.data(), static_cast<std::size_t>(count)}, lines);
    child.log->add_lines(std::move(lines), which == Role::errors, child.process->pid());
    return true;
}

void ChildWatch::Watching::close_stream(Watched& child, std::size_t which) {
    std::vector<std::string> lines;
    child.streams[which].lines.finish(lines);
    child.log->add_lines(std::move(lines), which == Role::errors, child.process->pid());
    unwatch(child.streams[which].fd);
}

/// The group's first process has ended but is not reaped, so that the group's id is still its own:
/// the moment to end what it has left behind.
void ChildWatch::Watching::begin_drain(Watched& child) {
    if (!child.drain_end.has_value()) {
        child.process->send(SIGKILL);
        unwatch(child.process_fd);
        child.drain_end = Clock::now() + kChildDrainPatience;
    }
}

/// Forgets a child that has ended, once its streams are closed or their time is over.
void ChildWatch::Watching::finish_if_drained(std::uint64_t number, Clock::time_point now) {
    const auto found = children_.find(number);
    if (found == children_.end()) {
        return;
    }
    Watched& child = found->second;
    const bool overdue = now >= *child.drain_end;
    for (std::size_t which = 0; which < child.streams.size(); ++which) {
        for (int reads = 0; reads < kLastReadsMax && read_some(child, which); ++reads) {
        }
        if (overdue && child.streams[which].fd.open()) {
            close_stream(child, which);
        }
    }
    if (child.streams[0].fd.open() || child.streams[1].fd.open()) {
        return;
    }
    const auto ended = children_.extract(found);  // on_exit may start the next one
    const ChildExit ending = ended.mapped().process->reap();
    if (ended.mapped().on_exit) {
        ended.mapped().on_exit(ending);
    }
}

ChildWatch::ChildWatch() : watching_(std::make_unique<Watching>()) {}

ChildWatch::~ChildWatch() = default;

Result<std::shared_ptr<Child>> ChildWatch::start(ChildOptions options,
                                                 std::function<void(const ChildExit&)> on_exit) {
    if (!owner_mark().empty()) {
        options.environment.push_back(owner_mark());
    }
    return watching_->start(std::move(options), std::move(on_exit));
}

}  // namespace trilane::os
