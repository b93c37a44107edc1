// Permits: how many connections each loop may hold of those that a client may open, and whose turn
// it is when there are none left. Counts only; knows no connection and no call.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

namespace trilane::net {

/// A loop's connections stay with it, so a permit that another loop needs changes hands by closing
/// a connection here and opening one there: only when it is needed, and never to and fro for the
/// sake of balance alone. **Threads:** any.
class Permits {
public:
    Permits(std::size_t loops, std::size_t open_max, std::size_t waiting_max);

    enum class Turn {
        open,  ///< the loop may open a connection, and must give the permit back later
        wait,  ///< the loop has one more call waiting
        full,  ///< too many wait
    };
    Turn ask(std::size_t loop);
    /// One call of the loop no longer waits.
    void leave(std::size_t loop);
    /// A connection of `loop` is gone. Its permit passes to the loop that is returned, if any call
    /// waits: that one uses it or gives it back, too.
    std::optional<std::size_t> give_back(std::size_t loop);

    /// The loop says how many idle connections it has; then it must ask whether it
    /// should_yield() one.
    void set_idle(std::size_t loop, std::size_t connections);
    /// Another loop with idle connections, when calls of `loop` wait.
    [[nodiscard]] std::optional<std::size_t> idle_elsewhere(std::size_t loop) const;
    /// Whether a free connection of `loop` should be closed in favour of another loop's call.
    [[nodiscard]] bool should_yield(std::size_t loop) const;

    [[nodiscard]] std::size_t open() const { return open_.load(std::memory_order_relaxed); }

private:
    struct Share {
        std::size_t open = 0;
        std::size_t waiting = 0;
    };

    const std::size_t open_max_;
    const std::size_t waiting_max_;
    mutable std::mutex mutex_;
    std::vector<Share> shares_;
    std::atomic<std::size_t> open_ = 0;  // the sum of the shares'
    // A loop says that it has an idle connection and then looks whether anybody waits; another says
    // that it waits and then looks for idle connections. In that order, one of them sees the other.
    std::atomic<std::size_t> waiting_ = 0;  // the sum of the shares'
    std::vector<std::atomic<std::size_t>> idle_;
};

}  // namespace trilane::net
