// Attendance: how many objects of a server or a client the loops still know of, so that its owner,
// which the loops outlive, can wait until there are none. Not a lock, and keeps nothing alive.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

namespace trilane::net {

/// **Threads:** any.
class Attendance {
public:
    void wait_until_empty() {
        std::unique_lock lock(mutex_);
        empty_.wait(lock, [this] { return present_ == 0; });
    }

private:
    friend class Presence;
    std::mutex mutex_;
    std::condition_variable empty_;
    std::size_t present_ = 0;
};

/// One object is there as long as its Presence. As its first member it goes when everything else of
/// the object has gone.
class Presence {
public:
    explicit Presence(std::shared_ptr<Attendance> attendance) : attendance_(std::move(attendance)) {
        const std::scoped_lock lock(attendance_->mutex_);
        ++attendance_->present_;
    }
    ~Presence() {
        const std::scoped_lock lock(attendance_->mutex_);
        if (--attendance_->present_ == 0) {
            attendance_->empty_.notify_all();
        }
    }
    Presence(const Presence&) = delete;
    Presence& operator=(const Presence&) = delete;

private:
    const std::shared_ptr<Attendance> attendance_;
};

}  // namespace trilane::net
