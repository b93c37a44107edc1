// Small files as the daemon reads them while it serves: whole, regular ones only, so that none can
// keep it waiting; and a lock that processes share while they change one. Not for models, which are
// mapped.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "base/result.h"
#include "os/unique_fd.h"

namespace trilane::os {

/// A whole regular file. Never waits, as opening a FIFO would.
/// **Errors:** not_found: nothing has that name; unavailable: no regular file, or it cannot be
/// read; exhausted: it is longer than bytes_max.
Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max);

/// Held by at most one process, or one owner in it, at a time; gone when its owner is.
class FileLock {
public:
    /// Waits for whoever holds it. Makes the file, which stays: who removed it would take it from
    /// under the next. **Errors:** timeout: still held; unavailable.
    static Result<FileLock> take(const std::string& path, std::chrono::milliseconds patience);

private:
    explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace trilane::os
