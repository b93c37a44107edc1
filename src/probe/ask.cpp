#include "probe/ask.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace trilane::probe {
namespace {

using Clock = std::chrono::steady_clock;

/// How often the end of a child is looked for where the kernel cannot signal it (before Linux 5.3).
constexpr std::chrono::milliseconds kPollStep{5};
/// Reads of one stream before the others get their turn.
constexpr int kPiecesAtOnceMax = 64;

std::string reason_of(int error_number) {
    return std::generic_category().message(error_number);
}

class Descriptor {
public:
    explicit Descriptor(int number = -1) : number_(number) {}
    ~Descriptor() { close(); }
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }

    [[nodiscard]] int get() const { return number_; }
    [[nodiscard]] bool open() const { return number_ >= 0; }
    void close() {
        if (number_ >= 0) {
            ::close(release());
        }
    }
    int release() { return std::exchange(number_, -1); }

private:
    int number_;
};

struct Pipe {
    Descriptor read;
    Descriptor write;
};

/// Above the standard streams' numbers, even where those are closed in this process.
Descriptor raised(Descriptor low) {
    constexpr int kFirst = STDERR_FILENO + 1;
    return low.get() >= kFirst ? std::move(low)
                               : Descriptor(::fcntl(low.get(), F_DUPFD_CLOEXEC, kFirst));
}

bool make_pipe(Pipe& pipe) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return false;
    }
    pipe.read = raised(Descriptor(ends[0]));
    pipe.write = raised(Descriptor(ends[1]));
    return pipe.read.open() && pipe.write.open();
}

/// The descriptors and signals that the program starts with.
class Setting {
public:
    Setting() {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawnattr_init(&attributes_);
        sigset_t all;
        sigset_t none;
        ::sigfillset(&all);
        ::sigemptyset(&none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        constexpr int kFlags =
            POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
        ::posix_spawnattr_setflags(&attributes_, static_cast<short>(kFlags));
    }
    ~Setting() {
        ::posix_spawnattr_destroy(&attributes_);
        ::posix_spawn_file_actions_destroy(&actions_);
    }
    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;

    int spawn(const Question& question, int out, int err, pid_t& pid) {
        ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions_, out, STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, err, STDERR_FILENO);
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
        std::vector<char*> argv = pointers(question.argv);
        std::vector<char*> environment = pointers(question.environment);
        return ::posix_spawn(&pid, argv.front(), &actions_, &attributes_, argv.data(),
                             environment.data());
    }

private:
    static std::vector<char*> pointers(const std::vector<std::string>& texts) {
        std::vector<char*> list;
        list.reserve(texts.size() + 1);
        for (const std::string& text : texts) {
            list.push_back(const_cast<char*>(text.c_str()));  // posix_spawn() writes to none
        }
        list.push_back(nullptr);
        return list;
    }

    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

/// A child until it has ended and its answer is complete.
class Running {
public:
    Running(Started child, Clock::time_point deadline, Answer& answer)
        : pid_(child.pid),
          end_(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0))),
          out_(child.out),
          err_(child.err),
          deadline_(deadline),
          answer_(&answer) {
        for (const Descriptor* stream : {&out_, &err_}) {
            if (stream->open()) {
                ::fcntl(stream->get(), F_SETFL, O_NONBLOCK);
            }
        }
    }

    void add_to(std::vector<pollfd>& waited) const {
        for (const Descriptor* one : {&end_, &out_, &err_}) {
            if (one->open()) {
                waited.push_back({one->get(), POLLIN, 0});
            }
        }
    }

    /// When to look at it again even if nothing happens.
    [[nodiscard]] Clock::time_point next_look() const {
        return end_.open() ? deadline_ : std::min(deadline_, Clock::now() + kPollStep);
    }

    /// Takes what is there; true when there is nothing left to wait for.
    bool look() {
        drain(out_, answer_->out);
        drain(err_, answer_->err);
        siginfo_t ended{};
        constexpr int kLeaveIt = WEXITED | WNOHANG | WNOWAIT;
        if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, kLeaveIt) != 0 ||
            ended.si_pid == pid_) {
            // What it printed last lies in the pipes by now; what it started may hold them open.
            drain(out_, answer_->out);
            drain(err_, answer_->err);
            // Before it is reaped, while its number can belong to no other group.
            ::kill(-pid_, SIGKILL);
            int status = 0;
            ::waitpid(pid_, &status, WNOHANG);
            note_end(status);
            return true;
        }
        if (Clock::now() < deadline_) {
            return false;
        }
        if (killed_) {
            answer_->problem = "it hangs and cannot be ended";
            return true;
        }
        killed_ = true;
        ::kill(-pid_, SIGKILL);
        deadline_ = Clock::now() + kKillGrace;
        return false;
    }

private:
    static void drain(Descriptor& stream, std::string& text) {
        std::array<char, 16'384> piece{};
        // One that prints without end must not keep us from its deadline.
        for (int pieces = 0; stream.open() && pieces < kPiecesAtOnceMax; ++pieces) {
            const ssize_t got = ::read(stream.get(), piece.data(), piece.size());
            if (got > 0) {
                const std::size_t room = kAnswerBytesMax - text.size();
                text.append(piece.data(), std::min(static_cast<std::size_t>(got), room));
            } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
                stream.close();
            } else if (errno == EAGAIN) {
                return;
            }
        }
    }

    void note_end(int status) {
        if (killed_) {
            answer_->problem = "it did not end in time";
        } else if (WIFEXITED(status)) {
            answer_->exit_code = WEXITSTATUS(status);
        } else {
            answer_->problem = fmt::format("it was ended by signal {}", WTERMSIG(status));
        }
    }

    pid_t pid_;
    Descriptor end_;  ///< readable when the process has ended
    Descriptor out_;
    Descriptor err_;
    Clock::time_point deadline_;
    Answer* answer_;
    bool killed_ = false;
};

void wait_for(std::vector<Running>& running) {
    std::vector<pollfd> waited;
    Clock::time_point next = Clock::time_point::max();
    for (const Running& one : running) {
        one.add_to(waited);
        next = std::min(next, one.next_look());
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    ::poll(waited.data(), waited.size(), static_cast<int>(std::max<long>(0, left.count())));
}

void take_answers(std::vector<Running>& running) {
    std::erase_if(running, [](Running& one) { return one.look(); });
}

Started start(const Question& question, Answer& answer) {
    Pipe out;
    Pipe err;
    if (!make_pipe(out) || !make_pipe(err)) {
        answer.problem = "no pipe to it: " + reason_of(errno);
        return {};
    }
    pid_t pid = -1;
    Setting setting;
    if (const int fault = setting.spawn(question, out.write.get(), err.write.get(), pid);
        fault != 0) {
        answer.problem = "it cannot be started: " + reason_of(fault);
        return {};
    }
    return {pid, out.read.release(), err.read.release()};
}

}  // namespace

std::vector<Answer> ask(std::span<const Question> questions, std::chrono::milliseconds patience) {
    std::vector<Answer> answers(questions.size());
    std::vector<Running> running;
    std::size_t next = 0;
    while (next < questions.size() || !running.empty()) {
        while (next < questions.size() && running.size() < kAskedAtOnceMax) {
            Answer& answer = answers[next];
            const Started child = start(questions[next], answer);
            ++next;
            if (child.pid > 0) {
                running.emplace_back(child, Clock::now() + patience, answer);
            }
        }
        if (!running.empty()) {
            wait_for(running);
            take_answers(running);
        }
    }
    return answers;
}

Answer gather(Started child, std::chrono::milliseconds patience) {
    Answer answer;
    std::vector<Running> running;
    running.emplace_back(child, Clock::now() + patience, answer);
    while (!running.empty()) {
        wait_for(running);
        take_answers(running);
    }
    return answer;
}

}  // namespace trilane::probe
