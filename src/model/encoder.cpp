// The forward pass of an encoder: post-norm transformer layers over whole texts.
// Source: "BERT" (Devlin et al., 2018); "Nomic Embed" (Nussbaum et al., 2024) for the rotary and
// gated family. GELU is the tanh form, as llama.cpp computes it for these files.
#include "model/encoder.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "model/products.h"

namespace trilane::model {
namespace {

/// x → (x − mean) / sqrt(variance + eps) · weight + bias, in place.
void layer_norm(const kernels::KernelTable& table, const LayerNorm& norm, float eps, float* x) {
    constexpr std::size_t kLanes = 16;
    const std::size_t n = norm.weight.size();
    std::array<float, kLanes> lanes{};
    const std::size_t whole = n / kLanes * kLanes;
    for (std::size_t i = 0; i < whole; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) {
            lanes[j] += x[i + j];
        }
    }
    float sum = 0.0F;
    for (const float lane : lanes) {
        sum += lane;
    }
    for (std::size_t i = whole; i < n; ++i) {
        sum += x[i];
    }
    const float mean = sum / static_cast<float>(n);
    for (std::size_t i = 0; i < n; ++i) {
        x[i] -= mean;
    }
    table.rms_norm(x, norm.weight.data(), eps, n, x);
    if (!norm.bias.empty()) {
        table.add(norm.bias.data(), n, x);
    }
}

/// gelu(x) = x · σ(2u) with u = √(2/π) · (x + 0.044715 x³): 2u · σ(2u) is the gate that a kernel
/// has, and x / 2u is finite everywhere. `gate` is scratch and gets the result.
void gelu(const kernels::KernelTable& table, float* x, std::size_t n, float* gate) {
    constexpr float kTwoRoot = 1.5957691216057308F;
    constexpr float kCubic = 0.044715F;
    constexpr float kSquareMax = 1e6F;  // σ has long been 0 or 1
    for (std::size_t i = 0; i < n; ++i) {
        const float slope = kTwoRoot * (1.0F + kCubic * std::min(x[i] * x[i], kSquareMax));
        gate[i] = x[i] * slope;
        x[i] = 1.0F / slope;
    }
    table.silu_mul(gate, x, n, gate);
}

/// Where a token of the batch stands.
struct Place {
    std::size_t first = 0;     ///< token of the batch that begins its passage
    std::size_t count = 0;     ///< tokens of its passage
    std::size_t position = 0;  ///< within its passage
    std::int32_t id = 0;
    std::size_t type = 0;
};

/// Tokens of one chunk of the batch.
struct Chunk {
    std::size_t begin = 0;
    std::size_t count = 0;
};

/// One pass over one batch. Work on single tokens is shared by tokens, products by rows, attention
/// by (token, head).
class Pass {
public:
    Pass(const EncoderConfig& config, const EncoderWeights& weights,
         const kernels::KernelTable& table, EncoderWorkspace& ws, os::ThreadTeam& team)
        : config_(config), weights_(weights), table_(table), ws_(ws), team_(team) {}

    bool run(std::span<const Passage> passages, const std::function<bool()>& leave) {
        place(passages);
        embed();
        const std::size_t chunks =
            (places_.size() + EncoderWorkspace::kChunkTokens - 1) / EncoderWorkspace::kChunkTokens;
        for (const EncoderLayer& layer : weights_.layers) {
            for (std::size_t c = 0; c < chunks; ++c) {
                keys_and_values(layer, chunk(c));
            }
            for (std::size_t c = 0; c < chunks; ++c) {
                if (leave && leave()) {
                    return false;
                }
                attention(layer, chunk(c));
                feed_forward(layer, chunk(c));
            }
        }
        return true;
    }

private:
    [[nodiscard]] Chunk chunk(std::size_t index) const {
        const std::size_t begin = index * EncoderWorkspace::kChunkTokens;
        return {begin, std::min(EncoderWorkspace::kChunkTokens, places_.size() - begin)};
    }
    [[nodiscard]] float* x(std::size_t t) const { return ws_.x.as<float>() + t * ws_.dim; }
    [[nodiscard]] float* row(tensor::Buffer& rows, std::size_t t) const {
        return rows.as<float>() + t * ws_.wide;
    }

    /// Calls work(t) for every token of a chunk, t counting from 0.
    template <class Work>
    void each_token(Chunk chunk, const Work& work) {
        team_.share(chunk.count, [&](std::size_t, std::size_t t) { work(t); });
    }

    void multiply(std::span<const tensor::Product> products, const float* from, std::size_t stride,
                  std::size_t n) {
        model::multiply(table_, team_, products, from, stride, ws_.acts, n);
    }
    void quantize(std::size_t t, const float* from,
                  std::initializer_list<const tensor::Linear*> readers) {
        model::quantize(table_, ws_.acts, t, from, readers);
    }

    void place(std::span<const Passage> passages) {
        for (const Passage& passage : passages) {
            const std::size_t first = places_.size();
            TRILANE_CHECK(!passage.ids.empty() && passage.ids.size() <= config_.context_tokens);
            for (std::size_t i = 0; i < passage.ids.size(); ++i) {
                const bool second = passage.second_from > 0 && i >= passage.second_from;
                places_.push_back({first, passage.ids.size(), i, passage.ids[i],
                                   second && config_.token_types > 1 ? std::size_t{1} : 0});
            }
        }
        TRILANE_CHECK(!places_.empty() && places_.size() <= ws_.tokens_max);
    }

    void embed() {
        const std::size_t dim = config_.dim;
        team_.share(places_.size(), [&](std::size_t, std::size_t t) {
            const Place& at = places_[t];
            const std::span<float> state(x(t), dim);
            weights_.tokens.row(static_cast<std::size_t>(at.id), state);
            if (config_.token_types > 0) {
                table_.add(weights_.token_types.data() + at.type * dim, dim, state.data());
            }
            if (config_.learned_positions) {
                std::vector<float> position(dim);
                weights_.positions.row(at.position, position);
                table_.add(position.data(), dim, state.data());
            }
            layer_norm(table_, weights_.embedding_norm, config_.norm_eps, state.data());
        });
    }

    void rotate_heads(float* heads, std::size_t position) const {
        if (!config_.rotary) {
            return;
        }
        const std::size_t half = config_.head_dim / 2;
        for (std::size_t h = 0; h < config_.heads; ++h) {
            rotate(heads + h * config_.head_dim, weights_.cosines.data() + position * half,
                   weights_.sines.data() + position * half, half, false);
        }
    }

    /// Of all tokens before any attends: each sees the whole of its text.
    void keys_and_values(const EncoderLayer& w, Chunk chunk) {
        each_token(chunk, [&](std::size_t t) { quantize(t, x(chunk.begin + t), {&w.wk, &w.wv}); });
        const tensor::Product products[] = {{&w.wk, ws_.gate.as<float>(), ws_.wide},
                                            {&w.wv, ws_.up.as<float>(), ws_.wide}};
        multiply(products, x(chunk.begin), ws_.dim, chunk.count);
        each_token(chunk, [&](std::size_t t) {
            const std::size_t at = (chunk.begin + t) * config_.dim;
            rotate_heads(row(ws_.gate, t), places_[chunk.begin + t].position);
            table_.to_f16(row(ws_.gate, t), config_.dim, ws_.k.as<std::uint16_t>() + at);
            table_.to_f16(row(ws_.up, t), config_.dim, ws_.v.as<std::uint16_t>() + at);
        });
    }

    /// Query heads of a chunk over the whole of their own text, into rows of `mixed`.
    void attend(Chunk chunk) {
        const std::size_t heads = config_.heads;
        team_.share(chunk.count * heads, [&](std::size_t worker, std::size_t item) {
            const std::size_t t = item / heads;
            const std::size_t at = item % heads * config_.head_dim;
            const Place& place = places_[chunk.begin + t];
            const std::size_t first = place.first * config_.dim + at;
            table_.attend({.q = row(ws_.q, t) + at,
                           .k = ws_.k.as<std::uint16_t>() + first,
                           .v = ws_.v.as<std::uint16_t>() + first,
                           .kv_stride = config_.dim,
                           .positions = place.count,
                           .head_dim = config_.head_dim,
                           .scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim)),
                           .scores = ws_.scores.as<float>() + worker * ws_.context_tokens,
                           .out = row(ws_.mixed, t) + at});
        });
    }

    void attention(const EncoderLayer& w, Chunk chunk) {
        each_token(chunk, [&](std::size_t t) { quantize(t, x(chunk.begin + t), {&w.wq}); });
        const tensor::Product q[] = {{&w.wq, ws_.q.as<float>(), ws_.wide}};
        multiply(q, x(chunk.begin), ws_.dim, chunk.count);
        each_token(chunk, [&](std::size_t t) {
            rotate_heads(row(ws_.q, t), places_[chunk.begin + t].position);
        });
        attend(chunk);
        each_token(chunk, [&](std::size_t t) { quantize(t, row(ws_.mixed, t), {&w.wo}); });
        const tensor::Product out[] = {{&w.wo, ws_.projected.as<float>(), ws_.wide}};
        multiply(out, ws_.mixed.as<float>(), ws_.wide, chunk.count);
        add_and_norm(w.attn_norm, chunk);
    }

    void feed_forward(const EncoderLayer& w, Chunk chunk) {
        each_token(chunk, [&](std::size_t t) {
            if (config_.gated) {
                quantize(t, x(chunk.begin + t), {&w.w_gate, &w.w_up});
            } else {
                quantize(t, x(chunk.begin + t), {&w.w_up});
            }
        });
        const tensor::Product inner[] = {{&w.w_up, ws_.up.as<float>(), ws_.wide},
                                         {&w.w_gate, ws_.gate.as<float>(), ws_.wide}};
        multiply(std::span(inner).first(config_.gated ? 2 : 1), x(chunk.begin), ws_.dim,
                 chunk.count);
        each_token(chunk, [&](std::size_t t) {
            float* gate = row(ws_.gate, t);
            if (config_.gated) {
                table_.silu_mul(gate, row(ws_.up, t), config_.ffn, gate);
            } else {
                gelu(table_, row(ws_.up, t), config_.ffn, gate);
            }
            quantize(t, gate, {&w.w_down});
        });
        const tensor::Product down[] = {{&w.w_down, ws_.projected.as<float>(), ws_.wide}};
        multiply(down, ws_.gate.as<float>(), ws_.wide, chunk.count);
        add_and_norm(w.ffn_norm, chunk);
    }

    void add_and_norm(const LayerNorm& norm, Chunk chunk) {
        each_token(chunk, [&](std::size_t t) {
            float* state = x(chunk.begin + t);
            table_.add(row(ws_.projected, t), config_.dim, state);
            layer_norm(table_, norm, config_.norm_eps, state);
        });
    }

    const EncoderConfig& config_;
    const EncoderWeights& weights_;
    const kernels::KernelTable& table_;
    EncoderWorkspace& ws_;
    os::ThreadTeam& team_;
    std::vector<Place> places_;
};

}  // namespace

std::vector<float> Dense::of(std::span<const float> x) const {
    std::vector<float> out(rows);
    for (std::size_t r = 0; r < rows; ++r) {
        double sum = bias.empty() ? 0.0 : static_cast<double>(bias[r]);
        for (std::size_t i = 0; i < cols; ++i) {
            sum += static_cast<double>(weights[r * cols + i]) * static_cast<double>(x[i]);
        }
        out[r] = static_cast<float>(sum);
    }
    return out;
}

Result<EncoderWorkspace> EncoderWorkspace::make(const EncoderConfig& config,
                                                std::uint32_t tokens_max, std::size_t workers) {
    EncoderWorkspace ws;
    ws.dim = config.dim;
    ws.wide = (std::size_t{std::max(config.dim, config.ffn)} + 63) / 64 * 64;
    ws.context_tokens = config.context_tokens;
    ws.tokens_max = tokens_max;
    const std::size_t states = std::size_t{tokens_max} * config.dim;
    TRILANE_TRY(ws.x, tensor::Buffer::make(states * sizeof(float)));
    TRILANE_TRY(ws.k, tensor::Buffer::make(states * sizeof(std::uint16_t)));
    TRILANE_TRY(ws.v, tensor::Buffer::make(states * sizeof(std::uint16_t)));
    for (tensor::Buffer* rows : {&ws.q, &ws.projected, &ws.mixed, &ws.gate, &ws.up}) {
        TRILANE_TRY(*rows, tensor::Buffer::make(kChunkTokens * ws.wide * sizeof(float)));
    }
    TRILANE_TRY(ws.scores, tensor::Buffer::make(workers * ws.context_tokens * sizeof(float)));
    TRILANE_TRY(ws.acts, tensor::Activations::make(kChunkTokens, ws.wide));
    return ws;
}

std::uint64_t EncoderWorkspace::resident_bytes() const {
    std::uint64_t bytes = acts.resident_bytes();
    for (const tensor::Buffer* buffer : {&x, &k, &v, &q, &projected, &mixed, &gate, &up, &scores}) {
        bytes += buffer->resident_bytes();
    }
    return bytes;
}

Result<Encoder> Encoder::load(const gguf::File& file, const kernels::KernelTable& table,
                              os::ThreadTeam& team, const CancelToken& cancel) {
    Encoder encoder;
    encoder.table_ = &table;
    TRILANE_TRY(encoder.config_, read_encoder_config(file));
    TRILANE_TRY(encoder.weights_, load_encoder_weights(file, encoder.config_, team, cancel));
    return encoder;
}

bool Encoder::forward(std::span<const Passage> passages, EncoderWorkspace& workspace,
                      os::ThreadTeam& team, const std::function<bool()>& leave) const {
    return Pass(config_, weights_, *table_, workspace, team).run(passages, leave);
}

bool Encoder::ranks() const {
    const std::optional<Dense>& last = weights_.scorer ? weights_.scorer : weights_.pooler;
    return last.has_value() && last->rows == 1;
}

float Encoder::score(std::span<const float> first_hidden) const {
    TRILANE_CHECK(ranks());
    std::vector<float> state(first_hidden.begin(), first_hidden.end());
    if (weights_.pooler) {
        state = weights_.pooler->of(state);
        for (float& value : state) {
            value = std::tanh(value);
        }
    }
    return weights_.scorer ? weights_.scorer->of(state)[0] : state[0];
}

}  // namespace trilane::model
