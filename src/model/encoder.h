// Encoder: one model that reads whole texts at once, loaded: EncoderConfig, its weights and the
// forward pass over the tokens of several texts. Every token sees all of its own text and nothing
// of the others; there is no padding and no cache. Knows nothing of requests or words.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/kernels.h"
#include "model/encoder_config.h"
#include "model/tensors.h"
#include "os/thread_team.h"
#include "tensor/linear.h"

namespace trilane::model {

/// One text as tokens. Those from `second_from` on are of the second segment of a pair; 0 = all
/// are of the first.
struct Passage {
    std::vector<std::int32_t> ids;
    std::size_t second_from = 0;
};

/// Mean and variance of a row to 0 and 1, times `weight` plus `bias`: [dim] each.
struct LayerNorm {
    std::vector<float> weight;
    std::vector<float> bias;  ///< may be empty
};

struct EncoderLayer {
    tensor::Linear wq;  ///< dim × dim
    tensor::Linear wk;  ///< dim × dim
    tensor::Linear wv;  ///< dim × dim
    tensor::Linear wo;  ///< dim × dim
    LayerNorm attn_norm;
    tensor::Linear w_gate;  ///< ffn × dim, gated only
    tensor::Linear w_up;    ///< ffn × dim
    tensor::Linear w_down;  ///< dim × ffn
    LayerNorm ffn_norm;
};

/// A small matrix of floats: part of a classification head.
struct Dense {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<float> weights;  ///< [rows][cols]
    std::vector<float> bias;     ///< [rows] or empty

    [[nodiscard]] std::vector<float> of(std::span<const float> x) const;
};

struct EncoderWeights {
    Embedding tokens;                ///< vocab × dim
    std::vector<float> token_types;  ///< [token_types][dim]
    Embedding positions;             ///< context × dim, learned_positions only
    LayerNorm embedding_norm;
    std::vector<EncoderLayer> layers;
    std::vector<float> cosines;  ///< [context][head_dim / 2], rotary only
    std::vector<float> sines;
    std::optional<Dense> pooler;  ///< of the head: tanh of it goes into the scorer
    std::optional<Dense> scorer;
};

/// The memory of a forward pass, made once. Hidden states, keys and values are of all tokens; what
/// lies between them only of a chunk.
struct EncoderWorkspace {
    /// **Errors:** exhausted.
    static Result<EncoderWorkspace> make(const EncoderConfig& config, std::uint32_t tokens_max,
                                         std::size_t workers);

    /// Tokens whose products are computed together.
    static constexpr std::size_t kChunkTokens = 128;

    tensor::Buffer x;  ///< [tokens_max][dim]: the hidden states
    tensor::Buffer k;  ///< [tokens_max][dim] halves
    tensor::Buffer v;  ///< [tokens_max][dim] halves
    tensor::Buffer q;  ///< [chunk][wide], as all below
    tensor::Buffer projected;
    tensor::Buffer mixed;
    tensor::Buffer gate;
    tensor::Buffer up;
    tensor::Buffer scores;  ///< [workers][context_tokens]
    tensor::Activations acts;
    /// Of all these, what is in memory.
    [[nodiscard]] std::uint64_t resident_bytes() const;

    std::size_t dim = 0;
    std::size_t wide = 0;
    std::size_t context_tokens = 0;
    std::uint32_t tokens_max = 0;

    /// The hidden state of the batch's token t, [dim].
    [[nodiscard]] const float* hidden(std::size_t t) const { return x.as<float>() + t * dim; }
};

class Encoder {
public:
    /// **Errors:** as read_encoder_config; corrupt or invalid, naming the tensor that is missing,
    /// misshapen or unreadable; cancelled. `file` must outlive the model.
    static Result<Encoder> load(const gguf::File& file, const kernels::KernelTable& table,
                                os::ThreadTeam& team, const CancelToken& cancel = {});

    [[nodiscard]] const EncoderConfig& config() const { return config_; }
    [[nodiscard]] const kernels::KernelTable& kernels() const { return *table_; }

    /// Leaves the last hidden states of all passages, one after another, in the workspace. Each
    /// has between 1 and context_tokens tokens, all together at most tokens_max. A passage's states
    /// do not depend on what else is in the batch, to the bit. False when `leave` said so between
    /// two parts of the work.
    bool forward(std::span<const Passage> passages, EncoderWorkspace& workspace,
                 os::ThreadTeam& team, const std::function<bool()>& leave) const;

    /// Whether it has a head that gives one score.
    [[nodiscard]] bool ranks() const;
    /// The head's output for a passage by its first token's hidden state.
    [[nodiscard]] float score(std::span<const float> first_hidden) const;

private:
    EncoderConfig config_;
    EncoderWeights weights_;
    const kernels::KernelTable* table_ = nullptr;
};

/// The weights alone. **Errors:** as Encoder::load.
Result<EncoderWeights> load_encoder_weights(const gguf::File& file, const EncoderConfig& config,
                                            os::ThreadTeam& team, const CancelToken& cancel = {});

}  // namespace trilane::model
