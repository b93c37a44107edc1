// Buffer: zeroed, 64-byte aligned memory for packed weights, caches and workspaces. Large buffers
// ask for huge pages and cost nothing until they are touched.
#pragma once

#include <cstddef>
#include <utility>

#include "base/result.h"

namespace trilane::tensor {

/// **Owns** an anonymous mapping.
class Buffer {
public:
    Buffer() = default;
    /// **Errors:** exhausted when the address space or the memory limit does not allow it.
    static Result<Buffer> make(std::size_t bytes);
    Buffer(Buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
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

private:
    Buffer(void* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
};

}  // namespace trilane::tensor
