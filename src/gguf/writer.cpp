#include "gguf/writer.h"

#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "base/check.h"

namespace trilane::gguf {
namespace {

constexpr std::uint32_t kVersion = 3;

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

template <class T>
void append_number(std::vector<std::byte>& out, T value) {
    append(out, std::as_bytes(std::span<const T>(&value, 1)));
}

void append_string(std::vector<std::byte>& out, std::string_view text) {
    append_number(out, static_cast<std::uint64_t>(text.size()));
    append(out, std::as_bytes(std::span(text.data(), text.size())));
}

std::uint64_t rounded_up(std::uint64_t value, std::uint64_t alignment) {
    return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

void Writer::begin_entry(std::string_view key, ValueKind kind) {
    ++metadata_count_;
    append_string(metadata_, key);
    append_number(metadata_, static_cast<std::uint32_t>(kind));
}

void Writer::set_alignment(std::uint32_t alignment) {
    TRILANE_CHECK(std::has_single_bit(alignment) && alignment >= limits::kAlignmentMin);
    TRILANE_CHECK(metadata_count_ == 0 && tensors_.empty());
    alignment_ = alignment;
    if (alignment_ != limits::kAlignmentDefault) {
        add("general.alignment", alignment);
    }
}

void Writer::add(std::string_view key, std::uint32_t value) {
    begin_entry(key, ValueKind::u32);
    append_number(metadata_, value);
}

void Writer::add(std::string_view key, std::int32_t value) {
    begin_entry(key, ValueKind::i32);
    append_number(metadata_, value);
}

void Writer::add(std::string_view key, std::uint64_t value) {
    begin_entry(key, ValueKind::u64);
    append_number(metadata_, value);
}

void Writer::add(std::string_view key, std::int64_t value) {
    begin_entry(key, ValueKind::i64);
    append_number(metadata_, value);
}

void Writer::add(std::string_view key, float value) {
    begin_entry(key, ValueKind::f32);
    append_number(metadata_, value);
}

void Writer::add(std::string_view key, double value) {
    begin_entry(key, ValueKind::f64);
    append_number(metadata_, value);
}

void Writer::add(std::string_view key, bool value) {
    begin_entry(key, ValueKind::boolean);
    append_number(metadata_, static_cast<std::uint8_t>(value ? 1 : 0));
}

void Writer::add(std::string_view key, std::string_view value) {
    begin_entry(key, ValueKind::string);
    append_string(metadata_, value);
}

void Writer::add(std::string_view key, std::span<const std::string> values) {
    begin_entry(key, ValueKind::array);
    append_number(metadata_, static_cast<std::uint32_t>(ValueKind::string));
    append_number(metadata_, static_cast<std::uint64_t>(values.size()));
    for (const std::string& value : values) {
        append_string(metadata_, value);
    }
}

void Writer::add(std::string_view key, std::span<const float> values) {
    begin_entry(key, ValueKind::array);
    append_number(metadata_, static_cast<std::uint32_t>(ValueKind::f32));
    append_number(metadata_, static_cast<std::uint64_t>(values.size()));
    append(metadata_, std::as_bytes(values));
}

void Writer::add(std::string_view key, std::span<const std::int32_t> values) {
    begin_entry(key, ValueKind::array);
    append_number(metadata_, static_cast<std::uint32_t>(ValueKind::i32));
    append_number(metadata_, static_cast<std::uint64_t>(values.size()));
    append(metadata_, std::as_bytes(values));
}

void Writer::add_raw(std::string_view key, ValueKind kind, std::span<const std::byte> stored) {
    begin_entry(key, kind);
    append(metadata_, stored);
}

void Writer::push(PendingTensor tensor, std::span<const std::uint64_t> shape) {
    TRILANE_CHECK(shape.size() <= limits::kDimensionsMax);
    tensor.shape.assign(shape.begin(), shape.end());
    std::uint64_t weights = 1;
    for (const std::uint64_t extent : shape) {
        weights *= extent;
    }
    if (traits_of(tensor.type_id) != nullptr) {
        const auto exact = gguf::stored_bytes(tensor.type_id, weights);
        TRILANE_CHECK(exact && (tensor.fill || *exact == tensor.stored.size()));
        tensor.stored_bytes = *exact;
    } else {
        tensor.stored_bytes = tensor.stored.size();
    }
    tensors_.push_back(std::move(tensor));
}

void Writer::add_tensor(std::string_view name, std::span<const std::uint64_t> shape,
                        std::uint32_t type_id, std::vector<std::byte> stored) {
    PendingTensor tensor;
    tensor.name = name;
    tensor.type_id = type_id;
    tensor.stored = std::move(stored);
    push(std::move(tensor), shape);
}

void Writer::add_tensor(std::string_view name, std::span<const std::uint64_t> shape,
                        std::span<const float> values) {
    const auto stored = std::as_bytes(values);
    add_tensor(name, shape, Type::f32, std::vector<std::byte>(stored.begin(), stored.end()));
}

void Writer::add_tensor(std::string_view name, std::span<const std::uint64_t> shape, Type type,
                        Fill fill) {
    PendingTensor tensor;
    tensor.name = name;
    tensor.type_id = static_cast<std::uint32_t>(type);
    tensor.fill = std::move(fill);
    push(std::move(tensor), shape);
}

std::vector<std::byte> Writer::head() const {
    constexpr std::string_view kMagic = "GGUF";
    std::vector<std::byte> out;
    append(out, std::as_bytes(std::span(kMagic.data(), kMagic.size())));
    append_number(out, kVersion);
    append_number(out, static_cast<std::uint64_t>(tensors_.size()));
    append_number(out, metadata_count_);
    append(out, metadata_);
    std::uint64_t offset = 0;
    for (const PendingTensor& tensor : tensors_) {
        append_string(out, tensor.name);
        append_number(out, static_cast<std::uint32_t>(tensor.shape.size()));
        append(out, std::as_bytes(std::span(tensor.shape)));
        append_number(out, tensor.type_id);
        append_number(out, offset);
        offset += rounded_up(tensor.stored_bytes, alignment_);
    }
    out.resize(rounded_up(out.size(), alignment_));
    return out;
}

bool Writer::stream(const Sink& sink) const {
    if (!sink(head())) {
        return false;
    }
    std::vector<std::byte> made;
    for (const PendingTensor& tensor : tensors_) {
        std::span<const std::byte> stored = tensor.stored;
        if (tensor.fill) {
            made.assign(tensor.stored_bytes, std::byte{0});
            tensor.fill(made);
            stored = made;
        }
        const std::vector<std::byte> padding(rounded_up(stored.size(), alignment_) - stored.size());
        if (!sink(stored) || !sink(padding)) {
            return false;
        }
    }
    return true;
}

std::vector<std::byte> Writer::bytes() const {
    std::vector<std::byte> out;
    const bool whole = stream([&](std::span<const std::byte> part) {
        append(out, part);
        return true;
    });
    TRILANE_CHECK(whole);
    return out;
}

Status Writer::write(const std::string& path) const {
    const std::string part = path + ".part";
    const auto close = [](std::FILE* file) { std::fclose(file); };
    std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(part.c_str(), "wb"), close);
    if (!file) {
        return fail(Fault::unavailable, "cannot write {}", part);
    }
    const bool whole = stream([&](std::span<const std::byte> bytes) {
        return bytes.empty() ||
               std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
    });
    if (!whole || std::fclose(file.release()) != 0 ||
        std::rename(part.c_str(), path.c_str()) != 0) {
        std::remove(part.c_str());
        return fail(Fault::unavailable, "writing {} failed; is the disk full?", path);
    }
    return {};
}

}  // namespace trilane::gguf
