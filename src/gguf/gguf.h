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
#include "os/mapped_file.h"

namespace trilane::gguf {

/// What a file may hold at most. Counts beyond these are refused before anything is allocated.
namespace limits {
inline constexpr std::uint64_t kMetadataMax = 65'536;
inline constexpr std::uint64_t kTensorsMax = 131'072;
inline constexpr std::uint64_t kKeyBytesMax = 65'535;      // as the format says
inline constexpr std::uint64_t kTensorNameBytesMax = 127;  // the format says 64; forks write more
inline constexpr std::uint64_t kArrayStringsMax = 16'777'216;
inline constexpr std::uint32_t kDimensionsMax = 4;
inline constexpr std::uint64_t kAlignmentMin = 8;
inline constexpr std::uint64_t kAlignmentMax = 1U << 20U;
inline constexpr std::uint64_t kAlignmentDefault = 32;
inline constexpr std::uint64_t kWeightsMax = std::uint64_t{1} << 48U;  // of one tensor
}  // namespace limits

/// Tensor types that Trilane reads, by their ids in the file. Ids with rival layouts (42) and ids
/// it does not know are kept as numbers in Tensor::type and refused by whoever wants the weights.
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

/// Block geometry of a type. I2_S has a trailer besides its blocks: ask stored_bytes for sizes.
struct TypeTraits {
    std::string_view name;
    std::uint32_t block_weights;
    std::uint32_t block_bytes;
};

/// Bytes after the codes of an I2_S tensor; the first four are its scale.
inline constexpr std::uint32_t kI2sTrailerBytes = 32;

/// Null for ids that Trilane cannot read.
const TypeTraits* traits_of(std::uint32_t type_id);

/// "Q4_K", or for ids that Trilane cannot read the name ggml or a fork gives them, or "type 77".
std::string type_label(std::uint32_t type_id);

/// Bytes that `weights` weights of a readable type take, trailer included. Nullopt when the type is
/// not readable or `weights` is not a whole number of blocks.
std::optional<std::uint64_t> stored_bytes(std::uint32_t type_id, std::uint64_t weights);

enum class ValueKind : std::uint32_t {
    u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    string,
    array,
    u64,
    i64,
    f64
};

/// "u32", "string", …
std::string_view kind_name(ValueKind kind);

/// An array of the metadata, still in the file. Elements are decoded on access.
/// **Owns** nothing: it is a view that lives as long as its File.
class Array {
public:
    [[nodiscard]] ValueKind kind() const { return kind_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    /// Element i as text. **Errors:** none: kind() must be string and i < size().
    [[nodiscard]] std::string_view string(std::size_t i) const;
    /// Element i of an integer kind or boolean; a u64 above the range of int64 wraps.
    [[nodiscard]] std::int64_t integer(std::size_t i) const;
    /// Element i of any numeric kind.
    [[nodiscard]] double number(std::size_t i) const;

private:
    friend class Parser;
    Array(ValueKind kind, std::size_t size, const std::byte* elements,
          const std::string_view* strings)
        : kind_(kind), size_(size), elements_(elements), strings_(strings) {}

    ValueKind kind_;
    std::size_t size_;
    const std::byte* elements_;        // numeric kinds: packed, unaligned
    const std::string_view* strings_;  // string kind
};

/// Unsigned kinds become uint64, signed ones int64, floats double.
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
    std::uint32_t type = 0;    ///< as stored; see Type
    std::uint64_t offset = 0;  ///< of the first byte, from the start of the file
    std::uint64_t bytes = 0;   ///< of a known type: exactly; else up to the next tensor or the end
    [[nodiscard]] std::uint64_t weights() const {
        return shape[0] * shape[1] * shape[2] * shape[3];
    }
};

/// Ok when Trilane can decode the tensor's weights. **Errors:** invalid, naming the tensor, the
/// type and what to use instead.
Status require_readable(const Tensor& tensor);

/// A parsed file. **Owns** the mapping (or borrows the span it was parsed from); views point into
/// it.
/// **Threads:** immutable after open/parse.
class File {
public:
    /// Maps `path` and parses it. **Errors:** not_found, corrupt (with the field that is wrong).
    static Result<std::shared_ptr<const File>> open(const std::string& path);
    /// Parses bytes that outlive the File (tests, fuzzing). **Errors:** corrupt.
    static Result<std::shared_ptr<const File>> parse(std::span<const std::byte> bytes);

    [[nodiscard]] std::uint32_t version() const { return version_; }
    [[nodiscard]] std::uint64_t alignment() const { return alignment_; }
    [[nodiscard]] const std::vector<Entry>& metadata() const { return metadata_; }
    [[nodiscard]] const std::vector<Tensor>& tensors() const { return tensors_; }
    [[nodiscard]] std::uint64_t file_bytes() const { return bytes_.size(); }
    /// All of it, as it is mapped.
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

    [[nodiscard]] const Entry* find(std::string_view key) const;
    [[nodiscard]] const Tensor* find_tensor(std::string_view name) const;
    /// The stored bytes of one of this file's tensors.
    [[nodiscard]] std::span<const std::byte> data(const Tensor& tensor) const;

    // Typed metadata: nullopt when absent; a wrong kind counts as absent for optional getters and
    // is a corrupt error for the required ones, which name the key. Integers are the non-negative
    // ones; a number may be stored as an integer or a float.
    [[nodiscard]] std::optional<std::uint64_t> integer(std::string_view key) const;
    [[nodiscard]] std::optional<double> number(std::string_view key) const;
    [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
    [[nodiscard]] std::optional<std::string_view> string(std::string_view key) const;
    [[nodiscard]] const Array* array(std::string_view key) const;
    [[nodiscard]] Result<std::uint64_t> required_integer(std::string_view key) const;
    [[nodiscard]] Result<double> required_number(std::string_view key) const;
    [[nodiscard]] Result<std::string_view> required_string(std::string_view key) const;

private:
    friend class Parser;
    File() = default;

    [[nodiscard]] tl::unexpected<Error> absent(std::string_view key, std::string_view wanted) const;

    std::optional<os::MappedFile> mapping_;  // absent when the bytes are borrowed
    std::span<const std::byte> bytes_;
    std::uint32_t version_ = 0;
    std::uint64_t alignment_ = limits::kAlignmentDefault;
    std::vector<Entry> metadata_;
    std::vector<Tensor> tensors_;
    std::vector<std::uint32_t> metadata_by_key_;  // indices, sorted by key
    std::vector<std::uint32_t> tensors_by_name_;  // indices, sorted by name
    std::vector<std::unique_ptr<std::string_view[]>> string_arrays_;
};

}  // namespace trilane::gguf
