// What a file's metadata may and may not say.

#include "model/config.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <variant>

#include "gguf/gguf.h"
#include "gguf/writer.h"

namespace trilane::model {
namespace {

using Value = std::variant<std::uint32_t, float, std::string>;
using Keys = std::map<std::string, Value>;

Keys small() {
    return {{"block_count", 2U},
            {"embedding_length", 64U},
            {"attention.head_count", 4U},
            {"feed_forward_length", 128U},
            {"context_length", 256U}};
}

Result<Config> read(const std::string& architecture, const Keys& keys) {
    gguf::Writer writer;
    writer.add("general.architecture", architecture);
    for (const auto& [name, value] : keys) {
        std::visit([&](const auto& v) { writer.add(architecture + "." + name, v); }, value);
    }
    const std::uint64_t shape[] = {64, 100};
    const std::vector<float> zeros(6400);
    writer.add_tensor("token_embd.weight", shape, zeros);
    const auto bytes = writer.bytes();
    return read_config(*gguf::File::parse(bytes).value());
}

Fault fault_with(const std::string& name, Value value) {
    Keys keys = small();
    keys[name] = std::move(value);
    const auto config = read("llama", keys);
    EXPECT_FALSE(config) << name;
    return config ? Fault::internal : config.error().fault;
}

TEST(Config, ReadsTheShapeAndFillsInDefaults) {
    const Config config = read("qwen3", small()).value();
    EXPECT_EQ(config.head_dim, 16U);
    EXPECT_EQ(config.kv_heads, 4U);
    EXPECT_EQ(config.vocab, 100U);
    EXPECT_EQ(config.rope_pairs, RopePairs::halves);
    EXPECT_TRUE(config.head_norms);
    EXPECT_FALSE(config.sub_norms);
    EXPECT_EQ(read("llama", small())->rope_pairs, RopePairs::adjacent);
    EXPECT_EQ(read("bitnet-b1.58", small())->activation, Activation::relu2);
    EXPECT_EQ(read("bitnet", small())->activation, Activation::silu);
}

TEST(Config, RefusesWhatItDoesNotKnowByName) {
    const auto unknown = read("mamba", small());
    EXPECT_EQ(unknown.error().fault, Fault::invalid);
    EXPECT_NE(unknown.error().message.find("mamba"), std::string::npos);
    EXPECT_NE(unknown.error().message.find("qwen3"), std::string::npos);
    EXPECT_EQ(fault_with("rope.scaling.type", std::string("yarn")), Fault::invalid);
}

TEST(Config, RefusesShapesThatDoNotFitTogether) {
    EXPECT_EQ(fault_with("attention.head_count_kv", 3U), Fault::corrupt);
    EXPECT_EQ(fault_with("rope.dimension_count", 18U), Fault::corrupt);
    EXPECT_EQ(fault_with("rope.dimension_count", 7U), Fault::corrupt);
    EXPECT_EQ(fault_with("attention.head_count", 0U), Fault::corrupt);
    EXPECT_EQ(fault_with("block_count", 1U << 20U), Fault::corrupt);
    EXPECT_EQ(fault_with("context_length", 0U), Fault::corrupt);
    EXPECT_EQ(fault_with("attention.value_length", 8U), Fault::invalid);
}

TEST(Config, RefusesAWidthThatWrapsIn32Bits) {
    Keys keys = small();
    keys["attention.head_count"] = 65537U;
    keys["attention.key_length"] = 65536U;
    keys["attention.head_count_kv"] = 1U;
    keys["rope.dimension_count"] = 2U;
    EXPECT_EQ(read("llama", keys).error().fault, Fault::corrupt);
    keys["attention.head_count"] = 4096U;
    EXPECT_EQ(read("llama", keys).error().fault, Fault::corrupt);
}

TEST(Config, AnOptionalKeyOfTheWrongKindIsNoAbsentOne) {
    EXPECT_EQ(fault_with("attention.head_count_kv", std::string("4")), Fault::corrupt);
    EXPECT_EQ(fault_with("rope.freq_base", std::string("10000")), Fault::corrupt);
    EXPECT_EQ(fault_with("rope.scaling.type", 3U), Fault::corrupt);
    EXPECT_EQ(fault_with("rope.freq_base", -1.0F), Fault::corrupt);
}

TEST(Config, AVocabularyAloneIsNoModel) {
    gguf::Writer writer;
    writer.add("general.architecture", "llama");
    for (const auto& [name, value] : small()) {
        std::visit([&, key = "llama." + name](const auto& v) { writer.add(key, v); }, value);
    }
    const auto bytes = writer.bytes();
    EXPECT_EQ(read_config(*gguf::File::parse(bytes).value()).error().fault, Fault::corrupt);
}

}  // namespace
}  // namespace trilane::model
