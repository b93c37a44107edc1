// Slots: at most so many requests at once, the others wait in order. Deliberately without fairness
// between clients.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "exchange.h"

namespace trilane::fake_lane {

/// What /slots shows of one slot.
struct Slot {
    std::atomic<bool> busy{false};
    std::atomic<std::int64_t> task{-1};
    std::atomic<std::int64_t> decoded{0};
};

/// **Threads:** any.
class Slots {
public:
    /// Held while a request is computed. Movable; gives the slot back.
    class Lease {
    public:
        Lease() = default;
        Lease(Slots& owner, std::size_t index, bool waited)
            : owner_(&owner), index_(index), waited_(waited) {}
        Lease(Lease&& other) noexcept;
        Lease& operator=(Lease&& other) = delete;
        ~Lease() { release(); }
        void release();
        /// Null when there is no limit and so no slot.
        [[nodiscard]] Slot* slot() const;
        [[nodiscard]] bool waited() const { return waited_; }

    private:
        Slots* owner_ = nullptr;
        std::size_t index_ = 0;
        bool waited_ = false;
    };
    enum class Refusal { full, client_left };

    /// 0 slots = no limit.
    explicit Slots(std::size_t count);

    /// Waits for a slot, in order, watching the client; at most `waiting_max` may wait.
    tl::expected<Lease, Refusal> take(Exchange& exchange, std::size_t waiting_max = SIZE_MAX);

    [[nodiscard]] const std::deque<Slot>& all() const { return slots_; }
    [[nodiscard]] std::size_t busy() const;
    [[nodiscard]] std::size_t waiting() const;

private:
    std::optional<std::size_t> free_slot() const;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Slot> slots_;
    std::deque<std::uint64_t> line_;
    std::uint64_t tickets_ = 0;
    std::int64_t tasks_ = 0;
};

}  // namespace trilane::fake_lane
