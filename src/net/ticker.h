// Ticker: a callback again and again on a loop's thread, while there is something to watch. For
// work that bytes do not trigger: looking after what has gone quiet.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "net/loops.h"

namespace trilane::net {

class Ticker {
public:
    /// Asleep until wake(). Awake, it calls `tick` every `period`, first after one; when `tick`
    /// returns false it sleeps again, unless wake() was called meanwhile. `tick` must not block.
    /// The loops must outlive the ticker.
    Ticker(Loops& loops, std::chrono::milliseconds period, std::function<bool()> tick);
    /// No tick begins after this; one that has begun may still be running on its thread.
    /// **Threads:** any, also from within `tick`.
    ~Ticker();
    Ticker(const Ticker&) = delete;
    Ticker& operator=(const Ticker&) = delete;

    /// Cheap when it is awake already. **Threads:** any.
    void wake();

private:
    class Ticking;
    std::shared_ptr<Ticking> ticking_;
};

}  // namespace trilane::net
