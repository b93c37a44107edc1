// Writes small seeded GGUF models, one per (architecture variant, weight type), that both Trilane
// and llama.cpp can run. The weights are noise with sane scales: what is compared is arithmetic,
// not text.
//
//   trilane_make_oracle_models --list          names, one a line
//   trilane_make_oracle_models DIR NAME...     writes DIR/NAME.gguf for each
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "blocks.h"
#include "gguf/writer.h"

namespace trilane::oracle {
namespace {

using gguf::Type;

constexpr std::uint32_t kDim = 256;
constexpr std::uint32_t kFfn = 512;
constexpr std::uint32_t kLayers = 2;
constexpr std::uint32_t kHeads = 4;
constexpr std::uint32_t kVocab = 512;
constexpr std::uint32_t kContext = 256;
constexpr double kLogitDeviation = 4.0;
// Small beside what the layers add, or a tied head would only repeat the last token.
constexpr double kEmbeddingDeviation = 0.1;

/// What one architecture variant has beside the plain Llama block.
struct Variant {
    std::string_view name;
    std::string_view architecture;
    std::uint32_t kv_heads = 2;
    std::uint32_t head_dim = 64;
    float rope_theta = 10'000.0F;
    float norm_eps = 1e-5F;
    bool tied = true;
    bool rope_freqs = false;
    bool rope_linear = false;
    bool qkv_bias = false;
    bool head_norms = false;
    bool sub_norms = false;
    bool output_scales = false;  ///< `.scale` tensors beside the linears
    std::uint32_t pooling = 0;   ///< of embeddings; 0 = the file says nothing
};

constexpr std::array kVariants{
    Variant{.name = "llama", .architecture = "llama"},
    Variant{.name = "llama_untied_freqs",
            .architecture = "llama",
            .kv_heads = 1,
            .rope_theta = 500'000.0F,
            .tied = false,
            .rope_freqs = true},
    Variant{
        .name = "llama_linear_mha", .architecture = "llama", .kv_heads = 4, .rope_linear = true},
    Variant{.name = "qwen2",
            .architecture = "qwen2",
            .rope_theta = 1'000'000.0F,
            .norm_eps = 1e-6F,
            .tied = false,
            .qkv_bias = true},
    Variant{.name = "qwen3",
            .architecture = "qwen3",
            .head_dim = 128,
            .rope_theta = 1'000'000.0F,
            .norm_eps = 1e-6F,
            .head_norms = true},
    Variant{.name = "bitnet", .architecture = "bitnet", .sub_norms = true},
    Variant{.name = "bitnet_scales",
            .architecture = "bitnet",
            .sub_norms = true,
            .output_scales = true},
    Variant{.name = "llama_embed_mean", .architecture = "llama", .pooling = 1},
    Variant{.name = "qwen3_embed_last",
            .architecture = "qwen3",
            .head_dim = 128,
            .rope_theta = 1'000'000.0F,
            .norm_eps = 1e-6F,
            .head_norms = true,
            .pooling = 3},
};

struct Weights {
    std::string_view name;
    Type type;
    Type embedding;  ///< of token_embd and output
};

constexpr std::array kWeights{
    Weights{"f32", Type::f32, Type::f32},     Weights{"f16", Type::f16, Type::f16},
    Weights{"bf16", Type::bf16, Type::bf16},  Weights{"q8_0", Type::q8_0, Type::q8_0},
    Weights{"q4_0", Type::q4_0, Type::q4_0},  Weights{"q4_k", Type::q4_k, Type::q4_k},
    Weights{"q5_k", Type::q5_k, Type::q5_k},  Weights{"q6_k", Type::q6_k, Type::q6_k},
    Weights{"tq1_0", Type::tq1_0, Type::f16}, Weights{"tq2_0", Type::tq2_0, Type::f16},
};

class ModelMaker {
public:
    ModelMaker(const Variant& variant, const Weights& weights, std::string_view seed)
        : v_(variant), weights_(weights), random_(seed) {}

    Status write(const std::string& path) {
        add_config();
        add_tokenizer();
        add_tensors();
        return out_.write(path);
    }

private:
    [[nodiscard]] std::string key(std::string_view name) const {
        return fmt::format("{}.{}", v_.architecture, name);
    }

    void add_config();
    void add_tokenizer();
    void add_tensors();
    void add_layer(std::uint32_t layer);
    void add_linear(const std::string& stem, std::uint64_t rows, std::uint64_t cols, double gain);
    void add_matrix(const std::string& name, Drawing drawing);
    void add_vector(const std::string& name, std::uint64_t count, double mean, double deviation);

    const Variant& v_;
    const Weights& weights_;
    Random random_;
    gguf::Writer out_;
};

void ModelMaker::add_config() {
    out_.add("general.architecture", v_.architecture);
    out_.add("general.name", fmt::format("oracle {} {}", v_.name, weights_.name));
    out_.add(key("block_count"), kLayers);
    out_.add(key("context_length"), kContext);
    out_.add(key("embedding_length"), kDim);
    out_.add(key("feed_forward_length"), kFfn);
    out_.add(key("attention.head_count"), kHeads);
    out_.add(key("attention.head_count_kv"), v_.kv_heads);
    out_.add(key("attention.layer_norm_rms_epsilon"), v_.norm_eps);
    out_.add(key("rope.freq_base"), v_.rope_theta);
    out_.add(key("rope.dimension_count"), v_.head_dim);
    if (v_.head_dim * kHeads != kDim) {
        out_.add(key("attention.key_length"), v_.head_dim);
        out_.add(key("attention.value_length"), v_.head_dim);
    }
    if (v_.rope_linear) {
        out_.add(key("rope.scaling.type"), "linear");
        out_.add(key("rope.scaling.factor"), 4.0F);
    }
    out_.add(key("vocab_size"), kVocab);
    if (v_.pooling != 0) {
        out_.add(key("pooling_type"), v_.pooling);
    }
}

/// The characters that GPT-2's byte-level vocabularies use for the 256 bytes.
std::string byte_character(unsigned byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
    unsigned code = byte;
    if (!printable) {
        // The unprintable ones follow one another from U+0100 on.
        code = 256 + (byte < 33 ? byte : byte < 161 ? 33 + (byte - 127) : 67);
    }
    if (code < 0x80) {
        return std::string(1, static_cast<char>(code));
    }
    return {static_cast<char>(0xC0U | (code >> 6U)), static_cast<char>(0x80U | (code & 63U))};
}

/// Byte-level BPE: 256 bytes, pairs of lower-case letters, and two control tokens.
void ModelMaker::add_tokenizer() {
    constexpr std::int32_t normal = 1;
    constexpr std::int32_t control = 3;
    std::vector<std::string> tokens;
    std::vector<std::string> merges;
    for (unsigned byte = 0; byte < 256; ++byte) {
        tokens.push_back(byte_character(byte));
    }
    for (unsigned pair = 0; tokens.size() < kVocab - 2; ++pair) {
        const std::string first(1, static_cast<char>('a' + pair / 26));
        const std::string second(1, static_cast<char>('a' + pair % 26));
        tokens.push_back(first + second);
        merges.push_back(first + " " + second);
    }
    tokens.emplace_back("<|bos|>");
    tokens.emplace_back("<|end|>");
    std::vector<std::int32_t> kinds(kVocab, normal);
    kinds[kVocab - 2] = control;
    kinds[kVocab - 1] = control;
    out_.add("tokenizer.ggml.model", "gpt2");
    out_.add("tokenizer.ggml.pre", "gpt-2");
    out_.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
    out_.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(kinds));
    out_.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
    out_.add("tokenizer.ggml.bos_token_id", kVocab - 2);
    out_.add("tokenizer.ggml.eos_token_id", kVocab - 1);
    out_.add("tokenizer.ggml.add_bos_token", false);
}

void ModelMaker::add_matrix(const std::string& name, Drawing drawing) {
    // BitNet gives a tensor one scale; other models in ternary types have one for each block.
    drawing.scales = v_.sub_norms ? TernaryScales::one_per_tensor : TernaryScales::one_per_block;
    out_.add_tensor(name, std::array<std::uint64_t, 2>{drawing.cols, drawing.rows}, drawing.type,
                    random_weights(drawing, random_));
}

void ModelMaker::add_vector(const std::string& name, std::uint64_t count, double mean,
                            double deviation) {
    std::vector<float> values(count);
    for (float& value : values) {
        value = static_cast<float>(mean + deviation * random_.normal());
    }
    out_.add_tensor(name, std::array{count}, values);
}

/// A linear that maps unit-variance activations to variance gain².
void ModelMaker::add_linear(const std::string& stem, std::uint64_t rows, std::uint64_t cols,
                            double gain) {
    const double scale = v_.output_scales ? random_.between(0.25, 4.0) : 1.0;
    add_matrix(stem + ".weight",
               {.type = weights_.type,
                .rows = rows,
                .cols = cols,
                .deviation = gain / std::sqrt(static_cast<double>(cols)) / scale});
    if (v_.output_scales) {
        add_vector(stem + ".scale", 1, scale, 0.0);
    }
}

void ModelMaker::add_layer(std::uint32_t layer) {
    const std::string at = fmt::format("blk.{}.", layer);
    const std::uint64_t q_width = std::uint64_t{kHeads} * v_.head_dim;
    const std::uint64_t kv_width = std::uint64_t{v_.kv_heads} * v_.head_dim;
    add_vector(at + "attn_norm.weight", kDim, 1.0, 0.2);
    // Queries and keys are drawn wide enough that attention is far from uniform.
    add_linear(at + "attn_q", q_width, kDim, 1.1);
    add_linear(at + "attn_k", kv_width, kDim, 1.1);
    add_linear(at + "attn_v", kv_width, kDim, 1.0);
    if (v_.qkv_bias) {
        add_vector(at + "attn_q.bias", q_width, 0.0, 0.5);
        add_vector(at + "attn_k.bias", kv_width, 0.0, 0.5);
        add_vector(at + "attn_v.bias", kv_width, 0.0, 0.5);
    }
    if (v_.head_norms) {
        add_vector(at + "attn_q_norm.weight", v_.head_dim, 1.1, 0.2);
        add_vector(at + "attn_k_norm.weight", v_.head_dim, 1.1, 0.2);
    }
    if (v_.sub_norms) {
        add_vector(at + "attn_sub_norm.weight", q_width, 1.0, 0.2);
        add_vector(at + "ffn_sub_norm.weight", kFfn, 1.0, 0.2);
    }
    add_linear(at + "attn_output", kDim, q_width, 1.0);
    add_vector(at + "ffn_norm.weight", kDim, 1.0, 0.2);
    add_linear(at + "ffn_gate", kFfn, kDim, 1.5);
    add_linear(at + "ffn_up", kFfn, kDim, 1.5);
    add_linear(at + "ffn_down", kDim, kFfn, 1.0);
}

void ModelMaker::add_tensors() {
    const Drawing vocabulary{
        .type = weights_.embedding, .rows = kVocab, .cols = kDim, .deviation = kEmbeddingDeviation};
    add_matrix("token_embd.weight", vocabulary);
    if (!v_.tied) {
        add_matrix("output.weight", vocabulary);
    }
    // The weight of the last norm brings the logits to the wanted deviation.
    const double last =
        kLogitDeviation / (kEmbeddingDeviation * std::sqrt(static_cast<double>(kDim)));
    add_vector("output_norm.weight", kDim, last, 0.2 * last);
    if (v_.rope_freqs) {
        std::vector<float> factors(v_.head_dim / 2);
        for (std::size_t j = 0; j < factors.size(); ++j) {
            factors[j] = j < 12 ? 1.0F : 1.0F + static_cast<float>(j - 12) * 0.35F;
        }
        out_.add_tensor("rope_freqs.weight", std::array<std::uint64_t, 1>{factors.size()}, factors);
    }
    for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
        add_layer(layer);
    }
}

std::string model_name(const Variant& variant, const Weights& weights) {
    return fmt::format("{}-{}", variant.name, weights.name);
}

Status make(const std::string& folder, std::string_view wanted) {
    for (const Variant& variant : kVariants) {
        for (const Weights& weights : kWeights) {
            const std::string name = model_name(variant, weights);
            if (name == wanted) {
                return ModelMaker(variant, weights, name).write(folder + "/" + name + ".gguf");
            }
        }
    }
    return fail(Fault::not_found, "there is no model {}; --list names them", wanted);
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.size() == 1 && arguments[0] == "--list") {
        for (const Variant& variant : kVariants) {
            for (const Weights& weights : kWeights) {
                std::puts(model_name(variant, weights).c_str());
            }
        }
        return 0;
    }
    if (arguments.size() < 2) {
        std::fputs("usage: trilane_make_oracle_models --list | DIR NAME...\n", stderr);
        return 2;
    }
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        if (const Status status = make(arguments[0], arguments[i]); !status) {
            std::fprintf(stderr, "%s\n", status.error().message.c_str());
            return 1;
        }
    }
    return 0;
}

}  // namespace
}  // namespace trilane::oracle

int main(int argc, char** argv) {
    return trilane::oracle::run({argv + 1, argv + argc});
}
