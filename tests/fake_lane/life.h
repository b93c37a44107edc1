// Life: one fake server from its start to its end: printing, loading, opening its port, signals,
// and the ends that the script has for it.
#pragma once

#include "base/result.h"
#include "listener.h"
#include "personality.h"
#include "world.h"

namespace trilane::fake_lane {

/// **Threads:** the main thread; SIGTERM and SIGINT must be blocked in every thread.
class Life {
public:
    /// Both must live as long as the process.
    Life(World& world, Personality& personality)
        : world_(world), personality_(personality), listener_(world, personality) {}

    /// Does not return.
    [[noreturn]] void run();

private:
    void print_lines() const;
    void open();
    void load();
    void touch_memory(std::size_t bytes);
    void wait_until(Clock::time_point when);
    void look_around();
    void stop(int signal);

    World& world_;
    Personality& personality_;
    Listener listener_;
    char* memory_ = nullptr;
    std::size_t memory_bytes_ = 0;
    std::size_t touched_bytes_ = 0;
};

}  // namespace trilane::fake_lane
