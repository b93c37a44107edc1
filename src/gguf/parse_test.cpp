// Broken files: every field of the format, broken by hand, gives Fault::corrupt and is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "gguf/gguf.h"

namespace trilane::gguf {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kHuge = std::uint64_t{1} << 63U;

/// A file byte by byte: unlike Writer it can say anything.
class Raw {
public:
    Raw& text(std::string_view chars) {
        const auto more = std::as_bytes(std::span(chars.data(), chars.size()));
        bytes_.insert(bytes_.end(), more.begin(), more.end());
        return *this;
    }
    template <class T>
    Raw& put(T value) {
        const auto more = std::as_bytes(std::span<const T>(&value, 1));
        bytes_.insert(bytes_.end(), more.begin(), more.end());
        return *this;
    }
    Raw& u32(std::uint32_t value) { return put(value); }
    Raw& u64(std::uint64_t value) { return put(value); }
    Raw& string(std::string_view chars) { return u64(chars.size()).text(chars); }
    Raw& header(std::uint64_t tensors, std::uint64_t metadata, std::uint32_t version = 3) {
        return text("GGUF").u32(version).u64(tensors).u64(metadata);
    }
    Raw& kind(ValueKind value) { return u32(static_cast<std::uint32_t>(value)); }
    Raw& tensor(std::string_view name, std::initializer_list<std::uint64_t> shape,
                std::uint32_t type, std::uint64_t offset) {
        string(name).u32(static_cast<std::uint32_t>(shape.size()));
        for (const std::uint64_t extent : shape) {
            u64(extent);
        }
        return u32(type).u64(offset);
    }
    Raw& pad_to(std::size_t alignment) {
        bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
        return *this;
    }
    Raw& zeros(std::size_t count) {
        bytes_.resize(bytes_.size() + count);
        return *this;
    }
    /// Zeros against the counts check, so that the field under test is the first thing wrong.
    Raw& slack() { return zeros(4096); }

    [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

std::string refusal(std::span<const std::byte> bytes) {
    const auto file = File::parse(bytes);
    if (file) {
        ADD_FAILURE() << "a broken file was accepted";
        return "";
    }
    EXPECT_EQ(file.error().fault, Fault::corrupt) << file.error().message;
    return file.error().message;
}

std::string refusal(const Raw& raw) {
    return refusal(raw.bytes());
}

constexpr auto kF32 = static_cast<std::uint32_t>(Type::f32);
constexpr auto kQ80 = static_cast<std::uint32_t>(Type::q8_0);
constexpr auto kI2s = static_cast<std::uint32_t>(Type::i2_s);

TEST(GgufHeader, MagicAndVersionsAreChecked) {
    EXPECT_THAT(refusal(Raw()), HasSubstr("magic"));
    EXPECT_THAT(refusal(Raw().text("GG")), HasSubstr("magic"));
    EXPECT_THAT(refusal(Raw().text("GGML").slack()), HasSubstr("magic"));
    EXPECT_THAT(refusal(Raw().header(0, 0, 1).slack()), HasSubstr("version is 1"));
    EXPECT_THAT(refusal(Raw().header(0, 0, 0).slack()), HasSubstr("version is 0"));
    EXPECT_THAT(refusal(Raw().header(0, 0, 4).slack()), HasSubstr("version is 4"));
    EXPECT_THAT(refusal(Raw().header(0, 0, 0x03000000U).slack()), HasSubstr("big-endian"));
    EXPECT_TRUE(File::parse(Raw().header(0, 0, 2).bytes()).has_value());
}

TEST(GgufHeader, CountsAreLimitedBeforeAnythingIsAllocated) {
    EXPECT_THAT(refusal(Raw().header(kHuge, 0).slack()), HasSubstr("tensor_count"));
    EXPECT_THAT(refusal(Raw().header(0, kHuge).slack()), HasSubstr("metadata_kv_count"));
    EXPECT_THAT(refusal(Raw().header(limits::kTensorsMax, 0).slack()), HasSubstr("tensor_count"));
    EXPECT_THAT(refusal(Raw().header(0, limits::kMetadataMax).slack()),
                HasSubstr("metadata_kv_count"));
}

TEST(GgufMetadata, KeysAreChecked) {
    EXPECT_THAT(refusal(Raw().header(0, 1).u64(kHuge).slack()), HasSubstr("metadata key is"));
    EXPECT_THAT(refusal(Raw().header(0, 1).u64(5000).slack()), HasSubstr("has 4096 left"));
    EXPECT_THAT(refusal(Raw().header(0, 1).string("").slack()), HasSubstr("empty"));
    EXPECT_THAT(refusal(Raw().header(0, 1).string("a\xFF\x62").slack()), HasSubstr("not plain"));
    EXPECT_THAT(refusal(Raw().header(0, 1).string("a\nb").slack()), HasSubstr("not plain"));
    Raw twice;
    twice.header(0, 2);
    for (int i = 0; i < 2; ++i) {
        twice.string("same").kind(ValueKind::u32).u32(1);
    }
    EXPECT_THAT(refusal(twice), HasSubstr("metadata key same appears twice"));
}

TEST(GgufMetadata, ValuesAreChecked) {
    const auto start = [] { return Raw().header(0, 1).string("key"); };
    EXPECT_THAT(refusal(start().u32(13).slack()),
                HasSubstr("value_type of metadata key key is 13"));
    EXPECT_THAT(refusal(start().kind(ValueKind::boolean).put(std::uint8_t{2})),
                HasSubstr("key: value is 2"));
    EXPECT_THAT(refusal(start().kind(ValueKind::string).u64(kHuge)), HasSubstr("key: value is"));
    EXPECT_THAT(refusal(start().kind(ValueKind::string).u64(1)), HasSubstr("has 0 left"));
    EXPECT_THAT(refusal(start().kind(ValueKind::u64).u32(1)), HasSubstr("inside value"));
    const auto array = [&](ValueKind kind, std::uint64_t size) {
        return start().kind(ValueKind::array).kind(kind).u64(size);
    };
    EXPECT_THAT(refusal(array(ValueKind::array, 1).slack()), HasSubstr("array of arrays"));
    EXPECT_THAT(refusal(array(ValueKind::u32, kHuge).slack()), HasSubstr("array length"));
    EXPECT_THAT(refusal(array(ValueKind::u32, 2).u32(1)), HasSubstr("array length is 2"));
    EXPECT_THAT(refusal(array(ValueKind::string, kHuge).slack()), HasSubstr("array length"));
    EXPECT_THAT(refusal(array(ValueKind::string, 1).u64(kHuge)), HasSubstr("array element 0 of 1"));
    EXPECT_THAT(refusal(array(ValueKind::string, 2).string("abcdefgh").u32(1)),
                HasSubstr("array element 1 of 2"));
    EXPECT_THAT(refusal(array(ValueKind::boolean, 1).put(std::uint8_t{3})), HasSubstr("boolean"));
    EXPECT_THAT(refusal(start().kind(ValueKind::array).u32(77).u64(1)), HasSubstr("value_type"));
}

TEST(GgufMetadata, TheAlignmentIsChecked) {
    const auto aligned = [](std::uint32_t alignment) {
        return Raw().header(0, 1).string("general.alignment").kind(ValueKind::u32).u32(alignment);
    };
    for (const std::uint32_t bad : {0U, 1U, 4U, 12U, 33U, 1U << 21U, 1U << 31U}) {
        EXPECT_THAT(refusal(aligned(bad)), HasSubstr(fmt::format("general.alignment is {}", bad)));
    }
    for (const std::uint32_t good : {8U, 32U, 1U << 20U}) {
        EXPECT_TRUE(File::parse(aligned(good).bytes()).has_value()) << good;
    }
    Raw text;
    text.header(0, 1).string("general.alignment").kind(ValueKind::string).string("32");
    EXPECT_THAT(refusal(text), HasSubstr("general.alignment is no integer"));
}

TEST(GgufTensorInfo, EveryFieldIsChecked) {
    const auto one = [](const std::function<void(Raw&)>& info) {
        Raw raw;
        raw.header(1, 0);
        info(raw);
        return raw.slack();
    };
    EXPECT_THAT(refusal(one([](Raw& r) { r.u64(128); })), HasSubstr("tensor name is 128"));
    EXPECT_THAT(refusal(one([](Raw& r) { r.string(""); })), HasSubstr("name of tensor 0"));
    EXPECT_THAT(refusal(one([](Raw& r) { r.string("t").u32(5); })),
                HasSubstr("n_dimensions of tensor t is 5"));
    EXPECT_THAT(refusal(one([](Raw& r) {
                    r.tensor("t", {32, 0}, kF32, 0);
                })),
                HasSubstr("dimension 1 is 0"));
    EXPECT_THAT(refusal(one([](Raw& r) {
                    r.tensor("t", {kHuge, 2}, kF32, 0);
                })),
                HasSubstr("dimension 0"));
    // The product wraps to 0 in 64 bits.
    EXPECT_THAT(refusal(one([](Raw& r) {
                    r.tensor("t", {1ULL << 32U, 1ULL << 16U, 1ULL << 16U}, kF32, 0);
                })),
                HasSubstr("dimension 2"));
    EXPECT_THAT(refusal(one([](Raw& r) { r.tensor("t", {33}, kQ80, 0); })),
                HasSubstr("no multiple of the 32-weight blocks of Q8_0"));
    // 64 weights, but no row of whole blocks.
    EXPECT_THAT(refusal(one([](Raw& r) {
                    r.tensor("t", {16, 4}, kQ80, 0);
                })),
                HasSubstr("16 columns"));
    EXPECT_THAT(refusal(one([](Raw& r) { r.tensor("t", {64}, kI2s, 0); })),
                HasSubstr("64 weights"));
    EXPECT_THAT(refusal(one([](Raw& r) { r.tensor("t", {8}, kF32, 4); })),
                HasSubstr("offset of tensor t is 4"));
    EXPECT_THAT(refusal(one([](Raw& r) { r.tensor("t", {8}, kF32, kHuge); })),
                HasSubstr("offset of tensor t is"));
    EXPECT_THAT(refusal(one([](Raw& r) { r.tensor("t", {2048}, kF32, 0); })),
                HasSubstr("tensor t at offset 0 is 8192 bytes long"));
    EXPECT_THAT(refusal(one([](Raw& r) { r.tensor("t", {2048}, 999, 8192); })),
                HasSubstr("offset of tensor t is 8192"));
}

TEST(GgufTensorInfo, TensorsMayNotCollide) {
    const auto two = [](std::string_view first, std::uint64_t first_offset, std::string_view second,
                        std::uint64_t second_offset) {
        return Raw()
            .header(2, 0)
            .tensor(first, {16}, kF32, first_offset)
            .tensor(second, {16}, kF32, second_offset)
            .slack();
    };
    EXPECT_THAT(refusal(two("t", 0, "t", 64)), HasSubstr("tensor t appears twice"));
    EXPECT_THAT(refusal(two("a", 64, "b", 64)), HasSubstr("the same as that of tensor"));
    EXPECT_THAT(refusal(two("a", 0, "b", 32)), HasSubstr("tensor a at offset 0 overlaps tensor b"));
    EXPECT_THAT(refusal(two("b", 32, "a", 0)), HasSubstr("tensor a at offset 0 overlaps tensor b"));
    // In any order of offsets, as long as they do not.
    const Raw swapped = two("b", 64, "a", 0);
    const auto file = File::parse(swapped.bytes());
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ((*file)->find_tensor("b")->offset, (*file)->find_tensor("a")->offset + 64);
}

/// A small file with something of everything.
Raw whole_file() {
    Raw raw;
    raw.header(2, 4);
    raw.string("general.alignment").kind(ValueKind::u32).u32(8);
    raw.string("text").kind(ValueKind::string).string("value");
    raw.string("words").kind(ValueKind::array).kind(ValueKind::string).u64(2);
    raw.string("one").string("two");
    raw.string("numbers")
        .kind(ValueKind::array)
        .kind(ValueKind::u16)
        .u64(3)
        .u32(1)
        .put(std::uint16_t{2});
    raw.tensor("first", {8}, kF32, 0).tensor("second", {32, 2}, kQ80, 32);
    return raw.pad_to(8).zeros(32 + 68);
}

TEST(GgufTruncation, EveryPrefixOfAFileIsRefused) {
    const Raw raw = whole_file();
    ASSERT_TRUE(File::parse(raw.bytes()).has_value());
    for (std::size_t length = 0; length < raw.bytes().size(); ++length) {
        // A copy of exactly this length, so that a sanitizer sees any read past it.
        const std::vector<std::byte> prefix(
            raw.bytes().begin(), raw.bytes().begin() + static_cast<std::ptrdiff_t>(length));
        const auto file = File::parse(prefix);
        ASSERT_FALSE(file.has_value()) << length;
        EXPECT_EQ(file.error().fault, Fault::corrupt);
        EXPECT_FALSE(file.error().message.empty());
    }
}

TEST(GgufTruncation, EverySingleByteChangeIsRefusedOrReadable) {
    const std::vector<std::byte> good = whole_file().bytes();
    std::size_t refused = 0;
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (const unsigned flip : {0x01U, 0x80U, 0xFFU}) {
            std::vector<std::byte> bad = good;
            bad[at] ^= static_cast<std::byte>(flip);
            const auto file = File::parse(bad);
            if (!file) {
                EXPECT_EQ(file.error().fault, Fault::corrupt);
                ++refused;
                continue;
            }
            for (const Tensor& tensor : (*file)->tensors()) {
                EXPECT_EQ((*file)->data(tensor).size(), tensor.bytes);
            }
        }
    }
    EXPECT_GT(refused, good.size() / 2);
}

}  // namespace
}  // namespace trilane::gguf
