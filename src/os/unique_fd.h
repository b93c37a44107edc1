// UniqueFd: a file descriptor that is closed once. Not a stream: reading and writing is its
// owner's.
#pragma once

#include <unistd.h>

#include <utility>

namespace trilane::os {

class UniqueFd {
public:
    UniqueFd() = default;
    /// **Owns:** `fd`; below 0 = none.
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~UniqueFd() { reset(); }

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool open() const { return fd_ >= 0; }
    void reset() {
        if (fd_ >= 0) {
            ::close(std::exchange(fd_, -1));
        }
    }

private:
    int fd_ = -1;
};

}  // namespace trilane::os
