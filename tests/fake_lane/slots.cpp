#include "slots.h"

#include <algorithm>
#include <utility>

namespace trilane::fake_lane {
namespace {

/// How often a waiting request looks whether its client is still there.
constexpr auto kSlotLookStep = std::chrono::milliseconds(2);

}  // namespace

Slots::Lease::Lease(Lease&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)), index_(other.index_), waited_(other.waited_) {}

void Slots::Lease::release() {
    Slots* const owner = std::exchange(owner_, nullptr);
    if (owner == nullptr) {
        return;
    }
    {
        const std::scoped_lock lock(owner->mutex_);
        owner->slots_[index_].busy = false;
    }
    owner->changed_.notify_all();
}

Slot* Slots::Lease::slot() const {
    return owner_ == nullptr ? nullptr : &owner_->slots_[index_];
}

Slots::Slots(std::size_t count) : slots_(count) {}

std::optional<std::size_t> Slots::free_slot() const {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        if (!slots_[i].busy) {
            return i;
        }
    }
    return std::nullopt;
}

tl::expected<Slots::Lease, Slots::Refusal> Slots::take(Exchange& exchange,
                                                       std::size_t waiting_max) {
    if (slots_.empty()) {
        return Lease();
    }
    std::unique_lock lock(mutex_);
    std::optional<std::size_t> index = free_slot();
    const bool waits = !index || !line_.empty();
    if (waits) {
        if (line_.size() >= waiting_max) {
            return tl::unexpected(Refusal::full);
        }
        const std::uint64_t ticket = ++tickets_;
        line_.push_back(ticket);
        while (line_.front() != ticket || !(index = free_slot())) {
            changed_.wait_for(lock, kSlotLookStep);
            lock.unlock();
            const bool left = exchange.client_left();
            lock.lock();
            if (left) {
                std::erase(line_, ticket);
                lock.unlock();
                changed_.notify_all();
                return tl::unexpected(Refusal::client_left);
            }
        }
        line_.pop_front();
    }
    Slot& slot = slots_[*index];
    slot.busy = true;
    slot.task = tasks_++;
    slot.decoded = 0;
    lock.unlock();
    if (waits) {
        changed_.notify_all();
    }
    return Lease(*this, *index, waits);
}

std::size_t Slots::busy() const {
    return static_cast<std::size_t>(std::count_if(
        slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.busy.load(); }));
}

std::size_t Slots::waiting() const {
    const std::scoped_lock lock(mutex_);
    return line_.size();
}

}  // namespace trilane::fake_lane
