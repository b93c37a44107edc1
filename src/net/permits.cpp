#include "net/permits.h"

#include <algorithm>

#include "base/check.h"

namespace trilane::net {

Permits::Permits(std::size_t loops, std::size_t open_max, std::size_t waiting_max)
    : open_max_(std::max<std::size_t>(open_max, 1)),
      waiting_max_(waiting_max),
      shares_(loops),
      idle_(loops) {}

Permits::Turn Permits::ask(std::size_t loop) {
    const std::scoped_lock lock(mutex_);
    if (open_ < open_max_) {
        ++open_;
        ++shares_[loop].open;
        return Turn::open;
    }
    if (waiting_ >= waiting_max_) {
        return Turn::full;
    }
    ++waiting_;
    ++shares_[loop].waiting;
    return Turn::wait;
}

void Permits::leave(std::size_t loop) {
    const std::scoped_lock lock(mutex_);
    TRILANE_CHECK(shares_[loop].waiting > 0);
    --waiting_;
    --shares_[loop].waiting;
}

std::optional<std::size_t> Permits::give_back(std::size_t loop) {
    const std::scoped_lock lock(mutex_);
    TRILANE_CHECK(shares_[loop].open > 0);
    --shares_[loop].open;
    std::optional<std::size_t> heir;
    for (std::size_t i = 1; i <= shares_.size(); ++i) {
        const std::size_t other = (loop + i) % shares_.size();  // the giver last
        if (shares_[other].waiting > 0 && (!heir || shares_[other].open < shares_[*heir].open)) {
            heir = other;
        }
    }
    if (heir) {
        ++shares_[*heir].open;
    } else {
        --open_;
    }
    return heir;
}

void Permits::set_idle(std::size_t loop, std::size_t connections) {
    idle_[loop].store(connections);
}

std::optional<std::size_t> Permits::idle_elsewhere(std::size_t loop) const {
    for (std::size_t i = 0; i < idle_.size(); ++i) {
        if (i != loop && idle_[i].load() > 0) {
            return i;
        }
    }
    return std::nullopt;
}

bool Permits::should_yield(std::size_t loop) const {
    if (waiting_.load() == 0) {
        return false;
    }
    const std::scoped_lock lock(mutex_);
    const Share& own = shares_[loop];
    for (std::size_t i = 0; i < shares_.size(); ++i) {
        const Share& other = shares_[i];
        if (i != loop && other.waiting > 0 &&
            (own.waiting == 0 || other.open == 0 || other.open + 2 <= own.open)) {
            return true;
        }
    }
    return false;
}

}  // namespace trilane::net
