// WorkerPool: a few named threads for work that would hold up somebody else's thread, behind a
// bounded queue. Not for the steps of a forward pass: that is ThreadTeam.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace trilane::os {

class WorkerPool {
public:
    /// **Threads:** starts `threads` of them; the destructor drops what still waits and joins after
    /// what runs.
    WorkerPool(std::size_t threads, std::size_t queue_max);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// Runs `work` soon, on some thread of the pool; false when queue_max pieces wait already.
    /// **Threads:** any, but not while the pool is being destroyed.
    [[nodiscard]] bool post(std::function<void()> work);

private:
    void serve();

    const std::size_t queue_max_;
    std::mutex mutex_;  // guards the two below; never held while work runs
    std::deque<std::function<void()>> queue_;
    bool leaving_ = false;
    std::condition_variable wake_;
    std::vector<std::thread> threads_;
};

}  // namespace trilane::os
