#include "os/thread_team.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/check.h"

namespace trilane::os {
namespace {

/// How long a worker (or the caller at the end of a run) polls before it parks in the kernel.
/// Longer than the gaps between the steps of a decode, short against the time between two requests.
constexpr std::chrono::microseconds kSpinMax{100};
/// How many CPUs the scheduler may give this process.
std::size_t usable_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) {
        return std::max(1U, std::thread::hardware_concurrency());
    }
    return static_cast<std::size_t>(CPU_COUNT(&set));
}

/// Polls between two looks at the clock.
constexpr int kPollsPerClockLook = 64;

void pause_core() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield" ::: "memory");
#endif
}

/// Returns once `word` differs from `old`: polls up to kSpinMax, then parks until notified.
/// With `crowded` (more workers than cores) polling gives the core away, so that whoever has to
/// change the word can run.
void await_change(const std::atomic<std::int32_t>& word, std::int32_t old, bool crowded) {
    const auto deadline = std::chrono::steady_clock::now() + kSpinMax;
    do {
        for (int i = 0; i < kPollsPerClockLook; ++i) {
            if (word.load(std::memory_order_acquire) != old) {
                return;
            }
            if (crowded) {
                std::this_thread::yield();
            } else {
                pause_core();
            }
        }
    } while (std::chrono::steady_clock::now() < deadline);
    word.wait(old, std::memory_order_acquire);
}

}  // namespace

struct ThreadTeam::State {
    // std::int32_t is the type that libstdc++ parks on without a detour.
    // One cache line each: every worker polls `run`, every worker writes `left`.
    alignas(64) std::atomic<std::int32_t> run{
        0};  ///< number of runs begun; workers wait for a change
    alignas(64) std::atomic<std::int32_t> left{0};  ///< workers still busy in this run
    alignas(64) const std::function<void(std::size_t)>* work = nullptr;  ///< null: leave
    bool crowded = false;
    std::vector<std::thread> threads;

    void serve(std::size_t worker) {
        std::int32_t seen = 0;
        for (;;) {
            await_change(run, seen, crowded);
            // A run ends only when all workers have served it, so none is missed; the count may
            // wrap.
            seen = run.load(std::memory_order_acquire);
            if (work == nullptr) {
                return;
            }
            (*work)(worker);
            if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                left.notify_one();
            }
        }
    }

    void begin(const std::function<void(std::size_t)>* next) {
        work = next;
        left.store(static_cast<std::int32_t>(threads.size()), std::memory_order_relaxed);
        run.fetch_add(1, std::memory_order_release);
        run.notify_all();
    }

    void finish() {
        for (std::int32_t now = left.load(std::memory_order_acquire); now != 0;
             now = left.load(std::memory_order_acquire)) {
            await_change(left, now, crowded);
        }
    }
};

ThreadTeam::ThreadTeam(std::size_t size) : state_(std::make_unique<State>()) {
    TRILANE_CHECK(size >= 1);
    state_->crowded = size > usable_cpus();
    state_->threads.reserve(size - 1);
    for (std::size_t worker = 1; worker < size; ++worker) {
        state_->threads.emplace_back([state = state_.get(), worker] { state->serve(worker); });
    }
}

ThreadTeam::~ThreadTeam() {
    state_->begin(nullptr);
    for (std::thread& thread : state_->threads) {
        thread.join();
    }
}

std::size_t ThreadTeam::size() const {
    return state_->threads.size() + 1;
}

void ThreadTeam::run(const std::function<void(std::size_t worker)>& work) {
    if (state_->threads.empty()) {
        work(0);
        return;
    }
    state_->begin(&work);
    work(0);
    state_->finish();
}

}  // namespace trilane::os
