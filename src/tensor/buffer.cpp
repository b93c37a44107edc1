#include "tensor/buffer.h"

#include <sys/mman.h>

#include <memory>

#include "os/memory.h"

namespace trilane::tensor {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;

}  // namespace

Result<Buffer> Buffer::make(std::size_t bytes) {
    if (bytes == 0) {
        return Buffer{};
    }
    // Large buffers begin on a huge page, or their first and last one would be made of small pages.
    const bool large = bytes >= kHugePageBytes;
    const std::size_t mapped_bytes = bytes + (large ? kHugePageBytes : 0);
    void* mapped = ::mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
        return fail(Fault::exhausted, "cannot reserve {} MiB of memory", bytes >> 20U);
    }
    Buffer buffer;
    buffer.mapped_ = mapped;
    buffer.mapped_bytes_ = mapped_bytes;
    buffer.data_ = mapped;
    buffer.bytes_ = bytes;
    if (large) {
        std::size_t space = mapped_bytes;
        std::align(kHugePageBytes, bytes, buffer.data_, space);
        ::madvise(buffer.data_, bytes,
                  MADV_HUGEPAGE);  // a wish: small pages are right, only slower
    }
    return buffer;
}

std::uint64_t Buffer::resident_bytes() const {
    return os::resident_bytes({static_cast<const std::byte*>(data_), bytes_});
}

Buffer::~Buffer() {
    if (mapped_ != nullptr) {
        ::munmap(mapped_, mapped_bytes_);
    }
}

}  // namespace trilane::tensor
