// The GGUF parser: bytes → File. The only code that believes anything of a file, and only after it
// has checked it against the bytes that are there.
// Source: the GGUF specification (ggml, docs/gguf.md), versions 2 and 3, little-endian.
#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/utf8.h"
#include "gguf/gguf.h"

static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies in memory");

namespace trilane::gguf {
namespace {

constexpr std::uint32_t kVersionMin = 2;
constexpr std::uint32_t kVersionMax = 3;
constexpr std::size_t kShownBytesMax = 80;

/// A name from the file as an error message may show it: valid UTF-8, no control characters, short.
std::string shown(std::string_view name) {
    std::string text = utf8_repaired(name.substr(0, kShownBytesMax));
    std::replace_if(
        text.begin(), text.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20U || c == 0x7F; }, '?');
    return name.size() > kShownBytesMax ? text + "…" : text;
}

bool is_plain_name(std::string_view name) {
    return !name.empty() && is_valid_utf8(name) &&
           std::none_of(name.begin(), name.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20U || c == 0x7F; });
}

/// Bytes of one element of a numeric kind; 0 for strings and arrays.
std::size_t element_bytes(ValueKind kind) {
    switch (kind) {
        case ValueKind::u8:
        case ValueKind::i8:
        case ValueKind::boolean:
            return 1;
        case ValueKind::u16:
        case ValueKind::i16:
            return 2;
        case ValueKind::u32:
        case ValueKind::i32:
        case ValueKind::f32:
            return 4;
        case ValueKind::u64:
        case ValueKind::i64:
        case ValueKind::f64:
            return 8;
        case ValueKind::string:
        case ValueKind::array:
            return 0;
    }
    return 0;
}

}  // namespace

/// One pass over the bytes. Field names in errors are the specification's.
class Parser {
public:
    explicit Parser(File& file) : file_(file), bytes_(file.bytes_) {}

    Status run() {
        TRILANE_TRY_STATUS(read_header());
        TRILANE_TRY_STATUS(read_metadata());
        TRILANE_TRY_STATUS(read_alignment());
        TRILANE_TRY_STATUS(read_tensor_infos());
        return place_tensors();
    }

    static Result<std::shared_ptr<const File>> parse(std::optional<os::MappedFile> mapping,
                                                     std::span<const std::byte> bytes) {
        std::shared_ptr<File> file(new File);
        file->bytes_ = bytes;
        TRILANE_TRY_STATUS(Parser(*file).run());
        file->mapping_ = std::move(mapping);
        return file;
    }

private:
    [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

    template <class T>
    Result<T> number(std::string_view field) {
        if (left() < sizeof(T)) {
            return fail(Fault::corrupt, "the file ends at byte {}, inside {}", bytes_.size(),
                        field);
        }
        T value;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return value;
    }

    Result<std::string_view> string(std::string_view field, std::uint64_t bytes_max) {
        TRILANE_TRY(const std::uint64_t length, number<std::uint64_t>(field));
        if (length > bytes_max) {
            return fail(Fault::corrupt, "{} is {} bytes long; the limit is {}", field, length,
                        bytes_max);
        }
        if (length > left()) {
            return fail(Fault::corrupt, "{} is {} bytes long, but the file has {} left", field,
                        length, left());
        }
        const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + at_), length);
        at_ += length;
        return text;
    }

    Status read_header();
    Status read_metadata();
    Status read_alignment();
    Status read_tensor_infos();
    Status read_tensor_info(Tensor& tensor, std::uint64_t index);
    Status measure(Tensor& tensor);
    Status place_tensors();

    Result<Value> read_value(ValueKind kind, std::string_view key);
    Result<Value> read_boolean();
    Result<Value> read_array(std::string_view key);
    Result<Value> read_string_array(std::uint64_t size);
    Result<ValueKind> read_kind(std::string_view key);

    template <class Items, class Name>
    Status index(const Items& items, std::vector<std::uint32_t>& order, std::string_view what,
                 Name name);

    File& file_;
    std::span<const std::byte> bytes_;
    std::size_t at_ = 0;
    std::uint64_t tensor_count_ = 0;
    std::uint64_t metadata_count_ = 0;
};

Status Parser::read_header() {
    constexpr std::string_view kMagic = "GGUF";
    if (bytes_.size() < kMagic.size() || std::memcmp(bytes_.data(), kMagic.data(), 4) != 0) {
        return fail(Fault::corrupt, "not a GGUF file: the magic is not \"GGUF\"");
    }
    at_ = kMagic.size();
    TRILANE_TRY(file_.version_, number<std::uint32_t>("version"));
    if (file_.version_ == 1) {
        return fail(Fault::corrupt, "version is 1, a layout of 2023; convert the model again");
    }
    if ((file_.version_ & 0xFFFFU) == 0 && file_.version_ != 0) {
        return fail(Fault::corrupt,
                    "version is {:#010x}: a big-endian file; convert the model to little-endian",
                    file_.version_);
    }
    if (file_.version_ < kVersionMin || file_.version_ > kVersionMax) {
        return fail(Fault::corrupt, "version is {}; Trilane reads {} and {}", file_.version_,
                    kVersionMin, kVersionMax);
    }
    TRILANE_TRY(tensor_count_, number<std::uint64_t>("tensor_count"));
    TRILANE_TRY(metadata_count_, number<std::uint64_t>("metadata_kv_count"));
    if (tensor_count_ > limits::kTensorsMax) {
        return fail(Fault::corrupt, "tensor_count is {}; the limit is {}", tensor_count_,
                    limits::kTensorsMax);
    }
    if (metadata_count_ > limits::kMetadataMax) {
        return fail(Fault::corrupt, "metadata_kv_count is {}; the limit is {}", metadata_count_,
                    limits::kMetadataMax);
    }
    // Smallest possible records: a key of 1 byte with a 1-byte value; a name of 1 byte, 0
    // dimensions.
    constexpr std::uint64_t kMetadataBytesMin = 8 + 1 + 4 + 1;
    constexpr std::uint64_t kTensorBytesMin = 8 + 1 + 4 + 4 + 8;
    if (metadata_count_ * kMetadataBytesMin + tensor_count_ * kTensorBytesMin > left()) {
        return fail(Fault::corrupt,
                    "tensor_count {} and metadata_kv_count {} need more than the {} bytes that "
                    "the file has left",
                    tensor_count_, metadata_count_, left());
    }
    return {};
}

Result<ValueKind> Parser::read_kind(std::string_view key) {
    TRILANE_TRY(const std::uint32_t id, number<std::uint32_t>("value_type"));
    if (id > static_cast<std::uint32_t>(ValueKind::f64)) {
        return fail(Fault::corrupt, "value_type of metadata key {} is {}, which GGUF does not have",
                    shown(key), id);
    }
    return static_cast<ValueKind>(id);
}

Status Parser::read_metadata() {
    file_.metadata_.reserve(metadata_count_);
    for (std::uint64_t i = 0; i < metadata_count_; ++i) {
        TRILANE_TRY(const std::string_view key, string("metadata key", limits::kKeyBytesMax));
        if (!is_plain_name(key)) {
            return fail(Fault::corrupt, "metadata key {} (\"{}\") is empty or not plain text", i,
                        shown(key));
        }
        TRILANE_TRY(const ValueKind kind, read_kind(key));
        auto value = read_value(kind, key);
        if (!value) {
            return tl::unexpected(
                std::move(value).error().because(fmt::format("metadata key {}", shown(key))));
        }
        file_.metadata_.push_back(Entry{key, kind, *value});
    }
    return index(file_.metadata_, file_.metadata_by_key_, "metadata key",
                 [](const Entry& entry) { return entry.key; });
}

Result<Value> Parser::read_value(ValueKind kind, std::string_view key) {
    const auto widened = [](auto held, auto as) -> Result<Value> {
        if (!held) {
            return tl::unexpected(std::move(held).error());
        }
        return Value(static_cast<decltype(as)>(*held));
    };
    switch (kind) {
        case ValueKind::u8:
            return widened(number<std::uint8_t>("value"), std::uint64_t{});
        case ValueKind::i8:
            return widened(number<std::int8_t>("value"), std::int64_t{});
        case ValueKind::u16:
            return widened(number<std::uint16_t>("value"), std::uint64_t{});
        case ValueKind::i16:
            return widened(number<std::int16_t>("value"), std::int64_t{});
        case ValueKind::u32:
            return widened(number<std::uint32_t>("value"), std::uint64_t{});
        case ValueKind::i32:
            return widened(number<std::int32_t>("value"), std::int64_t{});
        case ValueKind::u64:
            return widened(number<std::uint64_t>("value"), std::uint64_t{});
        case ValueKind::i64:
            return widened(number<std::int64_t>("value"), std::int64_t{});
        case ValueKind::f32:
            return widened(number<float>("value"), double{});
        case ValueKind::f64:
            return widened(number<double>("value"), double{});
        case ValueKind::string:
            return widened(string("value", bytes_.size()), std::string_view{});
        case ValueKind::boolean:
            return read_boolean();
        case ValueKind::array:
            return read_array(key);
    }
    return fail(Fault::internal, "value kind {} is not handled", static_cast<int>(kind));
}

Result<Value> Parser::read_boolean() {
    TRILANE_TRY(const std::uint8_t held, number<std::uint8_t>("value"));
    if (held > 1) {
        return fail(Fault::corrupt, "value is {}; a boolean is 0 or 1", held);
    }
    return Value(held == 1);
}

Result<Value> Parser::read_array(std::string_view key) {
    TRILANE_TRY(const ValueKind kind, read_kind(key));
    TRILANE_TRY(const std::uint64_t size, number<std::uint64_t>("array length"));
    if (kind == ValueKind::array) {
        return fail(Fault::corrupt, "array of arrays, which Trilane does not read");
    }
    if (kind == ValueKind::string) {
        return read_string_array(size);
    }
    const std::size_t each = element_bytes(kind);
    if (size > left() / each) {
        return fail(Fault::corrupt, "array length is {} × {} bytes, but the file has {} left", size,
                    each, left());
    }
    const std::byte* elements = bytes_.data() + at_;
    if (kind == ValueKind::boolean &&
        std::any_of(elements, elements + size, [](std::byte b) { return b > std::byte{1}; })) {
        return fail(Fault::corrupt, "an array element is no boolean (0 or 1)");
    }
    at_ += size * each;
    return Value(Array(kind, size, elements, nullptr));
}

// A vocabulary has hundreds of thousands of these: one pass, one allocation, no Result per element.
Result<Value> Parser::read_string_array(std::uint64_t size) {
    constexpr std::size_t kLengthBytes = sizeof(std::uint64_t);
    if (size > left() / kLengthBytes || size > limits::kArrayStringsMax) {
        return fail(
            Fault::corrupt,
            "array length is {} strings, but the file has {} bytes left and the limit is {}", size,
            left(), limits::kArrayStringsMax);
    }
    std::unique_ptr<std::string_view[]> strings(new std::string_view[size]);
    const std::byte* at = bytes_.data() + at_;
    std::size_t bytes_left = left();
    for (std::size_t i = 0; i < size; ++i) {
        std::uint64_t length = 0;
        if (bytes_left >= kLengthBytes) {
            std::memcpy(&length, at, kLengthBytes);
        }
        if (bytes_left < kLengthBytes || length > bytes_left - kLengthBytes) {
            return fail(Fault::corrupt, "array element {} of {} runs past the end of the file", i,
                        size);
        }
        strings[i] = {reinterpret_cast<const char*>(at + kLengthBytes), length};
        at += kLengthBytes + length;
        bytes_left -= kLengthBytes + length;
    }
    at_ = bytes_.size() - bytes_left;
    const std::string_view* first = strings.get();
    file_.string_arrays_.push_back(std::move(strings));
    return Value(Array(ValueKind::string, size, nullptr, first));
}

Status Parser::read_alignment() {
    constexpr std::string_view kKey = "general.alignment";
    const Entry* entry = file_.find(kKey);
    if (entry == nullptr) {
        return {};
    }
    const auto held = file_.integer(kKey);
    if (!held || !std::has_single_bit(*held) || *held < limits::kAlignmentMin ||
        *held > limits::kAlignmentMax) {
        return fail(Fault::corrupt,
                    "general.alignment is {}; it must be a power of two from {} to {}",
                    held ? std::to_string(*held) : "no integer", limits::kAlignmentMin,
                    limits::kAlignmentMax);
    }
    file_.alignment_ = *held;
    return {};
}

Status Parser::read_tensor_infos() {
    file_.tensors_.resize(tensor_count_);
    for (std::uint64_t i = 0; i < tensor_count_; ++i) {
        TRILANE_TRY_STATUS(read_tensor_info(file_.tensors_[i], i));
    }
    return index(file_.tensors_, file_.tensors_by_name_, "tensor",
                 [](const Tensor& tensor) { return tensor.name; });
}

Status Parser::read_tensor_info(Tensor& tensor, std::uint64_t position) {
    TRILANE_TRY(tensor.name, string("tensor name", limits::kTensorNameBytesMax));
    if (!is_plain_name(tensor.name)) {
        return fail(Fault::corrupt, "the name of tensor {} (\"{}\") is empty or not plain text",
                    position, shown(tensor.name));
    }
    TRILANE_TRY(tensor.dimensions, number<std::uint32_t>("n_dimensions"));
    if (tensor.dimensions > limits::kDimensionsMax) {
        return fail(Fault::corrupt, "n_dimensions of tensor {} is {}; the limit is {}", tensor.name,
                    tensor.dimensions, limits::kDimensionsMax);
    }
    std::uint64_t weights = 1;
    for (std::uint32_t d = 0; d < tensor.dimensions; ++d) {
        TRILANE_TRY(tensor.shape[d], number<std::uint64_t>("dimensions"));
        if (tensor.shape[d] == 0 || tensor.shape[d] > limits::kWeightsMax / weights) {
            return fail(Fault::corrupt,
                        "dimensions of tensor {}: dimension {} is {}; it must be at least 1 and "
                        "the tensor at most 2^48 weights",
                        tensor.name, d, tensor.shape[d]);
        }
        weights *= tensor.shape[d];
    }
    TRILANE_TRY(tensor.type, number<std::uint32_t>("type"));
    TRILANE_TRY(tensor.offset, number<std::uint64_t>("offset"));
    if (tensor.offset % file_.alignment_ != 0) {
        return fail(Fault::corrupt, "offset of tensor {} is {}, no multiple of the alignment {}",
                    tensor.name, tensor.offset, file_.alignment_);
    }
    return {};
}

/// The exact size of a tensor of a readable type.
Status Parser::measure(Tensor& tensor) {
    const TypeTraits& traits = *traits_of(tensor.type);
    // Rows hold whole blocks, except of I2_S, whose groups run through the whole tensor.
    const bool by_row = tensor.type != static_cast<std::uint32_t>(Type::i2_s);
    if ((by_row ? tensor.shape[0] : tensor.weights()) % traits.block_weights != 0) {
        return fail(Fault::corrupt,
                    "dimensions of tensor {}: {} {} are no multiple of the {}-weight blocks of {}",
                    tensor.name, by_row ? tensor.shape[0] : tensor.weights(),
                    by_row ? "columns" : "weights", traits.block_weights, traits.name);
    }
    tensor.bytes = stored_bytes(tensor.type, tensor.weights()).value_or(0);
    return {};
}

/// Turns offsets into places in the file, sizes every tensor and refuses overlaps.
Status Parser::place_tensors() {
    const std::uint64_t begin = (at_ + file_.alignment_ - 1) / file_.alignment_ * file_.alignment_;
    const std::uint64_t data_bytes = begin < bytes_.size() ? bytes_.size() - begin : 0;
    std::vector<std::uint32_t> order(file_.tensors_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return file_.tensors_[a].offset < file_.tensors_[b].offset;
    });
    for (std::size_t i = 0; i < order.size(); ++i) {
        Tensor& tensor = file_.tensors_[order[i]];
        const bool last = i + 1 == order.size();
        const std::uint64_t next = last ? data_bytes : file_.tensors_[order[i + 1]].offset;
        if (tensor.offset >= data_bytes) {
            return fail(Fault::corrupt,
                        "offset of tensor {} is {}, but the data section has {} bytes; the "
                        "download may be incomplete",
                        tensor.name, tensor.offset, data_bytes);
        }
        if (!last && next == tensor.offset) {
            return fail(Fault::corrupt, "offset of tensor {} is {}, the same as that of tensor {}",
                        tensor.name, tensor.offset, file_.tensors_[order[i + 1]].name);
        }
        if (traits_of(tensor.type) == nullptr) {
            tensor.bytes = std::min(next, data_bytes) - tensor.offset;
        } else {
            TRILANE_TRY_STATUS(measure(tensor));
        }
        if (tensor.bytes > data_bytes - tensor.offset) {
            return fail(Fault::corrupt,
                        "tensor {} at offset {} is {} bytes long, but the data section has {}; "
                        "the download may be incomplete",
                        tensor.name, tensor.offset, tensor.bytes, data_bytes);
        }
        if (tensor.offset + tensor.bytes > next) {
            return fail(Fault::corrupt, "tensor {} at offset {} overlaps tensor {} at offset {}",
                        tensor.name, tensor.offset, file_.tensors_[order[i + 1]].name, next);
        }
        tensor.offset += begin;
    }
    return {};
}

template <class Items, class Name>
Status Parser::index(const Items& items, std::vector<std::uint32_t>& order, std::string_view what,
                     Name name) {
    order.resize(items.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return name(items[a]) < name(items[b]); });
    const auto twin = std::adjacent_find(
        order.begin(), order.end(),
        [&](std::uint32_t a, std::uint32_t b) { return name(items[a]) == name(items[b]); });
    if (twin != order.end()) {
        return fail(Fault::corrupt, "{} {} appears twice", what, shown(name(items[*twin])));
    }
    return {};
}

Result<std::shared_ptr<const File>> File::open(const std::string& path) {
    TRILANE_TRY(os::MappedFile mapping, os::MappedFile::open(path));
    const std::span<const std::byte> bytes = mapping.bytes();
    auto file = Parser::parse(std::move(mapping), bytes);
    if (!file) {
        return tl::unexpected(std::move(file).error().because(path));
    }
    return file;
}

Result<std::shared_ptr<const File>> File::parse(std::span<const std::byte> bytes) {
    return Parser::parse(std::nullopt, bytes);
}

}  // namespace trilane::gguf
