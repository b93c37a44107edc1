#include "lane/memory_watch.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace trilane::lane {

/// Who is looked at when.
struct MemoryWatch::Board {
    struct Entry {
        std::weak_ptr<Subject> subject;
        Clock::time_point next{};
    };

    void look_forever();
    std::shared_ptr<Subject> take_due(Clock::time_point now, Clock::time_point& next);
    void hurry(const Subject& subject);

    std::mutex mutex;  // guards all below; never held across a look
    std::condition_variable poke;
    std::vector<Entry> entries;
    bool stopping = false;
};

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
    looked_.notify_all();
}

void MemoryWatch::Subject::refresh() const {
    const std::shared_ptr<Board> board = board_.lock();
    if (board == nullptr) {
        return;
    }
    const Clock::time_point now = Clock::now();
    board->hurry(*this);
    std::unique_lock<std::mutex> lock(mutex_);
    looked_.wait_for(lock, kPatience, [&] { return seen_.at >= now; });
}

MemoryWatch::MemoryWatch() : board_(std::make_shared<Board>()) {}

MemoryWatch::~MemoryWatch() {
    {
        const std::lock_guard<std::mutex> lock(board_->mutex);
        board_->stopping = true;
        board_->poke.notify_all();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::shared_ptr<MemoryWatch::Subject> MemoryWatch::watch(Look look) {
    auto subject = std::make_shared<Subject>(std::move(look), board_);
    const std::lock_guard<std::mutex> lock(board_->mutex);
    board_->entries.push_back({subject, {}});
    if (!thread_.joinable()) {
        thread_ = std::thread([board = board_] { board->look_forever(); });
    }
    board_->poke.notify_all();
    return subject;
}

void MemoryWatch::Board::hurry(const Subject& subject) {
    const std::lock_guard<std::mutex> lock(mutex);
    for (Entry& entry : entries) {
        if (entry.subject.lock().get() == &subject) {
            entry.next = {};
            poke.notify_all();
        }
    }
}

/// One that is due, and when the next one is. Called with the mutex.
std::shared_ptr<MemoryWatch::Subject> MemoryWatch::Board::take_due(Clock::time_point now,
                                                                   Clock::time_point& next) {
    std::erase_if(entries, [](const Entry& entry) { return entry.subject.expired(); });
    next = Clock::time_point::max();
    for (Entry& entry : entries) {
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

void MemoryWatch::Board::look_forever() {
    std::unique_lock<std::mutex> lock(mutex);
    while (!stopping) {
        Clock::time_point next;
        std::shared_ptr<Subject> due = take_due(Clock::now(), next);
        if (due != nullptr) {
            lock.unlock();
            due->look();
            due.reset();  // it may be the last of it
            lock.lock();
        } else if (next == Clock::time_point::max()) {
            poke.wait(lock);
        } else {
            poke.wait_until(lock, next);
        }
    }
}

}  // namespace trilane::lane
