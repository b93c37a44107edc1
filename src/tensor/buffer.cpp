#include "tensor/buffer.h"

#include <sys/mman.h>

namespace trilane::tensor {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;

}  // namespace

Result<Buffer> Buffer::make(std::size_t bytes) {
    if (bytes == 0) {
        return Buffer{};
    }
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        return fail(Fault::exhausted, "cannot reserve {} MiB of memory", bytes >> 20U);
    }
    if (bytes >= 2 * kHugePageBytes) {
        ::madvise(data, bytes, MADV_HUGEPAGE);  // a wish: small pages are right, only slower
    }
    return Buffer(data, bytes);
}

Buffer::~Buffer() {
    if (data_ != nullptr) {
        ::munmap(data_, bytes_);
    }
}

}  // namespace trilane::tensor
