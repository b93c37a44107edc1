#include "model/encoder_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "gguf/gguf.h"
#include "model/config.h"
#include "model/keys.h"

namespace trilane::model {
namespace {

struct EncoderFamily {
    std::string_view architecture;
    bool learned_positions;
    bool rotary;
    bool gated;
};
constexpr std::array kEncoderFamilies{
    EncoderFamily{"bert", true, false, false},
    EncoderFamily{"nomic-bert", false, true, true},
};

const EncoderFamily* family_of(std::string_view architecture) {
    const auto* found =
        std::find_if(kEncoderFamilies.begin(), kEncoderFamilies.end(),
                     [&](const EncoderFamily& f) { return f.architecture == architecture; });
    return found == kEncoderFamilies.end() ? nullptr : found;
}

/// Rows of an optional table as wide as the hidden states; 0 = there is none.
Result<std::uint32_t> table_rows(const gguf::File& file, std::string_view name, std::uint32_t dim,
                                 std::uint64_t rows_max) {
    const gguf::Tensor* tensor = file.find_tensor(name);
    if (tensor == nullptr) {
        return 0U;
    }
    const std::uint64_t rows = tensor->weights() / std::max<std::uint64_t>(tensor->shape[0], 1);
    if (tensor->shape[0] != dim || rows == 0 || rows > rows_max) {
        return fail(Fault::corrupt, "{} has {} rows of {}; up to {} rows of {} are possible", name,
                    rows, tensor->shape[0], rows_max, dim);
    }
    return static_cast<std::uint32_t>(rows);
}

Status read_positions(const gguf::File& file, const Keys& keys, EncoderConfig& config) {
    if (config.rotary) {
        TRILANE_TRY(const Rope rope, read_rope(keys));
        config.rope_theta = rope.theta;
        config.rope_scale = rope.scale;
    }
    if (config.learned_positions) {
        TRILANE_TRY(const std::uint32_t rows,
                    table_rows(file, "position_embd.weight", config.dim, kContextMax));
        if (rows == 0) {
            return fail(Fault::corrupt,
                        "tensor position_embd.weight is missing; architecture {} needs it",
                        config.architecture);
        }
        config.context_tokens = std::min(config.context_tokens, rows);
    }
    return {};
}

Status check_shape(const Keys& keys, EncoderConfig& config) {
    TRILANE_TRY(const std::uint32_t kv_heads,
                keys.count_or("attention.head_count_kv", config.heads, kHeadsMax));
    if (config.dim % config.heads != 0 || kv_heads != config.heads) {
        return fail(Fault::corrupt, "{} heads ({} of keys) do not divide a width of {}",
                    config.heads, kv_heads, config.dim);
    }
    config.head_dim = config.dim / config.heads;
    if (config.rotary && config.head_dim % 2 != 0) {
        return fail(Fault::corrupt, "heads of {} values cannot be rotated in pairs",
                    config.head_dim);
    }
    if (!std::isfinite(config.norm_eps) || config.norm_eps < 0) {
        return fail(Fault::corrupt, "the norm epsilon is {}", config.norm_eps);
    }
    if (keys.flag_or("attention.causal", false)) {
        return fail(Fault::invalid, "a {} with causal attention ({}) is not supported",
                    config.architecture, keys.key("attention.causal"));
    }
    return {};
}

}  // namespace

Result<Pooling> read_pooling(const gguf::File& file, std::string_view architecture) {
    const Keys keys(file, architecture);
    if (!keys.present("pooling_type")) {
        return Pooling::mean;
    }
    TRILANE_TRY(const std::uint64_t stored, file.required_integer(keys.key("pooling_type")));
    switch (stored) {
        case 0:  // "none": left to whoever asks
        case 1:
            return Pooling::mean;
        case 2:
            return Pooling::cls;
        case 3:
            return Pooling::last;
        case 4:
            return Pooling::rank;
        default:
            return fail(Fault::invalid,
                        "{} is {}; known are 0 (none), 1 (mean), 2 (first token), 3 (last token) "
                        "and 4 (ranking)",
                        keys.key("pooling_type"), stored);
    }
}

bool is_encoder(std::string_view architecture) {
    return family_of(architecture) != nullptr;
}

std::string encoder_architectures() {
    std::string names;
    for (const EncoderFamily& family : kEncoderFamilies) {
        names += names.empty() ? "" : ", ";
        names += family.architecture;
    }
    return names;
}

Result<EncoderConfig> read_encoder_config(const gguf::File& file) {
    TRILANE_TRY(const std::string_view architecture, file.required_string("general.architecture"));
    const EncoderFamily* family = family_of(architecture);
    if (family == nullptr) {
        return fail(Fault::invalid, "architecture \"{}\" is no encoder; known are {}", architecture,
                    encoder_architectures());
    }
    const Keys keys(file, architecture);
    EncoderConfig config;
    config.architecture = architecture;
    config.learned_positions = family->learned_positions;
    config.rotary = family->rotary;
    config.gated = family->gated;
    TRILANE_TRY(config.layers, keys.count("block_count", kLayersMax));
    TRILANE_TRY(config.dim, keys.count("embedding_length", kWidthMax));
    TRILANE_TRY(config.heads, keys.count("attention.head_count", kHeadsMax));
    TRILANE_TRY(config.ffn, keys.count("feed_forward_length", kWidthMax));
    TRILANE_TRY(config.context_tokens, keys.count("context_length", kContextMax));
    TRILANE_TRY(config.norm_eps, keys.number_or("attention.layer_norm_epsilon", 1e-12));
    TRILANE_TRY(config.vocab, vocab_tokens(file));
    TRILANE_TRY(config.token_types,
                table_rows(file, "token_types.weight", config.dim, kTokenTypesMax));
    TRILANE_TRY(config.pooling, read_pooling(file, architecture));
    TRILANE_TRY_STATUS(check_shape(keys, config));
    TRILANE_TRY_STATUS(read_positions(file, keys, config));
    return config;
}

}  // namespace trilane::model
