#include "model/weights.h"

#include <fmt/core.h>

#include <atomic>
#include <cmath>
#include <mutex>
#include <optional>
#include <string>

#include "gguf/gguf.h"

namespace trilane::model {
namespace {

/// Loads the tensors of one decoder.
class Loader {
public:
    Loader(const gguf::File& file, const Config& config, const CancelToken& cancel)
        : tensors_(file, config.architecture, cancel), config_(config) {}

    [[nodiscard]] const Tensors& tensors() const { return tensors_; }
    Result<tensor::Linear> linear(const std::string& stem, std::size_t rows,
                                  std::size_t cols) const {
        // Models trained with int8 activations leave their output head out of it.
        const bool int8_tokens = config_.int8_tokens && stem.starts_with("blk.");
        return tensors_.linear(
            stem, {rows, cols},
            int8_tokens ? tensor::TernaryPolicy::token_i8 : tensor::TernaryPolicy::exact);
    }
    Result<LayerWeights> layer(std::uint32_t index) const;

private:
    Result<std::vector<float>> vector(const std::string& name, std::size_t count) const {
        return tensors_.vector(name, count);
    }
    Tensors tensors_;
    const Config& config_;
};

Result<LayerWeights> Loader::layer(std::uint32_t index) const {
    const Config& c = config_;
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", index, part); };
    LayerWeights w;
    TRILANE_TRY(w.attn_norm, vector(name("attn_norm.weight"), c.dim));
    TRILANE_TRY(w.wq, linear(name("attn_q"), c.q_width(), c.dim));
    TRILANE_TRY(w.wk, linear(name("attn_k"), c.kv_width(), c.dim));
    TRILANE_TRY(w.wv, linear(name("attn_v"), c.kv_width(), c.dim));
    TRILANE_TRY(w.wo, linear(name("attn_output"), c.dim, c.q_width()));
    TRILANE_TRY(w.ffn_norm, vector(name("ffn_norm.weight"), c.dim));
    TRILANE_TRY(w.w_gate, linear(name("ffn_gate"), c.ffn, c.dim));
    TRILANE_TRY(w.w_up, linear(name("ffn_up"), c.ffn, c.dim));
    TRILANE_TRY(w.w_down, linear(name("ffn_down"), c.dim, c.ffn));
    if (c.head_norms) {
        TRILANE_TRY(w.q_norm, vector(name("attn_q_norm.weight"), c.head_dim));
        TRILANE_TRY(w.k_norm, vector(name("attn_k_norm.weight"), c.head_dim));
    }
    if (c.sub_norms) {
        TRILANE_TRY(w.attn_sub_norm, vector(name("attn_sub_norm.weight"), c.q_width()));
        TRILANE_TRY(w.ffn_sub_norm, vector(name("ffn_sub_norm.weight"), c.ffn));
    }
    return w;
}

Status load_layers(const Loader& loader, const Config& config, os::ThreadTeam& team,
                   Weights& weights) {
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

/// Radians that pair j turns per position: theta^(−2j / rope_dim), slowed by the file's own
/// factors.
std::vector<double> rope_frequencies(const Config& config, const std::vector<float>& factors) {
    std::vector<double> frequencies(config.rope_dim / 2);
    for (std::size_t j = 0; j < frequencies.size(); ++j) {
        const double exponent = -2.0 * static_cast<double>(j) / config.rope_dim;
        const double factor = factors.empty() ? 1.0 : static_cast<double>(factors[j]);
        frequencies[j] = std::pow(static_cast<double>(config.rope_theta), exponent) / factor /
                         static_cast<double>(config.rope_scale);
    }
    return frequencies;
}

std::size_t bytes_read(const LayerWeights& w) {
    return w.wq.bytes_read + w.wk.bytes_read + w.wv.bytes_read + w.wo.bytes_read +
           w.w_gate.bytes_read + w.w_up.bytes_read + w.w_down.bytes_read;
}

}  // namespace

Result<Weights> load_weights(const gguf::File& file, const Config& config, os::ThreadTeam& team,
                             const CancelToken& cancel) {
    const Loader loader(file, config, cancel);
    Weights weights;
    const Tensors& tensors = loader.tensors();
    TRILANE_TRY(weights.embedding, tensors.embedding("token_embd.weight", config.dim));
    TRILANE_TRY(weights.output_norm, tensors.vector("output_norm.weight", config.dim));
    TRILANE_TRY(const auto factors,
                tensors.optional_vector("rope_freqs.weight", config.rope_dim / 2));
    weights.rope_frequencies = rope_frequencies(config, factors);
    TRILANE_TRY(weights.head, loader.linear(tensors.has("output.weight") ? "output" : "token_embd",
                                            config.vocab, config.dim));
    TRILANE_TRY_STATUS(load_layers(loader, config, team, weights));
    weights.bytes_per_token = weights.head.bytes_read;
    for (const LayerWeights& layer : weights.layers) {
        weights.bytes_per_token += bytes_read(layer);
    }
    return weights;
}

}  // namespace trilane::model
