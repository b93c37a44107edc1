// The forward step: the transformer layer as the papers write it, once for every family.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "base/check.h"
#include "model/model.h"
#include "model/products.h"

namespace trilane::model {
namespace {

/// One step over one batch. Work on single tokens is shared by tokens, products by rows, attention
/// by (token, head): each barrier is one share of the team.
class Step {
public:
    Step(const Config& config, const Weights& weights, const kernels::KernelTable& table,
         std::span<const BatchToken> batch, KvCache& kv, Workspace& ws, os::ThreadTeam& team)
        : config_(config),
          weights_(weights),
          table_(table),
          batch_(batch),
          kv_(kv),
          ws_(ws),
          team_(team) {}

    void run() {
        run_layers();
        logits();
    }

    /// Leaves the normed last hidden states in `normed`.
    void run_hidden() {
        run_layers();
        each_token(batch_.size(), [&](std::size_t t) {
            table_.rms_norm(row(ws_.x, t), weights_.output_norm.data(), config_.norm_eps,
                            config_.dim, row(ws_.normed, t));
        });
    }

private:
    void run_layers() {
        embed();
        turn_angles();
        for (std::uint32_t l = 0; l < config_.layers; ++l) {
            attention(weights_.layers[l], l);
            feed_forward(weights_.layers[l]);
        }
    }

    [[nodiscard]] float* row(tensor::Buffer& rows, std::size_t t) const {
        return rows.as<float>() + t * ws_.wide;
    }

    /// Calls work(t) for every token.
    template <class Work>
    void each_token(std::size_t n, const Work& work) {
        team_.share(n, [&](std::size_t, std::size_t t) { work(t); });
    }

    /// Each product of `normed` (and its quantised forms) into its rows of `wide` floats.
    void multiply(std::span<const tensor::Product> products, std::size_t n) {
        model::multiply(table_, team_, products, ws_.normed.as<float>(), ws_.wide, ws_.acts, n);
    }

    /// Row t of `normed` in the forms that these linears read.
    void quantize(std::size_t t, std::initializer_list<const tensor::Linear*> readers) {
        model::quantize(table_, ws_.acts, t, row(ws_.normed, t), readers);
    }

    void embed() {
        each_token(batch_.size(), [&](std::size_t t) {
            weights_.embedding.row(static_cast<std::size_t>(batch_[t].id),
                                   std::span<float>(row(ws_.x, t), config_.dim));
        });
    }

    /// Cosine and sine of every rotary angle of the batch, once for all layers and heads.
    void turn_angles() {
        const std::size_t half = config_.rope_dim / 2;
        for (std::size_t t = 0; t < batch_.size(); ++t) {
            for (std::size_t j = 0; j < half; ++j) {
                const double angle = batch_[t].position * weights_.rope_frequencies[j];
                ws_.cosines.as<float>()[t * half + j] = static_cast<float>(std::cos(angle));
                ws_.sines.as<float>()[t * half + j] = static_cast<float>(std::sin(angle));
            }
        }
    }

    void rotate(float* head, std::size_t t) const {
        const std::size_t half = config_.rope_dim / 2;
        model::rotate(head, ws_.cosines.as<float>() + t * half, ws_.sines.as<float>() + t * half,
                      half, config_.rope_pairs == RopePairs::adjacent);
    }

    /// Normalises (where the family does) and rotates the heads of token t, then caches its keys
    /// and values.
    void place(const LayerWeights& w, std::uint32_t layer, std::size_t t) {
        const std::size_t dim = config_.head_dim;
        const auto turn_heads = [&](float* heads, std::size_t count,
                                    const std::vector<float>& norm) {
            for (std::size_t h = 0; h < count; ++h) {
                if (config_.head_norms) {
                    table_.rms_norm(heads + h * dim, norm.data(), config_.norm_eps, dim,
                                    heads + h * dim);
                }
                rotate(heads + h * dim, t);
            }
        };
        turn_heads(row(ws_.q, t), config_.heads, w.q_norm);
        turn_heads(row(ws_.k, t), config_.kv_heads, w.k_norm);
        const BatchToken& token = batch_[t];
        table_.to_f16(row(ws_.k, t), config_.kv_width(), kv_.k(layer, token.slot, token.position));
        table_.to_f16(row(ws_.v, t), config_.kv_width(), kv_.v(layer, token.slot, token.position));
    }

    /// Query heads of all tokens over their own slot's past, into rows of `gate`.
    void attend(std::uint32_t layer) {
        const std::size_t heads = config_.heads;
        const std::size_t group = heads / config_.kv_heads;
        const std::size_t items = batch_.size() * heads;
        team_.share(items, [&](std::size_t worker, std::size_t item) {
            const std::size_t t = item / heads;
            const std::size_t h = item % heads;
            const BatchToken& token = batch_[t];
            const std::size_t kv_at = h / group * config_.head_dim;
            table_.attend({.q = row(ws_.q, t) + h * config_.head_dim,
                           .k = kv_.k(layer, token.slot, 0) + kv_at,
                           .v = kv_.v(layer, token.slot, 0) + kv_at,
                           .kv_stride = kv_.stride(),
                           .positions = token.position + std::size_t{1},
                           .head_dim = config_.head_dim,
                           .scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim)),
                           .scores = ws_.scores.as<float>() + worker * ws_.context_tokens,
                           .out = row(ws_.gate, t) + h * config_.head_dim});
        });
    }

    void attention(const LayerWeights& w, std::uint32_t layer) {
        const std::size_t n = batch_.size();
        each_token(n, [&](std::size_t t) {
            table_.rms_norm(row(ws_.x, t), w.attn_norm.data(), config_.norm_eps, config_.dim,
                            row(ws_.normed, t));
            quantize(t, {&w.wq, &w.wk, &w.wv});
        });
        const tensor::Product qkv[] = {{&w.wq, ws_.q.as<float>(), ws_.wide},
                                       {&w.wk, ws_.k.as<float>(), ws_.wide},
                                       {&w.wv, ws_.v.as<float>(), ws_.wide}};
        multiply(qkv, n);
        each_token(n, [&](std::size_t t) { place(w, layer, t); });
        attend(layer);
        each_token(n, [&](std::size_t t) {
            normalize_inner(row(ws_.gate, t), w.attn_sub_norm, config_.q_width(),
                            row(ws_.normed, t));
            quantize(t, {&w.wo});
        });
        const tensor::Product out[] = {{&w.wo, ws_.projected.as<float>(), ws_.wide}};
        multiply(out, n);
        each_token(n, [&](std::size_t t) {
            table_.add(row(ws_.projected, t), config_.dim, row(ws_.x, t));
        });
    }

    void feed_forward(const LayerWeights& w) {
        const std::size_t n = batch_.size();
        each_token(n, [&](std::size_t t) {
            table_.rms_norm(row(ws_.x, t), w.ffn_norm.data(), config_.norm_eps, config_.dim,
                            row(ws_.normed, t));
            quantize(t, {&w.w_gate, &w.w_up});
        });
        const tensor::Product gate_up[] = {{&w.w_gate, ws_.gate.as<float>(), ws_.wide},
                                           {&w.w_up, ws_.up.as<float>(), ws_.wide}};
        multiply(gate_up, n);
        const auto activate =
            config_.activation == Activation::relu2 ? table_.relu2_mul : table_.silu_mul;
        each_token(n, [&](std::size_t t) {
            activate(row(ws_.gate, t), row(ws_.up, t), config_.ffn, row(ws_.gate, t));
            normalize_inner(row(ws_.gate, t), w.ffn_sub_norm, config_.ffn, row(ws_.normed, t));
            quantize(t, {&w.w_down});
        });
        const tensor::Product down[] = {{&w.w_down, ws_.projected.as<float>(), ws_.wide}};
        multiply(down, n);
        each_token(n, [&](std::size_t t) {
            table_.add(row(ws_.projected, t), config_.dim, row(ws_.x, t));
        });
    }

    /// BitNet's sub-norm where the family has one; a copy elsewhere.
    void normalize_inner(const float* x, const std::vector<float>& norm, std::size_t width,
                         float* out) const {
        if (norm.empty()) {
            std::memcpy(out, x, width * sizeof(float));
        } else {
            table_.rms_norm(x, norm.data(), config_.norm_eps, width, out);
        }
    }

    void logits() {
        std::size_t wanted = 0;
        for (std::size_t t = 0; t < batch_.size(); ++t) {
            if (batch_[t].wants_logits) {
                table_.rms_norm(row(ws_.x, t), weights_.output_norm.data(), config_.norm_eps,
                                config_.dim, row(ws_.normed, wanted));
                quantize(wanted, {&weights_.head});
                ++wanted;
            }
        }
        if (wanted > 0) {
            const tensor::Product head[] = {
                {&weights_.head, ws_.logits.as<float>(), ws_.logits_stride}};
            multiply(head, wanted);
        }
    }

    const Config& config_;
    const Weights& weights_;
    const kernels::KernelTable& table_;
    std::span<const BatchToken> batch_;
    KvCache& kv_;
    Workspace& ws_;
    os::ThreadTeam& team_;
};

}  // namespace

void Model::forward(std::span<const BatchToken> batch, KvCache& kv, Workspace& workspace,
                    os::ThreadTeam& team) const {
    TRILANE_CHECK(!batch.empty() && batch.size() <= workspace.tokens_max);
    Step(config_, weights_, *table_, batch, kv, workspace, team).run();
}

void Model::forward_hidden(std::span<const BatchToken> batch, KvCache& kv, Workspace& workspace,
                           os::ThreadTeam& team) const {
    TRILANE_CHECK(!batch.empty() && batch.size() <= workspace.tokens_max);
    Step(config_, weights_, *table_, batch, kv, workspace, team).run_hidden();
}

}  // namespace trilane::model
