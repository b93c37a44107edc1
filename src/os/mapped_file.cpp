#include "os/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "os/reason.h"

namespace trilane::os {
Result<MappedFile> MappedFile::open(const std::string& path) {
    // Opening a FIFO would wait for its writer.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const Fault fault = errno == ENOENT ? Fault::not_found : Fault::unavailable;
        return fail(fault, "cannot open {}: {}", path, reason(errno));
    }
    struct stat facts {};
    if (::fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        ::close(fd);
        return fail(Fault::unavailable, "{} is not a regular file", path);
    }
    const auto size = static_cast<std::size_t>(facts.st_size);
    if (size == 0) {
        ::close(fd);
        return MappedFile(nullptr, 0);
    }
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    const int map_errno = errno;
    ::close(fd);
    if (data == MAP_FAILED) {
        return fail(Fault::unavailable, "cannot map {}: {}", path, reason(map_errno));
    }
    return MappedFile(static_cast<const std::byte*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) {
        // munmap wants a mutable pointer; the pages themselves are read-only.
        ::munmap(const_cast<std::byte*>(data_), size_);
    }
}

}  // namespace trilane::os
