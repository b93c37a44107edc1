// Shapes of the architectures that GGUF files name, and what llama-server makes of them: by figures
// that its own logs and model cards give. Nonsense is refused.
#include "plan/shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "gguf/gguf.h"
#include "gguf/writer.h"

namespace trilane::plan {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

/// A header of one architecture; tensors only where a test adds them.
class Header {
public:
    explicit Header(std::string_view architecture) : architecture_(architecture) {
        writer.add("general.architecture", architecture);
    }
    template <class Value>
    Header& with(std::string_view name, Value value) {
        writer.add(architecture_ + "." + std::string(name), value);
        return *this;
    }
    Header& each(std::string_view name, const std::vector<std::int32_t>& values) {
        writer.add(architecture_ + "." + std::string(name), std::span<const std::int32_t>(values));
        return *this;
    }
    Header& flags(std::string_view name, const std::vector<bool>& values) {
        std::vector<std::byte> stored{std::byte{7}, std::byte{0}, std::byte{0}, std::byte{0}};
        for (unsigned shift = 0; shift < 64; shift += 8) {
            stored.push_back(static_cast<std::byte>(values.size() >> shift & 0xFFU));
        }
        for (const bool value : values) {
            stored.push_back(static_cast<std::byte>(value));
        }
        writer.add_raw(architecture_ + "." + std::string(name), gguf::ValueKind::array, stored);
        return *this;
    }
    /// A plain transformer.
    Header& blocks(std::uint32_t layers, std::uint32_t dim, std::uint32_t heads,
                   std::uint32_t kv_heads) {
        return with("block_count", layers)
            .with("embedding_length", dim)
            .with("feed_forward_length", 4 * dim)
            .with("attention.head_count", heads)
            .with("attention.head_count_kv", kv_heads)
            .with("context_length", std::uint32_t{131'072});
    }
    Result<Shape> shape() {
        bytes_ = writer.bytes();
        TRILANE_TRY(const auto file, gguf::File::parse(bytes_));
        return read_shape(*file);
    }

    gguf::Writer writer;

private:
    std::string architecture_;
    std::vector<std::byte> bytes_;
};

std::uint64_t kv_of(const Shape& shape, std::uint32_t context_tokens, std::uint32_t parallel = 1,
                    KvType type = KvType::f16) {
    return kv_bytes(shape, {.parallel = parallel, .kv = type}, context_tokens);
}

TEST(Shape, GroupedHeadsOfLlama8b) {
    const auto shape = Header("llama").blocks(32, 4096, 32, 8).shape();
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    ASSERT_EQ(shape->layers.size(), 32U);
    EXPECT_EQ(shape->layers[0].k_width, 1024U);
    EXPECT_EQ(shape->context_tokens, 131'072U);
    EXPECT_EQ(kv_of(*shape, 1024), 128 * kMiB);
    EXPECT_EQ(kv_of(*shape, 8192), 1024 * kMiB);
    EXPECT_EQ(kv_of(*shape, 8192, 4), 4096 * kMiB);
    EXPECT_EQ(kv_of(*shape, 8192, 1, KvType::q8_0), 544 * kMiB);
    EXPECT_EQ(kv_of(*shape, 8192, 1, KvType::q4_0), 288 * kMiB);
    EXPECT_EQ(kv_of(*shape, 100), 32 * kMiB) << "caches are made of 256 cells at a time";
}

TEST(Shape, KeysAndValuesOfTheirOwnLength) {
    const auto shape = Header("qwen3")
                           .blocks(48, 768, 12, 6)
                           .with("attention.key_length", std::uint32_t{128})
                           .with("attention.value_length", std::uint32_t{64})
                           .shape();
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    EXPECT_EQ(shape->layers[47].k_width, 768U);
    EXPECT_EQ(shape->layers[47].v_width, 384U);
}

TEST(Shape, WithoutKvHeadsEveryHeadHasItsOwn) {
    const auto shape = Header("gpt2")
                           .with("block_count", std::uint32_t{12})
                           .with("embedding_length", std::uint32_t{768})
                           .with("attention.head_count", std::uint32_t{12})
                           .shape();
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    EXPECT_EQ(shape->layers[3].k_width, 768U);
    EXPECT_EQ(shape->context_tokens, 0U);
}

TEST(Shape, WindowsOfGemma3AreFiveOfSix) {
    const auto shape = Header("gemma3")
                           .blocks(12, 2560, 8, 4)
                           .with("attention.key_length", std::uint32_t{256})
                           .with("attention.value_length", std::uint32_t{256})
                           .with("attention.sliding_window", std::uint32_t{1024})
                           .shape();
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    EXPECT_EQ(shape->layers[0].window_tokens, 1024U);
    EXPECT_EQ(shape->layers[4].window_tokens, 1024U);
    EXPECT_EQ(shape->layers[5].window_tokens, 0U);
    EXPECT_EQ(shape->layers[11].window_tokens, 0U);
    // 4096 bytes of a position in a layer; two layers of 32768 cells, ten of 1024 + 512.
    EXPECT_EQ(kv_of(*shape, 32'768), 4096U * (2 * 32'768 + 10 * 1536));
    EXPECT_EQ(kv_of(*shape, 1024), 4096U * 12 * 1024) << "no window is wider than the context";
}

TEST(Shape, PatternsThatFilesName) {
    const auto scalar = Header("plamo3")
                            .blocks(4, 512, 8, 8)
                            .with("attention.sliding_window", std::uint32_t{2048})
                            .with("attention.sliding_window_pattern", std::uint32_t{2})
                            .shape();
    ASSERT_TRUE(scalar.has_value()) << scalar.error().message;
    EXPECT_EQ(scalar->layers[0].window_tokens, 2048U);
    EXPECT_EQ(scalar->layers[1].window_tokens, 0U);

    const auto flags = Header("gemma4")
                           .blocks(4, 512, 8, 8)
                           .with("attention.sliding_window", std::uint32_t{512})
                           .with("attention.key_length", std::uint32_t{512})
                           .with("attention.key_length_swa", std::uint32_t{256})
                           .with("attention.shared_kv_layers", std::uint32_t{1})
                           .flags("attention.sliding_window_pattern", {true, false, true, false})
                           .shape();
    ASSERT_TRUE(flags.has_value()) << flags.error().message;
    EXPECT_EQ(flags->layers[0].window_tokens, 512U);
    EXPECT_EQ(flags->layers[0].k_width, 8U * 256U);
    EXPECT_EQ(flags->layers[1].window_tokens, 0U);
    EXPECT_EQ(flags->layers[1].k_width, 8U * 512U);
    EXPECT_EQ(flags->layers[3].k_width, 0U) << "shares an earlier layer's cache";

    const auto dense_first = Header("smallthinker")
                                 .blocks(4, 512, 8, 8)
                                 .with("attention.sliding_window", std::uint32_t{4096})
                                 .shape();
    ASSERT_TRUE(dense_first.has_value());
    EXPECT_EQ(dense_first->layers[0].window_tokens, 0U);
    EXPECT_EQ(dense_first->layers[1].window_tokens, 4096U);
}

TEST(Shape, WindowsThatEnginesIgnoreAreIgnored) {
    const auto shape = Header("qwen2")
                           .blocks(4, 512, 8, 8)
                           .with("attention.sliding_window", std::uint32_t{4096})
                           .shape();
    ASSERT_TRUE(shape.has_value());
    EXPECT_EQ(shape->layers[0].window_tokens, 0U);
}

TEST(Shape, LatentAttentionOfDeepseek) {
    Header header("deepseek2");
    header.blocks(61, 7168, 128, 1)
        .with("attention.key_length", std::uint32_t{576})
        .with("attention.value_length", std::uint32_t{512})
        .with("attention.key_length_mla", std::uint32_t{192})
        .with("attention.value_length_mla", std::uint32_t{128})
        .with("attention.kv_lora_rank", std::uint32_t{512})
        .with("rope.dimension_count", std::uint32_t{64});
    const auto shape = header.shape();
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    EXPECT_EQ(shape->layers[0].k_width, 576U);
    EXPECT_EQ(shape->layers[0].v_width, 0U);
    EXPECT_EQ(kv_of(*shape, 4096), 61U * 4096 * 576 * 2);
}

TEST(Shape, ConvolutionLayersOfLfm2KeepTheirLastInputs) {
    const auto shape = Header("lfm2")
                           .with("block_count", std::uint32_t{4})
                           .with("embedding_length", std::uint32_t{1024})
                           .with("attention.head_count", std::uint32_t{16})
                           .each("attention.head_count_kv", {0, 0, 8, 0})
                           .with("shortconv.l_cache", std::uint32_t{3})
                           .with("context_length", std::uint32_t{32'768})
                           .shape();
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    EXPECT_EQ(shape->layers[0].k_width, 0U);
    EXPECT_EQ(shape->layers[0].state_bytes, 1024U * 2 * 4);
    EXPECT_EQ(shape->layers[2].k_width, 512U);
    EXPECT_EQ(shape->layers[2].state_bytes, 0U);
    EXPECT_EQ(kv_of(*shape, 1024, 2), 2U * (1024 * 1024 * 2 + 3 * 8192));
}

TEST(Shape, RecurrentAndHybridModels) {
    const auto add_ssm = [](Header& header) -> Header& {
        return header.with("ssm.conv_kernel", std::uint32_t{4})
            .with("ssm.inner_size", std::uint32_t{4096})
            .with("ssm.state_size", std::uint32_t{128})
            .with("ssm.group_count", std::uint32_t{16});
    };
    constexpr std::uint64_t kState = (3 * (4096 + 2 * 16 * 128) + 4096 * 128) * 4;

    Header mamba("mamba2");
    const auto pure = add_ssm(mamba.blocks(2, 2048, 1, 0)).shape();
    ASSERT_TRUE(pure.has_value()) << pure.error().message;
    EXPECT_EQ(pure->layers[0].state_bytes, kState);
    EXPECT_EQ(kv_of(*pure, 100'000, 2), 2 * 2 * kState) << "no cache that grows";

    Header next("qwen3next");
    const auto every_fourth = add_ssm(next.blocks(8, 2048, 16, 2)).shape();
    ASSERT_TRUE(every_fourth.has_value());
    EXPECT_EQ(every_fourth->layers[2].state_bytes, kState);
    EXPECT_EQ(every_fourth->layers[2].k_width, 0U);
    EXPECT_EQ(every_fourth->layers[3].state_bytes, 0U);
    EXPECT_EQ(every_fourth->layers[3].k_width, 256U);

    Header falcon("falcon-h1");
    const auto both = add_ssm(falcon.blocks(2, 2048, 16, 2)).shape();
    ASSERT_TRUE(both.has_value());
    EXPECT_EQ(both->layers[1].state_bytes, kState);
    EXPECT_EQ(both->layers[1].k_width, 256U);

    Header granite("granitehybrid");
    granite.with("block_count", std::uint32_t{2})
        .with("embedding_length", std::uint32_t{1536})
        .with("attention.head_count", std::uint32_t{12})
        .each("attention.head_count_kv", {0, 4});
    const auto by_heads = add_ssm(granite).shape();
    ASSERT_TRUE(by_heads.has_value());
    EXPECT_EQ(by_heads->layers[0].state_bytes, kState);
    EXPECT_EQ(by_heads->layers[1].state_bytes, 0U);
    EXPECT_EQ(by_heads->layers[1].k_width, 512U);
}

TEST(Shape, EncodersKeepNoCache) {
    const auto shape =
        Header("nomic-bert").blocks(12, 768, 12, 12).with("attention.causal", false).shape();
    ASSERT_TRUE(shape.has_value());
    EXPECT_EQ(kv_of(*shape, 2048), 0U);
}

TEST(Shape, CountsTensorsAndParts) {
    Header header("llama");
    header.blocks(1, 64, 4, 4);
    const std::array<std::uint64_t, 2> embedding{64, 1000};
    header.writer.add_tensor("token_embd.weight", embedding, std::vector<float>(64'000));
    const auto tied = header.shape();
    ASSERT_TRUE(tied.has_value()) << tied.error().message;
    EXPECT_EQ(tied->vocab, 1000U);
    EXPECT_EQ(tied->weight_bytes, 256'000U);
    EXPECT_EQ(tied->embedding_bytes, 256'000U);
    EXPECT_TRUE(tied->tied_embedding);

    header.writer.add_tensor("output.weight", embedding, std::vector<float>(64'000));
    const auto untied = header.shape();
    ASSERT_TRUE(untied.has_value());
    EXPECT_FALSE(untied->tied_embedding);
    EXPECT_EQ(untied->weight_bytes, 512'000U);
    // On a GPU the embedding stays with the CPU, and a head made of it is a second copy.
    const auto weights = [](const Shape& shape) {
        return llama_server_need(shape, {.on_gpu = true}).parts.front().bytes;
    };
    EXPECT_EQ(weights(*tied), 512'000U);
    EXPECT_EQ(weights(*untied), 512'000U);

    Shape split = *tied;
    const std::vector<std::byte> bytes = header.writer.bytes();
    add_part(split, **gguf::File::parse(bytes));
    EXPECT_EQ(split.weight_bytes, 256'000U + 512'000U);
}

TEST(Shape, RefusesNonsense) {
    const auto message = [](Header& header) {
        const auto shape = header.shape();
        return shape ? "" : shape.error().message;
    };
    Header no_layers("llama");
    EXPECT_THAT(message(no_layers), HasSubstr("block_count"));
    Header zero("llama");
    zero.with("block_count", std::uint32_t{0});
    EXPECT_THAT(message(zero), HasSubstr("block_count is 0"));
    Header endless("llama");
    endless.with("block_count", std::uint64_t{1} << 40U);
    EXPECT_THAT(message(endless), HasSubstr("block_count"));
    Header few("llama");
    few.with("block_count", std::uint32_t{3}).each("attention.head_count", {1, 2});
    EXPECT_THAT(message(few), HasSubstr("2 values for 3 layers"));
    Header negative("llama");
    negative.with("block_count", std::uint32_t{1}).each("attention.head_count_kv", {-1});
    EXPECT_THAT(message(negative), HasSubstr("is -1"));
    Header wide("llama");
    wide.with("block_count", std::uint32_t{1})
        .with("attention.head_count", std::uint32_t{65'536})
        .with("attention.key_length", std::uint32_t{4'000'000});
    EXPECT_THAT(message(wide), HasSubstr("not believed"));
    Header text("llama");
    text.with("block_count", std::uint32_t{1}).with("embedding_length", "large");
    EXPECT_THAT(message(text), HasSubstr("embedding_length"));
    gguf::Writer nameless;
    nameless.add("general.name", "x");
    const std::vector<std::byte> bytes = nameless.bytes();
    EXPECT_FALSE(read_shape(**gguf::File::parse(bytes)).has_value());
}

/// Files that are broken at random are refused or read, and their needs saturate.
TEST(Shape, RandomBytesNeverMakeItOverflow) {
    Header header("gemma3");
    header.blocks(12, 2560, 8, 4)
        .with("attention.sliding_window", std::uint32_t{1024})
        .with("ssm.conv_kernel", std::uint32_t{4})
        .with("ssm.inner_size", std::uint32_t{4096})
        .each("attention.head_count_kv2", std::vector<std::int32_t>(12, 1));
    const std::vector<std::byte> whole = header.writer.bytes();
    std::mt19937 random(11);
    std::size_t read = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::vector<std::byte> bytes = whole;
        for (int flips = 0; flips < 3; ++flips) {
            bytes[24 + random() % (bytes.size() - 24)] = static_cast<std::byte>(random());
        }
        const auto file = gguf::File::parse(bytes);
        if (!file) {
            continue;
        }
        const auto shape = read_shape(**file);
        if (!shape) {
            continue;
        }
        ++read;
        const std::uint64_t one = kv_of(*shape, 1);
        const std::uint64_t most =
            kv_of(*shape, std::numeric_limits<std::uint32_t>::max(), 1'000'000);
        EXPECT_LE(one, most);
        const Need need = llama_server_need(*shape, {.parallel = 4'000'000'000U});
        EXPECT_GE(need.bytes(), need.parts.front().bytes);
    }
    EXPECT_GT(read, 100U);
}

/// Buffers as llama.cpp logs them for these shapes on a CPU, in MiB: KV exactly, compute buffers
/// from above.
TEST(LlamaServer, AgreesWithItsOwnLog) {
    struct Case {
        const char* architecture;
        std::uint32_t layers, dim, ffn, heads, kv_heads, head_length, vocab, context, batch;
        double kv_mib, compute_mib;
    };
    constexpr Case kCases[] = {
        {"llama", 6, 768, 2048, 12, 4, 64, 128'256, 4096, 512, 24.0, 253.50},
        {"llama", 6, 768, 2048, 12, 4, 64, 128'256, 32'768, 512, 192.0, 253.50},
        {"qwen3", 48, 768, 2304, 12, 6, 128, 32'000, 4096, 512, 576.0, 75.51},
        {"qwen3", 48, 768, 2304, 12, 6, 128, 32'000, 16'384, 512, 2304.0, 80.50},
        {"qwen3", 48, 768, 2304, 12, 6, 128, 32'000, 32'768, 512, 4608.0, 65.50},
        {"qwen3", 48, 768, 2304, 12, 6, 128, 32'000, 4096, 2048, 576.0, 302.05},
        {"bitnet", 20, 2048, 5632, 16, 4, 128, 50'000, 8192, 512, 320.0, 109.66},
    };
    for (const Case& c : kCases) {
        Header header(c.architecture);
        header.with("block_count", c.layers)
            .with("embedding_length", c.dim)
            .with("feed_forward_length", c.ffn)
            .with("attention.head_count", c.heads)
            .with("attention.head_count_kv", c.kv_heads)
            .with("attention.key_length", c.head_length)
            .with("attention.value_length", c.head_length)
            .with("vocab_size", c.vocab);
        const auto shape = header.shape();
        ASSERT_TRUE(shape.has_value()) << shape.error().message;
        const Need need =
            llama_server_need(*shape, {.context_tokens = c.context, .micro_batch_tokens = c.batch});
        const auto mib = [&](std::string_view what) {
            for (const Part& part : need.parts) {
                if (part.what == what) {
                    return static_cast<double>(part.bytes) / static_cast<double>(kMiB);
                }
            }
            return 0.0;
        };
        EXPECT_DOUBLE_EQ(mib("KV cache"), c.kv_mib);
        EXPECT_GE(mib("compute buffers"), c.compute_mib);
        const double mask = 2.0 * c.context * c.batch / static_cast<double>(kMiB);
        EXPECT_LE(mib("compute buffers"), 1.2 * c.compute_mib + mask);
    }
}

TEST(LlamaServer, TheLineThroughAContextLiesNowhereBelowTheNeed) {
    Header header("gemma3");
    header.blocks(48, 3840, 16, 8)
        .with("attention.key_length", std::uint32_t{256})
        .with("attention.sliding_window", std::uint32_t{1024});
    const auto shape = header.shape();
    ASSERT_TRUE(shape.has_value());
    for (const std::uint32_t at : {256U, 1024U, 2048U, 8192U, 131'072U}) {
        Wishes wishes{.context_tokens = at, .parallel = 2};
        const Need line = llama_server_need(*shape, wishes);
        for (std::uint32_t other = 256; other <= 131'072; other *= 2) {
            wishes.context_tokens = other;
            EXPECT_GE(at_context(line, other).bytes() + 4096,
                      llama_server_need(*shape, wishes).bytes())
                << at << " → " << other;
        }
    }
}

TEST(LlamaServer, CountsWhatItIsAskedToKeep) {
    const auto shape = Header("gemma3")
                           .blocks(12, 2560, 8, 4)
                           .with("attention.sliding_window", std::uint32_t{1024})
                           .shape();
    ASSERT_TRUE(shape.has_value());
    const std::uint64_t plain = llama_server_need(*shape, {.context_tokens = 8192}).bytes();
    const auto more = [&](Wishes wishes) {
        wishes.context_tokens = 8192;
        return llama_server_need(*shape, wishes).bytes() - plain;
    };
    EXPECT_EQ(more({.prompt_cache_bytes = 1'000'000}), 1'000'000U);
    EXPECT_EQ(more({.projector_bytes = 1'000'000}), 1'200'000U);
    // Ten layers of 1024 positions of 2 · 4 · 320 values of two bytes.
    EXPECT_EQ(more({.context_checkpoints = 2}), 2U * 10 * 1024 * 2 * 4 * 320 * 2);
    EXPECT_GT(more({.on_gpu = true}), 100'000'000U);
    EXPECT_EQ(llama_server_need(*shape, {}).context_tokens, 131'072U);
}

TEST(Flm, GrowsOnlyBeyondItsDefaultContext) {
    const Need usual = flm_need(5'400'000'000, 0, 16'384);
    EXPECT_EQ(usual.bytes(), 5'400'000'000U);
    EXPECT_EQ(usual.context_tokens, 16'384U);
    const Need more = flm_need(5'400'000'000, 32'768, 16'384);
    EXPECT_GT(more.bytes(), usual.bytes());
    EXPECT_EQ(at_context(more, 4096).bytes(), usual.bytes());
}

TEST(KvTypes, AreNamed) {
    EXPECT_EQ(kv_type_from("q8").value(), KvType::q8_0);
    EXPECT_EQ(kv_type_from("q4_0").value(), KvType::q4_0);
    EXPECT_THAT(kv_type_from("fp8").error().message, HasSubstr("use f16, q8 or q4"));
}

}  // namespace
}  // namespace trilane::plan
