#include "life.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace trilane::fake_lane {
namespace {

/// How often the main thread looks whether the script, changed meanwhile, wants an end.
constexpr auto kLookStep = std::chrono::milliseconds(50);
constexpr std::int64_t kLoadSteps = 20;
constexpr auto kForEver = Clock::time_point::max();

[[noreturn]] void leave(int code) {
    std::fflush(stdout);
    ::_exit(code);
}

sigset_t stop_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

/// A process that is there and does nothing, for those who must end whole groups.
void start_grandchild() {
    std::fflush(stdout);
    if (::fork() == 0) {
        const sigset_t signals = stop_signals();
        ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
        while (true) {
            ::pause();
        }
    }
}

}  // namespace

void Life::print_lines() const {
    for (const PrintedLine& line : world_.script()->print) {
        for (std::int64_t i = 0; i < line.repeat; ++i) {
            fmt::print(line.to_stderr ? stderr : stdout, "{}\n", line.text);
        }
    }
    std::fflush(stdout);
}

void Life::look_around() {
    const std::shared_ptr<const Script> script = world_.script();
    if (script->exit_after_ms >= 0 && Clock::now() >= world_.started + ms(script->exit_after_ms)) {
        if (script->exit_signal > 0) {
            die(script->exit_signal);
        }
        leave(static_cast<int>(script->exit_code));
    }
    if (script->exit_on_stdin_eof) {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        char byte = 0;
        if (::poll(&input, 1, 0) > 0 && ::read(STDIN_FILENO, &byte, 1) <= 0) {
            fmt::print("Stopping server...\n");
            leave(0);
        }
    }
}

void Life::wait_until(Clock::time_point when) {
    const sigset_t signals = stop_signals();
    while (true) {
        look_around();
        const Clock::time_point now = Clock::now();
        if (now >= when) {
            return;
        }
        const auto span = std::min<Clock::duration>(kLookStep, when - now);
        const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(span).count();
        const timespec patience{0, static_cast<long>(ns)};
        const int signal = ::sigtimedwait(&signals, nullptr, &patience);
        if (signal > 0 && !world_.script()->ignore_term) {
            stop(signal);
        }
    }
}

void Life::stop(int signal) {
    const std::shared_ptr<const Script> script = world_.script();
    listener_.close();
    personality_.print(Milestone::stopping, listener_.port());
    if (script->slow_term_ms > 0) {
        const timespec patience{script->slow_term_ms / 1000,
                                static_cast<long>(script->slow_term_ms % 1000 * 1'000'000)};
        const sigset_t signals = stop_signals();
        if (::sigtimedwait(&signals, nullptr, &patience) > 0) {
            leave(1);  // asked twice
        }
    }
    personality_.print(Milestone::stopped, listener_.port());
    if (personality_.ends_by_signal()) {
        die(signal);
    }
    leave(0);
}

void Life::touch_memory(std::size_t bytes) {
    const std::size_t end = std::min(bytes, memory_bytes_);
    if (end > touched_bytes_) {
        std::memset(memory_ + touched_bytes_, 1, end - touched_bytes_);
        touched_bytes_ = end;
    }
}

void Life::load() {
    const std::shared_ptr<const Script> script = world_.script();
    personality_.print(Milestone::loading, listener_.port());
    if (script->resident_mb > 0) {
        memory_bytes_ = static_cast<std::size_t>(script->resident_mb) << 20U;
        void* block = ::mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (block == MAP_FAILED) {
            memory_bytes_ = 0;
        } else {
            memory_ = static_cast<char*>(block);
        }
    }
    const Clock::time_point began = Clock::now();
    for (std::int64_t step = 1; step <= kLoadSteps; ++step) {
        touch_memory(memory_bytes_ / kLoadSteps * static_cast<std::size_t>(step));
        wait_until(began + ms(script->load_ms) * step / kLoadSteps);
    }
    touch_memory(memory_bytes_);
    if (script->never_ready) {
        wait_until(kForEver);
    }
    const std::string reason =
        script->fail_load.empty() ? personality_.load_failure(*script) : script->fail_load;
    if (!reason.empty()) {
        personality_.print_load_failure(reason);
        leave(1);
    }
    personality_.print(Milestone::loaded, listener_.port());
}

void Life::open() {
    const Address& address = personality_.address();
    const Status opened = world_.script()->fail_bind
                              ? Status(fail(Fault::unavailable, "the script wants no port"))
                              : listener_.open(address);
    if (!opened) {
        personality_.print_bind_failure(address.port);
        leave(1);
    }
    if (address.port == 0) {
        fmt::print("port {}\n", listener_.port());
        std::fflush(stdout);
    }
}

void Life::run() {
    const std::shared_ptr<const Script> script = world_.script();
    print_lines();
    if (script->grandchild) {
        start_grandchild();
    }
    wait_until(world_.started + ms(script->start_ms));
    const Opening opening = personality_.opening(*script);
    if (opening != Opening::closed) {
        open();
    }
    if (opening == Opening::answers_503) {
        listener_.start();
    }
    load();
    if (opening == Opening::closed) {
        open();
    }
    world_.ready = true;
    if (opening != Opening::answers_503) {
        listener_.start();
    }
    personality_.print(Milestone::listening, listener_.port());
    personality_.print(Milestone::idle, listener_.port());
    std::fflush(stdout);
    wait_until(kForEver);
    leave(0);
}

}  // namespace trilane::fake_lane
