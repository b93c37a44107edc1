#include "os/small_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "os/reason.h"

namespace trilane::os {
namespace {

constexpr std::size_t kPieceBytes = 65'536;
constexpr std::chrono::milliseconds kLockLook{10};
constexpr mode_t kOwnerOnly = 0600;

}  // namespace

Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd.open()) {
        return fail(errno == ENOENT ? Fault::not_found : Fault::unavailable, "cannot open {}: {}",
                    path, reason(errno));
    }
    struct stat facts {};
    if (::fstat(fd.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) {
        return fail(Fault::unavailable, "{} cannot be read: it is not a regular file", path);
    }
    std::string text;
    for (;;) {
        const std::size_t size = text.size();
        text.resize(size + std::min(kPieceBytes, bytes_max + 1 - size));
        const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
        const int error = errno;
        text.resize(size + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (got == 0) {
            return text;
        }
        if (got < 0 && error != EINTR) {
            return fail(Fault::unavailable, "cannot read {}: {}", path, reason(error));
        }
        if (text.size() > bytes_max) {
            return fail(Fault::exhausted, "{} is longer than {} bytes; cut it into parts", path,
                        bytes_max);
        }
    }
}

Result<FileLock> FileLock::take(const std::string& path, std::chrono::milliseconds patience) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, kOwnerOnly));
    if (!fd.open()) {
        return fail(Fault::unavailable, "cannot open {}: {}", path, reason(errno));
    }
    const auto until = std::chrono::steady_clock::now() + patience;
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return fail(Fault::unavailable, "cannot lock {}: {}", path, reason(errno));
        }
        if (std::chrono::steady_clock::now() >= until) {
            return fail(Fault::timeout, "another process holds {}; try again when it has ended",
                        path);
        }
        std::this_thread::sleep_for(kLockLook);
    }
    return FileLock(std::move(fd));
}

}  // namespace trilane::os
