// Loading of an encoder's tensors, named as llama.cpp's converter names them.
#include <fmt/core.h>

#include <atomic>
#include <cmath>
#include <mutex>

#include "model/config.h"
#include "model/encoder.h"

namespace trilane::model {
namespace {

class EncoderLoader {
public:
    EncoderLoader(const gguf::File& file, const EncoderConfig& config, const CancelToken& cancel)
        : file_(file), tensors_(file, config.architecture, cancel), config_(config) {}

    [[nodiscard]] const Tensors& tensors() const { return tensors_; }

    Result<LayerNorm> norm(const std::string& stem) const {
        LayerNorm norm;
        TRILANE_TRY(norm.weight, tensors_.vector(stem + ".weight", config_.dim));
        TRILANE_TRY(norm.bias, tensors_.optional_vector(stem + ".bias", config_.dim));
        return norm;
    }
    Result<EncoderLayer> layer(std::uint32_t index) const;
    Status head(EncoderWeights& weights) const;

private:
    Result<tensor::Linear> linear(const std::string& stem, std::size_t rows,
                                  std::size_t cols) const {
        return tensors_.linear(stem, {rows, cols}, tensor::TernaryPolicy::exact);
    }
    Status attention(const std::string& at, EncoderLayer& w) const;
    Result<Dense> dense(const std::string& stem, std::size_t cols) const;

    const gguf::File& file_;
    Tensors tensors_;
    const EncoderConfig& config_;
};

/// Queries, keys and values: three matrices, or one above the other in a single one.
Status EncoderLoader::attention(const std::string& at, EncoderLayer& w) const {
    const std::size_t dim = config_.dim;
    if (tensors_.has(at + "attn_qkv.weight")) {
        const MatrixShape shape{3 * dim, dim};
        TRILANE_TRY(w.wq, tensors_.linear_rows(at + "attn_qkv", shape, 0, dim));
        TRILANE_TRY(w.wk, tensors_.linear_rows(at + "attn_qkv", shape, dim, dim));
        TRILANE_TRY(w.wv, tensors_.linear_rows(at + "attn_qkv", shape, 2 * dim, dim));
        return {};
    }
    TRILANE_TRY(w.wq, linear(at + "attn_q", dim, dim));
    TRILANE_TRY(w.wk, linear(at + "attn_k", dim, dim));
    TRILANE_TRY(w.wv, linear(at + "attn_v", dim, dim));
    return {};
}

Result<EncoderLayer> EncoderLoader::layer(std::uint32_t index) const {
    const EncoderConfig& c = config_;
    const std::string at = fmt::format("blk.{}.", index);
    EncoderLayer w;
    TRILANE_TRY_STATUS(attention(at, w));
    TRILANE_TRY(w.wo, linear(at + "attn_output", c.dim, c.dim));
    TRILANE_TRY(w.attn_norm, norm(at + "attn_output_norm"));
    if (c.gated) {
        TRILANE_TRY(w.w_gate, linear(at + "ffn_gate", c.ffn, c.dim));
    }
    TRILANE_TRY(w.w_up, linear(at + "ffn_up", c.ffn, c.dim));
    TRILANE_TRY(w.w_down, linear(at + "ffn_down", c.dim, c.ffn));
    TRILANE_TRY(w.ffn_norm, norm(at + "layer_output_norm"));
    return w;
}

Result<Dense> EncoderLoader::dense(const std::string& stem, std::size_t cols) const {
    const gguf::Tensor* tensor = file_.find_tensor(stem + ".weight");
    Dense dense;
    dense.cols = cols;
    dense.rows = tensor->weights() / cols;
    if (tensor->shape[0] != cols || dense.rows == 0 || dense.rows > kWidthMax) {
        return fail(Fault::corrupt, "tensor {} has {} rows of {}; they should be {} wide",
                    tensor->name, dense.rows, tensor->shape[0], cols);
    }
    TRILANE_TRY(dense.weights, tensors_.vector(stem + ".weight", dense.rows * cols));
    TRILANE_TRY(dense.bias, tensors_.optional_vector(stem + ".bias", dense.rows));
    return dense;
}

Status EncoderLoader::head(EncoderWeights& weights) const {
    std::size_t width = config_.dim;
    if (tensors_.has("cls.weight")) {
        TRILANE_TRY(weights.pooler, dense("cls", width));
        width = weights.pooler->rows;
    }
    if (tensors_.has("cls.output.weight")) {
        TRILANE_TRY(weights.scorer, dense("cls.output", width));
    }
    return {};
}

Status load_layers(const EncoderLoader& loader, const EncoderConfig& config, os::ThreadTeam& team,
                   EncoderWeights& weights) {
    weights.layers.resize(config.layers);
    std::atomic<std::uint32_t> next{0};
    std::mutex failing;
    std::optional<Error> failure;
    team.run([&](std::size_t) {
        for (std::uint32_t i = next++; i < config.layers; i = next++) {
            auto layer = loader.layer(i);
            if (layer) {
                weights.layers[i] = *std::move(layer);
                continue;
            }
            const std::lock_guard<std::mutex> lock(failing);
            failure = std::move(layer).error();
            next = config.layers;
        }
    });
    if (failure.has_value()) {
        return tl::unexpected(*std::move(failure));
    }
    return {};
}

/// Cosine and sine of every angle that any position turns any pair by.
void turn_angles(const EncoderConfig& config, EncoderWeights& weights) {
    const std::size_t half = config.head_dim / 2;
    weights.cosines.resize(config.context_tokens * half);
    weights.sines.resize(config.context_tokens * half);
    for (std::size_t j = 0; j < half; ++j) {
        const double exponent = -2.0 * static_cast<double>(j) / config.head_dim;
        const double frequency = std::pow(static_cast<double>(config.rope_theta), exponent) /
                                 static_cast<double>(config.rope_scale);
        for (std::size_t position = 0; position < config.context_tokens; ++position) {
            const double angle = static_cast<double>(position) * frequency;
            weights.cosines[position * half + j] = static_cast<float>(std::cos(angle));
            weights.sines[position * half + j] = static_cast<float>(std::sin(angle));
        }
    }
}

}  // namespace

Result<EncoderWeights> load_encoder_weights(const gguf::File& file, const EncoderConfig& config,
                                            os::ThreadTeam& team, const CancelToken& cancel) {
    const EncoderLoader loader(file, config, cancel);
    const Tensors& tensors = loader.tensors();
    EncoderWeights weights;
    TRILANE_TRY(weights.tokens, tensors.embedding("token_embd.weight", config.dim));
    if (config.token_types > 0) {
        TRILANE_TRY(
            weights.token_types,
            tensors.vector("token_types.weight", config.token_types * std::size_t{config.dim}));
    }
    if (config.learned_positions) {
        TRILANE_TRY(weights.positions, tensors.embedding("position_embd.weight", config.dim));
    }
    TRILANE_TRY(weights.embedding_norm, loader.norm("token_embd_norm"));
    TRILANE_TRY_STATUS(load_layers(loader, config, team, weights));
    TRILANE_TRY_STATUS(loader.head(weights));
    if (config.rotary) {
        turn_angles(config, weights);
    }
    return weights;
}

}  // namespace trilane::model
