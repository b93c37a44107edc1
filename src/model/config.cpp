#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "gguf/gguf.h"

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
    return names;
}

/// Reads `<architecture>.<name>` keys with their ranges.
class Keys {
public:
    Keys(const gguf::File& file, std::string_view architecture)
        : file_(file), prefix_(std::string(architecture) + ".") {}

    Result<std::uint32_t> count(std::string_view name, std::uint64_t max) const {
        TRILANE_TRY(const std::uint64_t value, file_.required_integer(key(name)));
        return checked(name, value, max);
    }
    // An optional key that is there must be readable: a value taken for absent would be another
    // model.
    Result<std::uint32_t> count_or(std::string_view name, std::uint64_t fallback,
                                   std::uint64_t max) const {
        return present(name) ? count(name, max) : checked(name, fallback, max);
    }
    Result<float> number_or(std::string_view name, double fallback) const {
        if (!present(name)) {
            return static_cast<float>(fallback);
        }
        TRILANE_TRY(const double value, file_.required_number(key(name)));
        return static_cast<float>(value);
    }
    Result<std::string_view> text_or(std::string_view name, std::string_view fallback) const {
        if (!present(name)) {
            return fallback;
        }
        return file_.required_string(key(name));
    }

private:
    Result<std::uint32_t> checked(std::string_view name, std::uint64_t value,
                                  std::uint64_t max) const {
        if (value == 0 || value > max) {
            return fail(Fault::corrupt, "{}{} is {}; between 1 and {} is possible", prefix_, name,
                        value, max);
        }
        return static_cast<std::uint32_t>(value);
    }
    [[nodiscard]] std::string key(std::string_view name) const {
        return prefix_ + std::string(name);
    }
    [[nodiscard]] bool present(std::string_view name) const {
        return file_.find(key(name)) != nullptr;
    }
    const gguf::File& file_;
    std::string prefix_;
};

Status read_rope(const Keys& keys, Config& config) {
    TRILANE_TRY(config.rope_theta, keys.number_or("rope.freq_base", 10000.0));
    TRILANE_TRY(const std::string_view scaling, keys.text_or("rope.scaling.type", "none"));
    if (scaling == "linear") {
        TRILANE_TRY(config.rope_scale, keys.number_or("rope.scaling.factor", 1.0));
    } else if (scaling != "none" && !scaling.empty()) {
        return fail(Fault::invalid,
                    "rope scaling \"{}\" is not supported; only none and linear are", scaling);
    }
    if (!std::isfinite(config.rope_theta) || !std::isfinite(config.rope_scale) ||
        config.rope_theta <= 0 || config.rope_scale <= 0) {
        return fail(Fault::corrupt, "rope base {} or factor {} is not positive", config.rope_theta,
                    config.rope_scale);
    }
    return {};
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

/// The vocabulary's size is the embedding's row count, whatever a key says.
Result<std::uint32_t> vocab_tokens(const gguf::File& file) {
    const gguf::Tensor* embedding = file.find_tensor("token_embd.weight");
    if (embedding == nullptr || embedding->dimensions != 2) {
        return fail(Fault::corrupt,
                    "the file has no matrix token_embd.weight; it holds a vocabulary or an "
                    "adapter, not a model");
    }
    if (embedding->shape[1] == 0 || embedding->shape[1] > kVocabMax) {
        return fail(Fault::corrupt, "token_embd.weight has {} rows; between 1 and {} is possible",
                    embedding->shape[1], kVocabMax);
    }
    return static_cast<std::uint32_t>(embedding->shape[1]);
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
    TRILANE_TRY_STATUS(read_rope(keys, config));
    TRILANE_TRY_STATUS(check_shape(config));
    return config;
}

}  // namespace trilane::model
