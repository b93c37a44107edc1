// Buffer: zeroed, 64-byte aligned memory for packed weights, caches and workspaces. Large buffers
// ask for huge pages and cost nothing until they are touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/result.h"

namespace trilane::tensor {

/// **Owns** an anonymous mapping.
class Buffer {
public:
    Buffer() = default;
    /// **Errors:** exhausted when the address space or the memory limit does not allow it.
    static Result<Buffer> make(std::size_t bytes);
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        swap(other);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer();

    template <class T>
    [[nodiscard]] T* as() {
        return static_cast<T*>(data_);
    }
    template <class T>
    [[nodiscard]] const T* as() const {
        return static_cast<const T*>(data_);
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    /// Of these, what has been touched and is in memory. **Threads:** any, whatever others write.
    [[nodiscard]] std::uint64_t resident_bytes() const;

private:
    void swap(Buffer& other) noexcept {
        std::swap(mapped_, other.mapped_);
        std::swap(mapped_bytes_, other.mapped_bytes_);
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
    }

    void* mapped_ = nullptr;  // what was mapped; data_ may begin later, on a huge page
    std::size_t mapped_bytes_ = 0;
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
};

}  // namespace trilane::tensor
