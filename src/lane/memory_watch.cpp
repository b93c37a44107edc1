#include "lane/memory_watch.h"

#include <algorithm>
#include <utility>

namespace trilane::lane {

MemoryWatch::Seen MemoryWatch::Subject::last() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return seen_;
}

void MemoryWatch::Subject::end() {
    Look dropped;  // outside the lock: it may own much
    const std::lock_guard<std::mutex> looking(looking_);
    dropped = std::exchange(look_, nullptr);
}

void MemoryWatch::Subject::look() {
    const std::lock_guard<std::mutex> looking(looking_);
    if (!look_) {
        return;
    }
    const Clock::time_point at = Clock::now();
    const plan::Observed held = look_();
    const std::lock_guard<std::mutex> lock(mutex_);
    seen_ = {held, at};
}

MemoryWatch::~MemoryWatch() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
        poke_.notify_all();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::shared_ptr<MemoryWatch::Subject> MemoryWatch::watch(Look look) {
    auto subject = std::make_shared<Subject>(std::move(look));
    const std::lock_guard<std::mutex> lock(mutex_);
    entries_.push_back({subject, {}});
    if (!thread_.joinable()) {
        thread_ = std::thread([this] { look_forever(); });
    }
    poke_.notify_all();
    return subject;
}

/// One that is due, and when the next one is. Called with the mutex.
std::shared_ptr<MemoryWatch::Subject> MemoryWatch::take_due(Clock::time_point now,
                                                            Clock::time_point& next) {
    std::erase_if(entries_, [](const Entry& entry) { return entry.subject.expired(); });
    next = Clock::time_point::max();
    for (Entry& entry : entries_) {
        if (entry.next <= now) {
            entry.next = now + kInterval;
            if (auto subject = entry.subject.lock()) {
                return subject;
            }
        }
        next = std::min(next, entry.next);
    }
    return nullptr;
}

void MemoryWatch::look_forever() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stopping_) {
        Clock::time_point next;
        std::shared_ptr<Subject> due = take_due(Clock::now(), next);
        if (due != nullptr) {
            lock.unlock();
            due->look();
            due.reset();  // it may be the last of it
            lock.lock();
        } else if (next == Clock::time_point::max()) {
            poke_.wait(lock);
        } else {
            poke_.wait_until(lock, next);
        }
    }
}

}  // namespace trilane::lane
