// Loops: the threads that move bytes, each with an event loop of its own. A server and its clients
// share them, so that a request that is passed on does not change threads.
#pragma once

#include <memory>

namespace trilane::net {

class Loops {
public:
    /// **Threads:** starts `threads` of them; the destructor joins. Whatever uses the loops must be
    /// gone by then. Throws std::exception where the system has no thread or descriptor left.
    explicit Loops(unsigned threads);
    ~Loops();
    Loops(const Loops&) = delete;
    Loops& operator=(const Loops&) = delete;

    class Running;  ///< the contexts: for net's own sources
    [[nodiscard]] Running& running() { return *running_; }

private:
    std::unique_ptr<Running> running_;
};

}  // namespace trilane::net
