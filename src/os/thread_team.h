// ThreadTeam: a fixed set of threads that run one function together, for the steps of a forward
// pass.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace trilane::os {

/// `size` workers; worker 0 is the calling thread. Between calls the others spin for a named short
/// time, then park, so that the next step of a decode finds them awake and an idle engine costs
/// nothing.
/// **Threads:** run() and share() from one thread at a time. The destructor joins.
class ThreadTeam {
public:
    explicit ThreadTeam(std::size_t size);
    ~ThreadTeam();
    ThreadTeam(const ThreadTeam&) = delete;
    ThreadTeam& operator=(const ThreadTeam&) = delete;

    [[nodiscard]] std::size_t size() const;

    /// Calls work(worker) once on every worker, 0 ≤ worker < size(), and returns when all are done.
    void run(const std::function<void(std::size_t worker)>& work);

    /// Calls work(worker, item) once for every item, 0 ≤ item < items ≤ kItemsMax, on whichever
    /// worker is free, and returns when all are done. A worker that the kernel holds back while it
    /// has no item delays nobody: on a crowded machine the caller simply does more of the work.
    void share(std::size_t items,
               const std::function<void(std::size_t worker, std::size_t item)>& work);

    static constexpr std::size_t kItemsMax = (std::size_t{1} << 24U) - 1;

    /// The right to call run() and share() while it lives, where several threads use one team.
    class Turn {
    public:
        explicit Turn(ThreadTeam& team);
        ~Turn();
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

    private:
        ThreadTeam& team_;
    };
    /// Waits for its turn: first come, first served, so that whoever takes many short ones lets the
    /// others in between. **Threads:** any.
    [[nodiscard]] Turn turn() { return Turn(*this); }

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace trilane::os
