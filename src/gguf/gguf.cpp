// What a parsed GGUF answers: look-ups and typed metadata. Parsing itself is parse.cpp.
#include "gguf/gguf.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace trilane::gguf {
namespace {

template <class T>
T load(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

/// Index of the item whose name is `wanted` in `items`, through the sorted `order`.
template <class Items, class Name>
auto find_sorted(const Items& items, const std::vector<std::uint32_t>& order,
                 std::string_view wanted, Name name) -> decltype(&items[0]) {
    const auto at = std::lower_bound(
        order.begin(), order.end(), wanted,
        [&](std::uint32_t index, std::string_view text) { return name(items[index]) < text; });
    if (at == order.end() || name(items[*at]) != wanted) {
        return nullptr;
    }
    return &items[*at];
}

}  // namespace

std::string_view kind_name(ValueKind kind) {
    switch (kind) {
        case ValueKind::u8:
            return "u8";
        case ValueKind::i8:
            return "i8";
        case ValueKind::u16:
            return "u16";
        case ValueKind::i16:
            return "i16";
        case ValueKind::u32:
            return "u32";
        case ValueKind::i32:
            return "i32";
        case ValueKind::f32:
            return "f32";
        case ValueKind::boolean:
            return "boolean";
        case ValueKind::string:
            return "string";
        case ValueKind::array:
            return "array";
        case ValueKind::u64:
            return "u64";
        case ValueKind::i64:
            return "i64";
        case ValueKind::f64:
            return "f64";
    }
    return "unknown";
}

std::string_view Array::string(std::size_t i) const {
    TRILANE_CHECK(kind_ == ValueKind::string && i < size_);
    return strings_[i];
}

std::int64_t Array::integer(std::size_t i) const {
    TRILANE_CHECK(i < size_);
    switch (kind_) {
        case ValueKind::u8:
        case ValueKind::boolean:
            return load<std::uint8_t>(elements_ + i);
        case ValueKind::i8:
            return load<std::int8_t>(elements_ + i);
        case ValueKind::u16:
            return load<std::uint16_t>(elements_ + 2 * i);
        case ValueKind::i16:
            return load<std::int16_t>(elements_ + 2 * i);
        case ValueKind::u32:
            return load<std::uint32_t>(elements_ + 4 * i);
        case ValueKind::i32:
            return load<std::int32_t>(elements_ + 4 * i);
        case ValueKind::u64:
        case ValueKind::i64:
            return load<std::int64_t>(elements_ + 8 * i);
        default:
            TRILANE_CHECK(false && "integer() of an array of another kind");
    }
    return 0;
}

double Array::number(std::size_t i) const {
    TRILANE_CHECK(i < size_);
    if (kind_ == ValueKind::f32) {
        return static_cast<double>(load<float>(elements_ + 4 * i));
    }
    if (kind_ == ValueKind::f64) {
        return load<double>(elements_ + 8 * i);
    }
    if (kind_ == ValueKind::u64) {
        return static_cast<double>(load<std::uint64_t>(elements_ + 8 * i));
    }
    return static_cast<double>(integer(i));
}

const Entry* File::find(std::string_view key) const {
    return find_sorted(metadata_, metadata_by_key_, key,
                       [](const Entry& entry) { return entry.key; });
}

const Tensor* File::find_tensor(std::string_view name) const {
    return find_sorted(tensors_, tensors_by_name_, name,
                       [](const Tensor& tensor) { return tensor.name; });
}

std::span<const std::byte> File::data(const Tensor& tensor) const {
    TRILANE_CHECK(tensor.offset <= bytes_.size() && tensor.bytes <= bytes_.size() - tensor.offset);
    return bytes_.subspan(tensor.offset, tensor.bytes);
}

std::optional<std::uint64_t> File::integer(std::string_view key) const {
    const Entry* entry = find(key);
    if (entry == nullptr) {
        return std::nullopt;
    }
    if (const auto* natural = std::get_if<std::uint64_t>(&entry->value)) {
        return *natural;
    }
    if (const auto* whole = std::get_if<std::int64_t>(&entry->value); whole && *whole >= 0) {
        return static_cast<std::uint64_t>(*whole);
    }
    return std::nullopt;
}

std::optional<double> File::number(std::string_view key) const {
    const Entry* entry = find(key);
    if (entry == nullptr) {
        return std::nullopt;
    }
    if (const auto* real = std::get_if<double>(&entry->value)) {
        return *real;
    }
    if (const auto* natural = std::get_if<std::uint64_t>(&entry->value)) {
        return static_cast<double>(*natural);
    }
    if (const auto* whole = std::get_if<std::int64_t>(&entry->value)) {
        return static_cast<double>(*whole);
    }
    return std::nullopt;
}

std::optional<bool> File::boolean(std::string_view key) const {
    const Entry* entry = find(key);
    const bool* held = entry == nullptr ? nullptr : std::get_if<bool>(&entry->value);
    return held == nullptr ? std::nullopt : std::optional(*held);
}

std::optional<std::string_view> File::string(std::string_view key) const {
    const Entry* entry = find(key);
    const auto* held = entry == nullptr ? nullptr : std::get_if<std::string_view>(&entry->value);
    return held == nullptr ? std::nullopt : std::optional(*held);
}

const Array* File::array(std::string_view key) const {
    const Entry* entry = find(key);
    return entry == nullptr ? nullptr : std::get_if<Array>(&entry->value);
}

tl::unexpected<Error> File::absent(std::string_view key, std::string_view wanted) const {
    const Entry* entry = find(key);
    if (entry == nullptr) {
        return fail(Fault::corrupt, "metadata key {} is missing; the file must have it as {}", key,
                    wanted);
    }
    return fail(Fault::corrupt, "metadata key {} must be {}, but the file has a value of kind {}",
                key, wanted, kind_name(entry->kind));
}

Result<std::uint64_t> File::required_integer(std::string_view key) const {
    const auto held = integer(key);
    if (!held) {
        return absent(key, "a non-negative integer");
    }
    return *held;
}

Result<double> File::required_number(std::string_view key) const {
    const auto held = number(key);
    if (!held) {
        return absent(key, "a number");
    }
    return *held;
}

Result<std::string_view> File::required_string(std::string_view key) const {
    const auto held = string(key);
    if (!held) {
        return absent(key, "a string");
    }
    return *held;
}

}  // namespace trilane::gguf
