#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "gguf/gguf.h"
#include "model/encoder_config.h"
#include "model/keys.h"

namespace trilane::model {
namespace {

/// What distinguishes the families in one row each.
struct Family {
    std::string_view architecture;
    RopePairs rope_pairs;
    Activation activation;
    bool sub_norms;
    bool head_norms;
    bool int8_tokens;
};
constexpr Family kFamilies[] = {
    {"llama", RopePairs::adjacent, Activation::silu, false, false, false},
    {"qwen2", RopePairs::halves, Activation::silu, false, false, false},
    {"qwen3", RopePairs::halves, Activation::silu, false, true, false},
    {"bitnet", RopePairs::halves, Activation::silu, true, false, true},
    {"bitnet-b1.58", RopePairs::halves, Activation::relu2, true, false, true},
    {"bitnet-25", RopePairs::halves, Activation::relu2, true, false,
     true},  // bitnet.cpp's other name for it
};

std::string known_architectures() {
    std::string names;
    for (const Family& family : kFamilies) {
        names += names.empty() ? "" : ", ";
        names += family.architecture;
    }
    return names + "; and for embeddings " + encoder_architectures();
}

Status check_shape(const Config& config) {
    if (config.heads % config.kv_heads != 0) {
        return fail(Fault::corrupt, "{} query heads cannot share {} KV heads", config.heads,
                    config.kv_heads);
    }
    if (config.rope_dim > config.head_dim || config.rope_dim % 2 != 0) {
        return fail(Fault::corrupt, "rope dimension {} does not fit heads of {}", config.rope_dim,
                    config.head_dim);
    }
    if (std::uint64_t{config.heads} * config.head_dim > kWidthMax) {
        return fail(Fault::corrupt, "{} heads of {} are wider than {}", config.heads,
                    config.head_dim, kWidthMax);
    }
    return {};
}

}  // namespace

Result<Config> read_config(const gguf::File& file) {
    TRILANE_TRY(const std::string_view architecture, file.required_string("general.architecture"));
    const auto* family =
        std::find_if(std::begin(kFamilies), std::end(kFamilies),
                     [&](const Family& f) { return f.architecture == architecture; });
    if (family == std::end(kFamilies)) {
        return fail(Fault::invalid,
                    "architecture \"{}\" is not supported by the native engine; it runs {}",
                    architecture, known_architectures());
    }
    const Keys keys(file, architecture);
    if (!keys.flag_or("attention.causal", true)) {
        return fail(Fault::invalid,
                    "this {} was trained without causal attention ({}); the native engine has no "
                    "such decoder",
                    architecture, keys.key("attention.causal"));
    }
    Config config;
    config.architecture = architecture;
    config.rope_pairs = family->rope_pairs;
    config.sub_norms = family->sub_norms;
    config.head_norms = family->head_norms;
    config.int8_tokens = family->int8_tokens;
    TRILANE_TRY(const std::string_view activation, keys.text_or("hidden_activation", ""));
    config.activation = activation == "relu2" ? Activation::relu2 : family->activation;
    TRILANE_TRY(config.layers, keys.count("block_count", kLayersMax));
    TRILANE_TRY(config.dim, keys.count("embedding_length", kWidthMax));
    TRILANE_TRY(config.heads, keys.count("attention.head_count", kHeadsMax));
    TRILANE_TRY(config.kv_heads, keys.count_or("attention.head_count_kv", config.heads, kHeadsMax));
    TRILANE_TRY(config.head_dim,
                keys.count_or("attention.key_length", config.dim / config.heads, kWidthMax));
    TRILANE_TRY(const std::uint32_t value_dim,
                keys.count_or("attention.value_length", config.head_dim, kWidthMax));
    if (value_dim != config.head_dim) {
        return fail(Fault::invalid, "keys of {} and values of {} differ; that is not supported",
                    config.head_dim, value_dim);
    }
    TRILANE_TRY(config.rope_dim, keys.count_or("rope.dimension_count", config.head_dim, kWidthMax));
    TRILANE_TRY(config.ffn, keys.count("feed_forward_length", kWidthMax));
    TRILANE_TRY(config.context_tokens, keys.count("context_length", kContextMax));
    TRILANE_TRY(config.vocab, vocab_tokens(file));
    TRILANE_TRY(config.norm_eps, keys.number_or("attention.layer_norm_rms_epsilon", 1e-5));
    if (!std::isfinite(config.norm_eps) || config.norm_eps < 0) {
        return fail(Fault::corrupt, "the norm epsilon is {}", config.norm_eps);
    }
    TRILANE_TRY(const Rope rope, read_rope(keys));
    config.rope_theta = rope.theta;
    config.rope_scale = rope.scale;
    TRILANE_TRY_STATUS(check_shape(config));
    return config;
}

}  // namespace trilane::model
