#include "os/thread_team.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
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

/// Which items of a share() are still to be taken, in one word, so that taking one also proves that
/// the share it belongs to is still on: a worker that slept through a share can take nothing of it.
struct Ticket {
    static constexpr unsigned kItemBits = 24;
    static constexpr std::uint64_t kItemMask = (std::uint64_t{1} << kItemBits) - 1;

    static std::uint64_t first(std::uint64_t share, std::size_t items) {
        return share << (2 * kItemBits) | static_cast<std::uint64_t>(items) << kItemBits;
    }
    static std::size_t next(std::uint64_t ticket) { return ticket & kItemMask; }
    static std::size_t items(std::uint64_t ticket) { return ticket >> kItemBits & kItemMask; }
};

}  // namespace

struct ThreadTeam::State {
    using Work = std::function<void(std::size_t)>;
    using Share = std::function<void(std::size_t, std::size_t)>;
    /// The low bits of `calls`, so that a worker never pairs one call's number with another's kind.
    enum Call : std::uint32_t { run, share, leave };
    static constexpr std::uint32_t kCallMask = 3;

    // std::int32_t is the type that libstdc++ parks on without a detour. One cache line each: every
    // worker polls `calls` and writes the others.
    alignas(64) std::atomic<std::int32_t> calls{0};  ///< how many began, and the last one's kind
    alignas(64) std::atomic<std::int32_t> left{0};  ///< workers (run) or items (share) not done yet
    alignas(64) std::atomic<std::uint64_t> ticket{0};
    alignas(64) std::atomic<const Work*> work{nullptr};
    std::atomic<const Share*> shared{nullptr};
    std::uint64_t shares = 0;
    bool crowded = false;
    std::vector<std::thread> threads;

    std::mutex turns;  // guards the two below
    std::uint64_t turns_asked = 0;
    std::uint64_t turns_over = 0;
    std::condition_variable turn_over;

    void serve(std::size_t worker) {
        std::int32_t seen = 0;
        for (;;) {
            await_change(calls, seen, crowded);
            // Shares may be slept through, a run never: it ends only when all workers have served
            // it.
            seen = calls.load(std::memory_order_acquire);
            switch (static_cast<std::uint32_t>(seen) & kCallMask) {
                case run:
                    (*work.load(std::memory_order_relaxed))(worker);
                    done();
                    break;
                case share:
                    take_items(worker);
                    break;
                default:
                    return;
            }
        }
    }

    /// Takes items until none is left. Only while an item is held is `shared` sure to stay.
    void take_items(std::size_t worker) {
        std::uint64_t now = ticket.load(std::memory_order_acquire);
        while (Ticket::next(now) < Ticket::items(now)) {
            if (ticket.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
                (*shared.load(std::memory_order_acquire))(worker, Ticket::next(now));
                done();
                now = ticket.load(std::memory_order_acquire);
            }
        }
    }

    void done() {
        if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            left.notify_one();
        }
    }

    void begin(Call kind) {
        const auto number = static_cast<std::uint32_t>(calls.load(std::memory_order_relaxed));
        const std::uint32_t next = (number & ~kCallMask) + (kCallMask + 1) + kind;
        calls.store(static_cast<std::int32_t>(next), std::memory_order_release);
        calls.notify_all();
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
    state_->begin(State::leave);
    for (std::thread& thread : state_->threads) {
        thread.join();
    }
}

std::size_t ThreadTeam::size() const {
    return state_->threads.size() + 1;
}

ThreadTeam::Turn::Turn(ThreadTeam& team) : team_(team) {
    State& state = *team_.state_;
    std::unique_lock<std::mutex> lock(state.turns);
    const std::uint64_t own = state.turns_asked++;
    state.turn_over.wait(lock, [&] { return state.turns_over == own; });
}

ThreadTeam::Turn::~Turn() {
    State& state = *team_.state_;
    bool awaited = false;
    {
        const std::lock_guard<std::mutex> lock(state.turns);
        awaited = ++state.turns_over != state.turns_asked;
    }
    if (awaited) {
        state.turn_over.notify_all();
    }
}

void ThreadTeam::run(const std::function<void(std::size_t)>& work) {
    if (state_->threads.empty()) {
        work(0);
        return;
    }
    state_->work.store(&work, std::memory_order_relaxed);
    state_->left.store(static_cast<std::int32_t>(state_->threads.size()),
                       std::memory_order_relaxed);
    state_->begin(State::run);
    work(0);
    state_->finish();
}

void ThreadTeam::share(std::size_t items,
                       const std::function<void(std::size_t, std::size_t)>& work) {
    TRILANE_CHECK(items <= kItemsMax);
    if (state_->threads.empty() || items <= 1) {
        for (std::size_t item = 0; item < items; ++item) {
            work(0, item);
        }
        return;
    }
    state_->shared.store(&work, std::memory_order_relaxed);
    state_->left.store(static_cast<std::int32_t>(items), std::memory_order_relaxed);
    state_->ticket.store(Ticket::first(++state_->shares, items), std::memory_order_release);
    state_->begin(State::share);
    state_->take_items(0);
    state_->finish();
}

}  // namespace trilane::os
