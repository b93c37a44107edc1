// MappedFile: a file's bytes as read-only memory. Not a reader: it knows no format.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace trilane::os {

/// A private read-only mapping. **Owns** the mapping; the file descriptor is closed at once.
/// A file that shrinks while it is mapped ends the process with SIGBUS: replace files, never
/// truncate.
class MappedFile {
public:
    /// **Errors:** not_found, unavailable (no permission, not a regular file, no address space).
    static Result<MappedFile> open(const std::string& path);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

private:
    MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace trilane::os
