#include "os/child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "os/orphans.h"
#include "os/unique_fd.h"

namespace trilane::os {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kPatience = 60s;  // for what always happens, on a slow machine too

ChildOptions options_of(std::vector<std::string> argv) {
    ChildOptions options;
    options.argv = std::move(argv);
    options.environment = {"PATH=/usr/bin:/bin"};
    return options;
}

ChildOptions shell(const std::string& script) {
    return options_of({"/bin/sh", "-c", script});
}

std::vector<std::string> texts(const LogRing& log) {
    std::vector<std::string> texts;
    for (const LogLine& line : log.lines()) {
        texts.push_back(line.text);
    }
    return texts;
}

/// Waits until a child has printed a line that begins so; answers the rest of the line.
std::string awaited_line(const LogRing& log, std::string_view beginning) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
        for (const std::string& text : texts(log)) {
            if (text.starts_with(beginning)) {
                return text.substr(beginning.size());
            }
        }
        std::this_thread::sleep_for(1ms);
    }
    ADD_FAILURE() << "no line \"" << beginning << "\" among: " << log.tail(10);
    return "";
}

/// Any process, also one that is not ours to wait for. Open it while it is known to live.
UniqueFd process_fd(pid_t pid) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool has_ended(const UniqueFd& process, std::chrono::milliseconds patience) {
    pollfd wait{process.get(), POLLIN, 0};
    return ::poll(&wait, 1, static_cast<int>(patience.count())) == 1;
}

std::size_t open_files() {
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name = std::filesystem::temp_directory_path() / "trilane-child-XXXXXX";
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        path = name;
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path); }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] std::string file(const std::string& name, const std::string& content,
                                   mode_t mode) const {
        const std::string whole = path / name;
        std::ofstream(whole) << content;
        EXPECT_EQ(::chmod(whole.c_str(), mode), 0);
        return whole;
    }

    std::filesystem::path path;
};

/// Starts a program and waits for its end, with all it said.
struct Ran {
    std::shared_ptr<Child> child;
    ChildExit exit;
};

Ran run(ChildWatch& watch, ChildOptions options) {
    std::promise<ChildExit> ended;
    auto child =
        watch.start(std::move(options), [&ended](const ChildExit& exit) { ended.set_value(exit); });
    if (!child) {
        ADD_FAILURE() << child.error().message;
        return {};
    }
    auto exit = ended.get_future();
    EXPECT_EQ(exit.wait_for(kPatience), std::future_status::ready);
    return {*child, exit.get()};
}

Error start_error(ChildWatch& watch, ChildOptions options) {
    auto child = watch.start(std::move(options), [](const ChildExit&) { ADD_FAILURE(); });
    EXPECT_FALSE(child);
    return child ? Error{} : child.error();
}

TEST(Child, SaysWhatItPrintedAndHowItEnded) {
    ChildWatch watch;
    const Ran ran = run(watch, shell("echo one; echo two >&2; printf three; exit 7"));
    ASSERT_TRUE(ran.child);
    EXPECT_EQ(ran.exit.code, 7);
    EXPECT_FALSE(ran.exit.signal.has_value());
    EXPECT_EQ(ran.exit.text(), "exited with status 7");
    EXPECT_EQ(ran.child->exit()->code, 7);
    EXPECT_TRUE(ran.child->wait_for(0ms));
    EXPECT_TRUE(ran.child->wait_for(std::chrono::milliseconds::max()));
    EXPECT_THAT(texts(*ran.child->log()), ::testing::UnorderedElementsAre("one", "two", "three"));
    for (const LogLine& line : ran.child->log()->lines()) {
        EXPECT_EQ(line.error_stream, line.text == "two");
    }
    ran.child->terminate();  // nobody is hit any more
    ran.child->kill();
    EXPECT_EQ(ran.child->exit()->code, 7);
}

TEST(Child, SharesARingWithoutMixingLines) {
    ChildWatch watch;
    const auto log = std::make_shared<LogRing>();
    ChildOptions first = shell("printf hal; echo ready >&2; sleep 1000");
    first.log = log;
    auto child = watch.start(std::move(first), {});
    ASSERT_TRUE(child);
    EXPECT_EQ((*child)->log(), log);
    awaited_line(*log, "ready");
    ChildOptions second = shell("echo whole");
    second.log = log;
    run(watch, std::move(second));
    EXPECT_THAT(texts(*log), ElementsAre("ready", "whole"));
    (*child)->kill();
    ASSERT_TRUE((*child)->wait_for(kPatience));
    EXPECT_THAT(texts(*log), ElementsAre("ready", "whole", "hal"));
}

TEST(Child, NamesItsSignal) {
    ChildWatch watch;
    EXPECT_EQ(run(watch, shell("kill -KILL $$")).exit.text(), "was ended by signal 9 (SIGKILL)");
    EXPECT_EQ(run(watch, shell("kill -SEGV $$")).exit.signal, SIGSEGV);
    EXPECT_EQ((ChildExit{{}, SIGRTMIN + 3}).text(),
              "was ended by signal " + std::to_string(SIGRTMIN + 3));
    EXPECT_THAT(ChildExit{}.text(), HasSubstr("could not be told"));
}

TEST(Child, StartErrorsSayWhatToDo) {
    ChildWatch watch;
    const TemporaryDirectory directory;
    Error error = start_error(watch, options_of({"/no/such/program"}));
    EXPECT_EQ(error.fault, Fault::not_found);
    EXPECT_THAT(error.message, HasSubstr("/no/such/program"));

    ChildOptions relative = options_of({"no-such-program"});
    relative.directory = directory.path;
    error = start_error(watch, relative);
    EXPECT_EQ(error.fault, Fault::not_found);
    EXPECT_THAT(error.message, HasSubstr((directory.path / "no-such-program").string()));

    relative.directory = directory.path / "missing";
    error = start_error(watch, relative);
    EXPECT_EQ(error.fault, Fault::not_found);
    EXPECT_THAT(error.message, HasSubstr(relative.directory));

    error = start_error(watch, options_of({directory.file("data", "text", 0644)}));
    EXPECT_EQ(error.fault, Fault::unavailable);
    EXPECT_THAT(error.message, HasSubstr("may not be executed"));

    error = start_error(watch, options_of({directory.file("garbage", "no program", 0755)}));
    EXPECT_EQ(error.fault, Fault::unavailable);
    EXPECT_THAT(error.message, HasSubstr("no program for this machine"));

    error = start_error(watch,
                        options_of({directory.file("orphan", "#!/no/such/interpreter\n", 0755)}));
    EXPECT_EQ(error.fault, Fault::unavailable);
    EXPECT_THAT(error.message, HasSubstr("interpreter"));

    EXPECT_EQ(start_error(watch, options_of({})).fault, Fault::invalid);
    EXPECT_EQ(start_error(watch, options_of({"/bin/true", std::string("a\0b", 3)})).fault,
              Fault::invalid);
    errno = 0;
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // what failed is reaped, too
    EXPECT_EQ(errno, ECHILD);
}

TEST(Child, InheritsNothingButWhatItIsGiven) {
    ChildWatch watch;
    const UniqueFd leak(::open("/dev/null", O_RDONLY));  // somebody forgot O_CLOEXEC
    ASSERT_TRUE(leak.open());
    const TemporaryDirectory directory;
    ChildOptions options = options_of({"/usr/bin/env"});
    options.environment = {"ONE=1", "TWO=two words"};
    EXPECT_THAT(texts(*run(watch, options).child->log()),
                ElementsAre("ONE=1", "TWO=two words", owner_mark()));

    // 3 is the listing's own.
    EXPECT_THAT(texts(*run(watch, options_of({"/bin/ls", "/proc/self/fd"})).child->log()),
                ElementsAre("0", "1", "2", "3"));

    ChildOptions elsewhere = shell("pwd; readlink /proc/$$/fd/0; cat; ulimit -c; echo $0 $1");
    elsewhere.argv.insert(elsewhere.argv.end(), {"zero", "first"});
    elsewhere.directory = std::filesystem::canonical(directory.path);
    EXPECT_THAT(texts(*run(watch, elsewhere).child->log()),
                ElementsAre(elsewhere.directory, "/dev/null", "0", "zero first"));
}

TEST(Child, StartsWithDefaultSignals) {
    sigset_t blocked{};
    sigset_t before{};
    ::sigemptyset(&blocked);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        ::sigaddset(&blocked, number);
    }
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    const auto old_pipe = std::signal(SIGPIPE, SIG_IGN);
    const auto old_user = std::signal(SIGUSR1, [](int) {});
    {
        ChildWatch watch;
        // cat installs no handlers of its own.
        const Ran ran = run(watch, options_of({"/bin/cat", "/proc/self/status"}));
        std::vector<std::string> masks;
        for (const std::string& text : texts(*ran.child->log())) {
            if (text.starts_with("SigBlk") || text.starts_with("SigIgn") ||
                text.starts_with("SigCgt")) {
                masks.push_back(text);
            }
        }
        EXPECT_THAT(masks, ElementsAre("SigBlk: 0000000000000000", "SigIgn: 0000000000000000",
                                       "SigCgt: 0000000000000000"));
        // And ours are as they were.
        EXPECT_EQ(std::signal(SIGPIPE, SIG_IGN), SIG_IGN);
        auto child = watch.start(options_of({"/bin/sleep", "1000"}), {});
        ASSERT_TRUE(child);
        (*child)->terminate();
        ASSERT_TRUE((*child)->wait_for(kPatience));
        EXPECT_EQ((*child)->exit()->signal, SIGTERM);
    }
    std::signal(SIGPIPE, old_pipe);
    std::signal(SIGUSR1, old_user);
    ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
}

TEST(Child, RunsWithinItsWishes) {
    rlimit memlock{};
    ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &memlock), 0);
    ChildWatch watch;
    ChildOptions options = shell("ulimit -l; nice; exec cat /proc/self/stat");
    options.niceness = 7;
    options.memlock_bytes =
        memlock.rlim_max == RLIM_INFINITY ? memlock.rlim_max : memlock.rlim_max / 1024 * 1024;
    const Ran ran = run(watch, options);
    const auto lines = texts(*ran.child->log());
    ASSERT_EQ(lines.size(), 3U) << ran.child->log()->tail(5);
    EXPECT_EQ(lines[0], *options.memlock_bytes == RLIM_INFINITY
                            ? "unlimited"
                            : std::to_string(*options.memlock_bytes / 1024));
    EXPECT_EQ(lines[1], "7");
    const std::string pid = std::to_string(ran.child->pid());  // parent, group, session follow
    EXPECT_THAT(lines[2], HasSubstr(") R " + std::to_string(::getpid()) + " " + pid + " " + pid));
    rlimit after{};
    ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &after), 0);
    EXPECT_EQ(after.rlim_cur, memlock.rlim_cur);
}

/// Takes the rights to raise limits and priorities from the calling thread alone.
void drop_privileges() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    ASSERT_EQ(::syscall(SYS_capget, &header, sets.data()), 0);
    sets[0].effective &= ~((1U << CAP_SYS_RESOURCE) | (1U << CAP_SYS_NICE));
    ASSERT_EQ(::syscall(SYS_capset, &header, sets.data()), 0);
}

TEST(Child, WhatTheSystemDoesNotGrantIsARemark) {
    rlimit memlock{};
    ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &memlock), 0);
    std::thread([hard = memlock.rlim_max] {
        drop_privileges();
        ChildWatch watch;  // its thread has no more rights than this one
        ChildOptions options = shell("ulimit -l; nice");
        options.niceness = -5;
        if (hard == RLIM_INFINITY) {  // nothing is more
            EXPECT_THAT(texts(*run(watch, options).child->log()),
                        ElementsAre(HasSubstr("niceness -5"), ::testing::_, "0"));
            return;
        }
        options.memlock_bytes = hard * 2;
        EXPECT_THAT(texts(*run(watch, options).child->log()),
                    ElementsAre(HasSubstr("LimitMEMLOCK"), HasSubstr("niceness -5"),
                                std::to_string(hard / 1024), "0"));
    }).join();
}

TEST(Child, JoinsItsControlGroupOrSaysWhyNot) {
    ChildWatch watch;
    const TemporaryDirectory group;
    const std::string members = group.file("cgroup.procs", "", 0644);
    ChildOptions options = shell("echo runs");
    options.cgroup = group.path;
    EXPECT_THAT(texts(*run(watch, options).child->log()), ElementsAre("runs"));
    std::string joined;
    std::ifstream(members) >> joined;
    EXPECT_EQ(joined, "0");  // the kernel's word for "the writer"

    options.cgroup = group.path / "missing";
    EXPECT_THAT(texts(*run(watch, options).child->log()),
                ElementsAre(HasSubstr(options.cgroup), "runs"));
}

TEST(Child, TellsItsResidentBytes) {
    constexpr std::uint64_t kBytes = 8'000'000;
    ChildWatch watch;
    auto child = watch.start(shell("x=$(head -c " + std::to_string(kBytes) +
                                   " /dev/zero | tr '\\0' x); echo ready; sleep 1000; echo $x"),
                             {});
    ASSERT_TRUE(child);
    awaited_line(*(*child)->log(), "ready");
    EXPECT_GT((*child)->resident_bytes(), kBytes);
    EXPECT_LT((*child)->resident_bytes(), kBytes * 10);
    (*child)->kill();
    ASSERT_TRUE((*child)->wait_for(kPatience));
    EXPECT_EQ((*child)->resident_bytes(), 0U);
}

/// A child that has a child, both asleep; `grandchild` is open.
std::shared_ptr<Child> family(ChildWatch& watch, const std::string& script, UniqueFd& grandchild) {
    auto child = watch.start(shell(script), {});
    if (!child) {
        ADD_FAILURE() << child.error().message;
        return nullptr;
    }
    grandchild = process_fd(std::stoi(awaited_line(*(*child)->log(), "grandchild ")));
    EXPECT_TRUE(grandchild.open());
    return *child;
}

TEST(Child, SignalsReachTheWholeGroup) {
    ChildWatch watch;
    const std::string script = "sleep 1000 & echo grandchild $!; wait";
    for (const bool gently : {true, false}) {
        UniqueFd grandchild;
        const auto child = family(watch, script, grandchild);
        ASSERT_TRUE(child);
        EXPECT_FALSE(child->exit().has_value());
        EXPECT_FALSE(child->wait_for(0ms));
        gently ? child->terminate() : child->kill();
        ASSERT_TRUE(child->wait_for(kPatience));
        EXPECT_EQ(child->exit()->signal, gently ? SIGTERM : SIGKILL);
        EXPECT_TRUE(has_ended(grandchild, kPatience));
    }
}

TEST(Child, ItsEndIsTheEndOfWhatItStarted) {
    ChildWatch watch;
    UniqueFd grandchild;
    const auto child =
        family(watch,
               "trap 'exit 3' TERM; (trap '' TERM; exec sleep 1000) & echo grandchild $!;"
               " while :; do wait; done",
               grandchild);
    ASSERT_TRUE(child);
    child->terminate();  // the grandchild ignores it, and holds the pipes
    ASSERT_TRUE(child->wait_for(kPatience));
    EXPECT_EQ(child->exit()->code, 3);
    EXPECT_TRUE(has_ended(grandchild, kPatience));
}

TEST(Child, AProcessThatLeftTheGroupDelaysTheEndByABoundOnly) {
    ChildWatch watch;
    UniqueFd escaped;
    const auto child =
        family(watch, "setsid sh -c 'echo grandchild $$; exec sleep 1000' & sleep 1000", escaped);
    ASSERT_TRUE(child);
    const auto begin = std::chrono::steady_clock::now();
    child->kill();
    ASSERT_TRUE(child->wait_for(kPatience));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, kChildDrainPatience);
    EXPECT_FALSE(has_ended(escaped, 0ms));
    EXPECT_EQ(::syscall(SYS_pidfd_send_signal, escaped.get(), SIGKILL, nullptr, 0), 0);
    EXPECT_TRUE(has_ended(escaped, kPatience));
}

TEST(Child, AStoppedOneCanBeTerminated) {
    ChildWatch watch;
    auto child = watch.start(options_of({"/bin/sleep", "1000"}), {});
    ASSERT_TRUE(child);
    ASSERT_EQ(::kill((*child)->pid(), SIGSTOP), 0);
    (*child)->terminate();
    ASSERT_TRUE((*child)->wait_for(kPatience));
    EXPECT_EQ((*child)->exit()->signal, SIGTERM);
}

TEST(Child, ItsLastReferenceKillsIt) {
    ChildWatch watch;
    std::promise<ChildExit> ended;
    auto exit = ended.get_future();
    {
        auto child = watch.start(options_of({"/bin/sleep", "1000"}),
                                 [&ended](const ChildExit& how) { ended.set_value(how); });
        ASSERT_TRUE(child);
        EXPECT_EQ(exit.wait_for(0ms), std::future_status::timeout);
    }
    ASSERT_EQ(exit.wait_for(kPatience), std::future_status::ready);
    EXPECT_EQ(exit.get().signal, SIGKILL);
}

TEST(ChildWatch, ItsEndKillsAndReapsAll) {
    std::atomic<int> ended = 0;
    std::vector<std::shared_ptr<Child>> children;
    {
        ChildWatch watch;
        for (int i = 0; i < 5; ++i) {
            auto child = watch.start(options_of({"/bin/sleep", "1000"}),
                                     [&ended](const ChildExit&) { ++ended; });
            ASSERT_TRUE(child);
            children.push_back(*child);
        }
    }
    EXPECT_EQ(ended, 5);
    for (const auto& child : children) {
        EXPECT_EQ(child->exit()->signal, SIGKILL);
    }
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(ChildWatch, StartsTheNextFromOnExit) {
    std::promise<ChildExit> second_ended;
    std::atomic<bool> refused = false;
    std::shared_ptr<Child> second;
    ChildWatch watch;
    auto first = watch.start(shell("exit 1"), [&](const ChildExit&) {
        refused = !watch.start(options_of({"/no/such/program"}), {});
        second = *watch.start(shell("exit 2"),
                              [&](const ChildExit& exit) { second_ended.set_value(exit); });
    });
    ASSERT_TRUE(first);
    auto exit = second_ended.get_future();
    ASSERT_EQ(exit.wait_for(kPatience), std::future_status::ready);
    EXPECT_EQ(exit.get().code, 2);
    EXPECT_TRUE(refused);
}

TEST(ChildWatch, ReadsWithoutEndWhatAChildPrints) {
    ChildWatch watch;
    const Ran ran = run(watch, shell("head -c 20000000 /dev/urandom; yes | head -n 200000;"
                                     " printf '\\nlast\\n'"));
    EXPECT_EQ(ran.exit.code, 0);
    EXPECT_EQ(ran.child->log()->tail(1), "last");
    std::size_t bytes = 0;
    for (const LogLine& line : ran.child->log()->lines()) {
        bytes += line.text.size();
    }
    EXPECT_LE(bytes, std::size_t{256} << 10U);
}

TEST(ChildWatch, RefusesMoreThanItWatches) {
    std::vector<std::shared_ptr<Child>> children;
    ChildWatch watch;
    for (std::size_t i = 0; i < kChildrenMax; ++i) {
        auto child = watch.start(options_of({"/bin/sleep", "1000"}), {});
        ASSERT_TRUE(child) << child.error().message;
        children.push_back(*std::move(child));
    }
    EXPECT_EQ(start_error(watch, options_of({"/bin/true"})).fault, Fault::unavailable);
    children.front()->kill();
    ASSERT_TRUE(children.front()->wait_for(kPatience));
    EXPECT_EQ(run(watch, options_of({"/bin/true"})).exit.code, 0);
}

TEST(ChildWatch, AKilledProcessLeavesNoChildren) {
    ChildWatch watch;
    auto owner = watch.start(options_of({TRILANE_CHILD_TEST_OWNER}), {});
    ASSERT_TRUE(owner) << owner.error().message;
    const pid_t sleeper = std::stoi(awaited_line(*(*owner)->log(), "sleeper "));
    const UniqueFd process = process_fd(sleeper);
    ASSERT_TRUE(process.open());
    EXPECT_NE(::getpgid(sleeper), (*owner)->pid());  // no signal to the owner's group reaches it
    EXPECT_FALSE(has_ended(process, 0ms));
    ASSERT_EQ(::kill((*owner)->pid(), SIGKILL), 0);
    EXPECT_TRUE(has_ended(process, kPatience));
    ASSERT_TRUE((*owner)->wait_for(kPatience));
    end_orphans();  // of its child
}

TEST(Orphans, AreEndedByWhoLooks) {
    ChildWatch watch;
    auto owner = watch.start(options_of({TRILANE_CHILD_TEST_OWNER}), {});
    ASSERT_TRUE(owner) << owner.error().message;
    // The owner's child starts one of its own, in a session that no signal to the owner reaches.
    const UniqueFd orphan = process_fd(std::stoi(awaited_line(*(*owner)->log(), "grandchild ")));
    const UniqueFd sleeper = process_fd(std::stoi(awaited_line(*(*owner)->log(), "sleeper ")));
    ASSERT_TRUE(orphan.open() && sleeper.open());
    end_orphans();
    EXPECT_FALSE(has_ended(orphan, 0ms)) << "its owner lives";
    ASSERT_EQ(::kill((*owner)->pid(), SIGKILL), 0);
    ASSERT_TRUE((*owner)->wait_for(kPatience));
    ASSERT_TRUE(has_ended(sleeper, kPatience));
    EXPECT_FALSE(has_ended(orphan, 0ms)) << "else this tests nothing";
    EXPECT_GE(end_orphans(), 1U);
    EXPECT_TRUE(has_ended(orphan, kPatience));
}

TEST(ChildWatch, ManyShortChildrenFromManyThreads) {
    constexpr int kThreads = 4;
    constexpr int kEach = 50;
    const std::size_t files_before = open_files();
    std::atomic<int> ended = 0;
    std::atomic<int> wrong = 0;
    {
        ChildWatch watch;
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                std::vector<std::shared_ptr<Child>> mine;
                for (int i = 0; i < kEach; ++i) {
                    const int code = (t * kEach + i) % 200;
                    auto child = watch.start(shell("echo said " + std::to_string(code) + "; exit " +
                                                   std::to_string(code)),
                                             [&, code](const ChildExit& exit) {
                                                 ++ended;
                                                 wrong += exit.code == code ? 0 : 1;
                                             });
                    if (!child) {
                        ++wrong;
                    } else if (i % 5 != 4) {
                        mine.push_back(*child);
                    } else if (!(*child)->wait_for(kPatience)) {
                        ++wrong;
                    } else if ((*child)->log()->tail(9) != "said " + std::to_string(code)) {
                        ++wrong;
                    }
                }
                for (const auto& child : mine) {
                    wrong += child->wait_for(kPatience) ? 0 : 1;
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
    }
    EXPECT_EQ(ended, kThreads * kEach);
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(open_files(), files_before);
    errno = 0;
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(ChildWatch, HandlesAreSignalledWhileChildrenEnd) {
    ChildWatch watch;
    for (int round = 0; round < 30; ++round) {
        auto child = watch.start(shell("exit 0"), {});
        ASSERT_TRUE(child);
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([&child, t] {
                while (!(*child)->exit().has_value()) {
                    if (t == 0) {
                        (*child)->terminate();
                    } else if (t == 1) {
                        (*child)->kill();
                    } else {
                        static_cast<void>((*child)->resident_bytes());
                    }
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
    }
}

}  // namespace
}  // namespace trilane::os
