// GGUF v2/v3: a mapped file → header, metadata, tensor directory. Every field is checked before it
// is believed. Knows nothing of architectures or of what the numbers mean.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace trilane::gguf {

/// Tensor types that Trilane reads, by their ids in the file. Ids with rival layouts (42) and ids it
/// does not know are kept as numbers in Tensor::type and refused by whoever wants the weights.
enum class Type : std::uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q8_0 = 8,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
    bf16 = 30,
    tq1_0 = 34,
    tq2_0 = 35,
    i2_s = 36,  ///< bitnet.cpp: 2-bit codes, then one f32 scale in 32 trailing bytes
};

/// Block geometry of a type. I2_S has 128-weight groups of 32 bytes and a trailer, see row_bytes users.
struct TypeTraits {
    std::string_view name;
    std::uint32_t block_weights;
    std::uint32_t block_bytes;
};

/// Null for ids that Trilane cannot read.
const TypeTraits* traits_of(std::uint32_t type_id);

enum class ValueKind : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// An array of the metadata, still in the file. Elements are decoded on access.
class Array {
public:
    [[nodiscard]] ValueKind kind() const;
    [[nodiscard]] std::size_t size() const;
    /// Element i as text. **Errors:** none: kind() must be string and i < size().
    [[nodiscard]] std::string_view string(std::size_t i) const;
    [[nodiscard]] std::int64_t integer(std::size_t i) const;  ///< integer kinds and boolean
    [[nodiscard]] double number(std::size_t i) const;         ///< any numeric kind
    // representation is up to the implementation; string arrays hold one view per element
};

using Value = std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, Array>;

struct Entry {
    std::string_view key;
    ValueKind kind;
    Value value;
};

struct Tensor {
    std::string_view name;
    std::array<std::uint64_t, 4> shape{1, 1, 1, 1};  ///< ggml order: shape[0] is the contiguous one
    std::uint32_t dimensions = 0;
    std::uint32_t type = 0;  ///< as stored; see Type
    std::uint64_t offset = 0;      ///< of the first byte, from the start of the file
    std::uint64_t bytes = 0;       ///< of a known type: exactly; else up to the next tensor or the end
    [[nodiscard]] std::uint64_t weights() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
};

/// A parsed file. **Owns** the mapping (or borrows the span it was parsed from); views point into it.
class File {
public:
    /// Maps `path` and parses it. **Errors:** not_found, corrupt (with the field that is wrong).
    static Result<std::shared_ptr<const File>> open(const std::string& path);
    /// Parses bytes that outlive the File (tests, fuzzing).
    static Result<std::shared_ptr<const File>> parse(std::span<const std::byte> bytes);

    [[nodiscard]] std::uint32_t version() const;
    [[nodiscard]] const std::vector<Entry>& metadata() const;
    [[nodiscard]] const std::vector<Tensor>& tensors() const;
    [[nodiscard]] std::uint64_t file_bytes() const;

    [[nodiscard]] const Tensor* find_tensor(std::string_view name) const;
    [[nodiscard]] std::span<const std::byte> data(const Tensor& tensor) const;

    // Typed metadata: nullopt when absent; a wrong kind counts as absent for optional getters and
    // is a corrupt error for the required ones, which name the key.
    [[nodiscard]] std::optional<std::uint64_t> integer(std::string_view key) const;
    [[nodiscard]] std::optional<double> number(std::string_view key) const;
    [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
    [[nodiscard]] std::optional<std::string_view> string(std::string_view key) const;
    [[nodiscard]] const Array* array(std::string_view key) const;
    [[nodiscard]] Result<std::uint64_t> required_integer(std::string_view key) const;
    [[nodiscard]] Result<double> required_number(std::string_view key) const;
    [[nodiscard]] Result<std::string_view> required_string(std::string_view key) const;
};

}  // namespace trilane::gguf
