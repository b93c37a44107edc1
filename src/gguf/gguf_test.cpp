// Good files: what is written is read back, and the bundled files open with the facts they have.
#include "gguf/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>

#include "gguf/writer.h"

namespace trilane::gguf {
namespace {

using ::testing::HasSubstr;

const std::string kSource = TRILANE_SOURCE_DIR;

std::vector<std::byte> some_bytes(std::size_t count, unsigned salt) {
    std::vector<std::byte> bytes(count);
    for (std::size_t i = 0; i < count; ++i) {
        bytes[i] = static_cast<std::byte>((i * 31 + salt) & 0xFFU);
    }
    return bytes;
}

template <class T>
std::span<const std::byte> raw(const T& value) {
    return std::as_bytes(std::span<const T>(&value, 1));
}

struct Parsed {
    std::vector<std::byte> bytes;
    std::shared_ptr<const File> file;
};

Parsed parsed(const Writer& writer) {
    Parsed out{writer.bytes(), nullptr};
    auto file = File::parse(out.bytes);
    EXPECT_TRUE(file.has_value()) << (file ? "" : file.error().message);
    out.file = file.value_or(nullptr);
    return out;
}

TEST(GgufRoundTrip, EveryScalarKindKeepsItsValue) {
    Writer writer;
    writer.add_raw("u8", ValueKind::u8, raw(std::uint8_t{200}));
    writer.add_raw("i8", ValueKind::i8, raw(std::int8_t{-100}));
    writer.add_raw("u16", ValueKind::u16, raw(std::uint16_t{60'000}));
    writer.add_raw("i16", ValueKind::i16, raw(std::int16_t{-30'000}));
    writer.add("u32", std::uint32_t{4'000'000'000U});
    writer.add("i32", std::int32_t{-2'000'000'000});
    writer.add("u64", std::numeric_limits<std::uint64_t>::max());
    writer.add("i64", std::numeric_limits<std::int64_t>::min());
    writer.add("f32", 0.25F);
    writer.add("f64", 0.1);
    writer.add("yes", true);
    writer.add("no", false);
    writer.add("text", "naïve");
    const Parsed it = parsed(writer);
    ASSERT_NE(it.file, nullptr);
    EXPECT_EQ(it.file->version(), 3U);
    EXPECT_EQ(it.file->metadata().size(), 13U);
    EXPECT_EQ(it.file->integer("u8"), 200U);
    EXPECT_EQ(it.file->number("i8"), -100.0);
    EXPECT_EQ(it.file->integer("u16"), 60'000U);
    EXPECT_EQ(it.file->number("i16"), -30'000.0);
    EXPECT_EQ(it.file->integer("u32"), 4'000'000'000U);
    EXPECT_EQ(it.file->number("i32"), -2e9);
    EXPECT_EQ(it.file->integer("u64"), std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(std::get<std::int64_t>(it.file->find("i64")->value),
              std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(it.file->number("f32"), 0.25);
    EXPECT_EQ(it.file->number("f64"), 0.1);
    EXPECT_EQ(it.file->boolean("yes"), true);
    EXPECT_EQ(it.file->boolean("no"), false);
    EXPECT_EQ(it.file->string("text"), "naïve");
    EXPECT_EQ(it.file->find("i16")->kind, ValueKind::i16);
}

TEST(GgufRoundTrip, ArraysDecodeOnAccess) {
    Writer writer;
    const std::vector<std::string> words{"", "a", std::string("nul\0inside", 10), "ÿ"};
    const std::vector<float> scores{-1.5F, 0.0F, 3e38F};
    const std::vector<std::int32_t> kinds{-7, 0, 2'000'000'000};
    writer.add("words", words);
    writer.add("scores", scores);
    writer.add("kinds", kinds);
    writer.add("none", std::span<const std::string>());
    const Parsed it = parsed(writer);
    ASSERT_NE(it.file, nullptr);
    const Array* strings = it.file->array("words");
    ASSERT_NE(strings, nullptr);
    ASSERT_EQ(strings->size(), words.size());
    for (std::size_t i = 0; i < words.size(); ++i) {
        EXPECT_EQ(strings->string(i), words[i]);
    }
    ASSERT_EQ(it.file->array("scores")->size(), 3U);
    EXPECT_EQ(it.file->array("scores")->number(0), -1.5);
    EXPECT_EQ(it.file->array("scores")->number(2), static_cast<double>(3e38F));
    EXPECT_EQ(it.file->array("kinds")->integer(0), -7);
    EXPECT_EQ(it.file->array("kinds")->integer(2), 2'000'000'000);
    EXPECT_EQ(it.file->array("kinds")->number(0), -7.0);
    EXPECT_EQ(it.file->array("none")->size(), 0U);
    EXPECT_EQ(it.file->array("absent"), nullptr);
}

TEST(GgufRoundTrip, EveryNumericArrayKindDecodes) {
    const auto one = [](ValueKind kind, auto value) {
        Writer writer;
        std::vector<std::byte> stored;
        const auto append = [&](std::span<const std::byte> bytes) {
            stored.insert(stored.end(), bytes.begin(), bytes.end());
        };
        append(raw(static_cast<std::uint32_t>(kind)));
        append(raw(std::uint64_t{2}));
        append(raw(value));
        append(raw(decltype(value){1}));
        writer.add_raw("a", ValueKind::array, stored);
        const Parsed it = parsed(writer);
        const Array* array = it.file->array("a");
        EXPECT_EQ(array->kind(), kind);
        EXPECT_EQ(array->number(1), 1.0);
        return array->number(0);
    };
    EXPECT_EQ(one(ValueKind::u8, std::uint8_t{255}), 255.0);
    EXPECT_EQ(one(ValueKind::i8, std::int8_t{-128}), -128.0);
    EXPECT_EQ(one(ValueKind::u16, std::uint16_t{65'535}), 65'535.0);
    EXPECT_EQ(one(ValueKind::i16, std::int16_t{-32'768}), -32'768.0);
    EXPECT_EQ(one(ValueKind::u32, std::uint32_t{4'294'967'295U}), 4'294'967'295.0);
    EXPECT_EQ(one(ValueKind::i32, std::int32_t{-2}), -2.0);
    EXPECT_EQ(one(ValueKind::u64, std::uint64_t{1} << 63U), 0x1p63);
    EXPECT_EQ(one(ValueKind::i64, std::int64_t{-3}), -3.0);
    EXPECT_EQ(one(ValueKind::f32, 0.5F), 0.5);
    EXPECT_EQ(one(ValueKind::f64, 0.1), 0.1);
    EXPECT_EQ(one(ValueKind::boolean, std::uint8_t{1}), 1.0);
}

TEST(GgufRoundTrip, TensorsKeepShapePlaceAndBytes) {
    for (const std::uint32_t alignment : {8U, 32U, 4096U}) {
        Writer writer;
        writer.set_alignment(alignment);
        const std::vector<float> floats{1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F};
        const auto codes = some_bytes(3 * 66, 5);
        const auto i2s = some_bytes(2 * 32 + 32, 9);
        writer.add_tensor("plain", std::array<std::uint64_t, 2>{3, 2}, floats);
        writer.add_tensor("codes", std::array<std::uint64_t, 2>{256, 3}, Type::tq2_0, codes);
        writer.add_tensor("bitnet", std::array<std::uint64_t, 1>{256}, Type::i2_s, i2s);
        writer.add_tensor("made", std::array<std::uint64_t, 1>{2}, Type::f16,
                          [](std::span<std::byte> out) { out[3] = std::byte{0x3C}; });
        const Parsed it = parsed(writer);
        ASSERT_NE(it.file, nullptr);
        EXPECT_EQ(it.file->alignment(), alignment);
        ASSERT_EQ(it.file->tensors().size(), 4U);
        const Tensor* plain = it.file->find_tensor("plain");
        ASSERT_NE(plain, nullptr);
        EXPECT_EQ(plain->dimensions, 2U);
        EXPECT_EQ(plain->shape, (std::array<std::uint64_t, 4>{3, 2, 1, 1}));
        EXPECT_EQ(plain->weights(), 6U);
        EXPECT_EQ(plain->offset % alignment, 0U);
        EXPECT_EQ(plain->bytes, 24U);
        EXPECT_EQ(std::memcmp(it.file->data(*plain).data(), floats.data(), 24), 0);
        EXPECT_THAT(it.file->data(*it.file->find_tensor("codes")),
                    ::testing::ElementsAreArray(codes));
        EXPECT_THAT(it.file->data(*it.file->find_tensor("bitnet")),
                    ::testing::ElementsAreArray(i2s));
        EXPECT_EQ(it.file->data(*it.file->find_tensor("made"))[3], std::byte{0x3C});
        EXPECT_EQ(it.file->find_tensor("pla"), nullptr);
        EXPECT_EQ(it.file->find_tensor("zzz"), nullptr);
    }
}

TEST(GgufRoundTrip, AFileOnDiskEqualsTheFileInMemory) {
    const std::string path = ::testing::TempDir() + "trilane_gguf_round_trip.gguf";
    Writer writer;
    writer.add("general.architecture", "llama");
    writer.add_tensor("t", std::array<std::uint64_t, 1>{32}, Type::q8_0, some_bytes(34, 1));
    ASSERT_TRUE(writer.write(path).has_value());
    const auto file = File::open(path);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ((*file)->file_bytes(), writer.bytes().size());
    EXPECT_THAT((*file)->data((*file)->tensors()[0]),
                ::testing::ElementsAreArray(some_bytes(34, 1)));
    EXPECT_FALSE(std::filesystem::exists(path + ".part"));
    std::remove(path.c_str());
}

TEST(GgufRoundTrip, WritingWhereNothingCanBeWrittenIsAnError) {
    const Status status = Writer().write("/nonexistent/folder/model.gguf");
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().fault, Fault::unavailable);
    EXPECT_THAT(status.error().message, HasSubstr("/nonexistent/folder/model.gguf"));
}

TEST(GgufOpen, AMissingFileIsNotFoundAndNamed) {
    const auto file = File::open("/nonexistent/model.gguf");
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().fault, Fault::not_found);
    EXPECT_THAT(file.error().message, HasSubstr("/nonexistent/model.gguf"));
}

TEST(GgufTypedMetadata, AWrongKindIsAbsentForSomeAndAnErrorForOthers) {
    Writer writer;
    writer.add("text", "x");
    writer.add("minus", std::int32_t{-1});
    writer.add("plus", std::int32_t{7});
    writer.add("half", 0.5F);
    const Parsed it = parsed(writer);
    ASSERT_NE(it.file, nullptr);
    EXPECT_EQ(it.file->integer("text"), std::nullopt);
    EXPECT_EQ(it.file->integer("minus"), std::nullopt);
    EXPECT_EQ(it.file->integer("half"), std::nullopt);
    EXPECT_EQ(it.file->integer("plus"), 7U);
    EXPECT_EQ(it.file->number("plus"), 7.0);
    EXPECT_EQ(it.file->number("text"), std::nullopt);
    EXPECT_EQ(it.file->boolean("plus"), std::nullopt);
    EXPECT_EQ(it.file->string("plus"), std::nullopt);
    EXPECT_EQ(it.file->array("plus"), nullptr);
    EXPECT_EQ(it.file->required_integer("plus").value(), 7U);
    EXPECT_EQ(it.file->required_number("half").value(), 0.5);
    EXPECT_EQ(it.file->required_string("text").value(), "x");

    const auto wrong = it.file->required_integer("text");
    ASSERT_FALSE(wrong.has_value());
    EXPECT_EQ(wrong.error().fault, Fault::corrupt);
    EXPECT_THAT(wrong.error().message, HasSubstr("text must be a non-negative integer"));
    EXPECT_THAT(wrong.error().message, HasSubstr("kind string"));
    const auto missing = it.file->required_string("general.name");
    ASSERT_FALSE(missing.has_value());
    EXPECT_THAT(missing.error().message, HasSubstr("general.name is missing"));
    EXPECT_FALSE(it.file->required_number("text").has_value());
}

TEST(GgufTypes, SizesAreGgmls) {
    const auto bytes = [](Type type, std::uint64_t weights) {
        return stored_bytes(static_cast<std::uint32_t>(type), weights);
    };
    EXPECT_EQ(bytes(Type::f32, 3), 12U);
    EXPECT_EQ(bytes(Type::f16, 3), 6U);
    EXPECT_EQ(bytes(Type::bf16, 3), 6U);
    EXPECT_EQ(bytes(Type::q4_0, 64), 36U);
    EXPECT_EQ(bytes(Type::q8_0, 64), 68U);
    EXPECT_EQ(bytes(Type::q4_k, 512), 288U);
    EXPECT_EQ(bytes(Type::q5_k, 512), 352U);
    EXPECT_EQ(bytes(Type::q6_k, 512), 420U);
    EXPECT_EQ(bytes(Type::tq1_0, 512), 108U);
    EXPECT_EQ(bytes(Type::tq2_0, 512), 132U);
    EXPECT_EQ(bytes(Type::i2_s, 512), 128U + 32U);
    EXPECT_EQ(bytes(Type::q4_0, 33), std::nullopt);
    EXPECT_EQ(stored_bytes(42, 256), std::nullopt);
}

TEST(GgufTypes, UnreadableTypesAreKeptAndRefusedByName) {
    Writer writer;
    const std::array<std::uint64_t, 1> shape{256};
    writer.add_tensor("rival", shape, 42U, some_bytes(72, 0));
    writer.add_tensor("bonsai", shape, 143U, some_bytes(56, 0));
    writer.add_tensor("iq", shape, 19U, some_bytes(50, 0));
    writer.add_tensor("new", shape, 999U, some_bytes(32, 0));
    writer.add_tensor("good", shape, Type::tq1_0, some_bytes(54, 0));
    const Parsed it = parsed(writer);
    ASSERT_NE(it.file, nullptr);
    // Without a known size a tensor goes up to the next one, padding included.
    EXPECT_EQ(it.file->find_tensor("rival")->bytes, 96U);
    EXPECT_EQ(it.file->find_tensor("new")->bytes, 32U);
    EXPECT_EQ(it.file->find_tensor("good")->bytes, 54U);
    EXPECT_TRUE(require_readable(*it.file->find_tensor("good")).has_value());

    const auto message = [&](std::string_view name) {
        const Status status = require_readable(*it.file->find_tensor(name));
        EXPECT_FALSE(status.has_value());
        EXPECT_EQ(status.error().fault, Fault::invalid);
        return status ? std::string() : status.error().message;
    };
    EXPECT_THAT(message("rival"), HasSubstr("tensor rival has type id 42"));
    EXPECT_THAT(message("rival"), HasSubstr("three rival layouts"));
    EXPECT_THAT(message("bonsai"), HasSubstr("tensor bonsai has type PTQ1_0 (id 143)"));
    EXPECT_THAT(message("iq"), HasSubstr("tensor iq has type IQ1_S (id 19)"));
    EXPECT_THAT(message("new"), HasSubstr("tensor new has type type 999 (id 999)"));
}

TEST(GgufBundled, TheNanoModelHasItsFacts) {
    const auto opened = File::open(kSource + "/models/trilane-nano/trilane-nano-tq2_0.gguf");
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    const File& file = **opened;
    EXPECT_EQ(file.version(), 3U);
    EXPECT_EQ(file.string("general.architecture"), "bitnet-b1.58");
    EXPECT_EQ(file.integer("bitnet-b1.58.block_count"), 12U);
    EXPECT_EQ(file.integer("bitnet-b1.58.embedding_length"), 768U);
    EXPECT_EQ(file.integer("bitnet-b1.58.feed_forward_length"), 2048U);
    EXPECT_EQ(file.array("tokenizer.ggml.tokens")->size(), 8192U);
    const Tensor* gate = file.find_tensor("blk.11.ffn_gate.weight");
    ASSERT_NE(gate, nullptr);
    EXPECT_EQ(gate->type, static_cast<std::uint32_t>(Type::tq2_0));
    EXPECT_EQ(gate->shape, (std::array<std::uint64_t, 4>{768, 2048, 1, 1}));
    EXPECT_EQ(gate->bytes, 768U * 2048U / 256U * 66U);
    const Tensor* embedding = file.find_tensor("token_embd.weight");
    ASSERT_NE(embedding, nullptr);
    EXPECT_EQ(embedding->type, static_cast<std::uint32_t>(Type::f16));
    for (const Tensor& tensor : file.tensors()) {
        EXPECT_TRUE(require_readable(tensor).has_value()) << tensor.name;
        EXPECT_LE(tensor.offset + tensor.bytes, file.file_bytes());
    }
}

TEST(GgufBundled, TheTokenizerFixturesOpenFast) {
    struct Fixture {
        const char* name;
        std::size_t tokens;
    };
    for (const Fixture& fixture : {Fixture{"gpt-2", 50'257}, Fixture{"qwen2", 151'936},
                                   Fixture{"bert-bge", 30'522}, Fixture{"phi-3", 32'064}}) {
        const std::string path =
            fmt::format("{}/tests/fixtures/tokenizers/ggml-vocab-{}.gguf", kSource, fixture.name);
        const auto begin = std::chrono::steady_clock::now();
        const auto file = File::open(path);
        const auto took = std::chrono::steady_clock::now() - begin;
        ASSERT_TRUE(file.has_value()) << file.error().message;
        const Array* tokens = (*file)->array("tokenizer.ggml.tokens");
        ASSERT_NE(tokens, nullptr) << fixture.name;
        EXPECT_EQ(tokens->size(), fixture.tokens) << fixture.name;
        EXPECT_TRUE((*file)->tensors().empty());
        RecordProperty(fixture.name, std::to_string(took / std::chrono::microseconds(1)) + " us");
        // Generous for sanitizers and busy machines; a quadratic parser takes minutes.
        EXPECT_LT(took, std::chrono::seconds(2)) << fixture.name;
    }
}

}  // namespace
}  // namespace trilane::gguf
