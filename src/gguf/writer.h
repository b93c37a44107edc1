// Writer: builds a GGUF v3 file from metadata and tensors, for tests and synthetic models. It
// trusts its caller: what it is given wrongly is our own bug. Not a converter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/gguf.h"

namespace trilane::gguf {

/// Collects entries and tensors in the order they are added. **Owns** copies of what it is given.
class Writer {
public:
    /// Fills one tensor's stored bytes when the file is written.
    using Fill = std::function<void(std::span<std::byte>)>;

    /// Also adds general.alignment when it is not the default. A power of two, at least 8; call it
    /// first.
    void set_alignment(std::uint32_t alignment);

    void add(std::string_view key, std::uint32_t value);
    void add(std::string_view key, std::int32_t value);
    void add(std::string_view key, std::uint64_t value);
    void add(std::string_view key, std::int64_t value);
    void add(std::string_view key, float value);
    void add(std::string_view key, double value);
    void add(std::string_view key, bool value);
    void add(std::string_view key, std::string_view value);
    void add(std::string_view key, const char* value) { add(key, std::string_view(value)); }
    void add(std::string_view key, std::span<const std::string> values);
    void add(std::string_view key, std::span<const float> values);
    void add(std::string_view key, std::span<const std::int32_t> values);
    /// Any value by its stored bytes (the other kinds, and broken values for tests).
    void add_raw(std::string_view key, ValueKind kind, std::span<const std::byte> stored);

    /// A tensor by its stored bytes. **Shapes:** ggml order, shape[0] contiguous. Of a readable
    /// type the bytes must be exactly as many as the shape says; other types are taken as they are.
    void add_tensor(std::string_view name, std::span<const std::uint64_t> shape,
                    std::uint32_t type_id, std::vector<std::byte> stored);
    void add_tensor(std::string_view name, std::span<const std::uint64_t> shape, Type type,
                    std::vector<std::byte> stored) {
        add_tensor(name, shape, static_cast<std::uint32_t>(type), std::move(stored));
    }
    /// An F32 tensor.
    void add_tensor(std::string_view name, std::span<const std::uint64_t> shape,
                    std::span<const float> values);
    /// A tensor whose bytes are made while writing, so that the file need not fit in memory.
    void add_tensor(std::string_view name, std::span<const std::uint64_t> shape, Type type,
                    Fill fill);

    /// The whole file in memory.
    [[nodiscard]] std::vector<std::byte> bytes() const;
    /// Writes beside `path` and renames, so that a reader never sees half a file.
    /// **Errors:** unavailable, naming the file.
    [[nodiscard]] Status write(const std::string& path) const;

private:
    struct PendingTensor {
        std::string name;
        std::vector<std::uint64_t> shape;
        std::uint32_t type_id = 0;
        std::uint64_t stored_bytes = 0;
        std::vector<std::byte> stored;  // empty when `fill` makes them
        Fill fill;
    };
    using Sink = std::function<bool(std::span<const std::byte>)>;

    void begin_entry(std::string_view key, ValueKind kind);
    void push(PendingTensor tensor, std::span<const std::uint64_t> shape);
    [[nodiscard]] std::vector<std::byte> head() const;
    /// False when the sink refused bytes.
    [[nodiscard]] bool stream(const Sink& sink) const;

    std::uint64_t alignment_ = limits::kAlignmentDefault;
    std::uint64_t metadata_count_ = 0;
    std::vector<std::byte> metadata_;
    std::vector<PendingTensor> tensors_;
};

}  // namespace trilane::gguf
