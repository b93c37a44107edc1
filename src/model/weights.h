// Weights: the tensors of a decoder-only transformer, named as the papers name them, with shapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "model/tensors.h"
#include "os/thread_team.h"
#include "tensor/linear.h"

namespace trilane::model {

struct LayerWeights {
    std::vector<float> attn_norm;      ///< [dim]
    tensor::Linear wq;                 ///< q_width × dim
    tensor::Linear wk;                 ///< kv_width × dim
    tensor::Linear wv;                 ///< kv_width × dim
    std::vector<float> q_norm;         ///< [head_dim], head_norms only
    std::vector<float> k_norm;         ///< [head_dim], head_norms only
    std::vector<float> attn_sub_norm;  ///< [q_width], sub_norms only
    tensor::Linear wo;                 ///< dim × q_width
    std::vector<float> ffn_norm;       ///< [dim]
    tensor::Linear w_gate;             ///< ffn × dim
    tensor::Linear w_up;               ///< ffn × dim
    std::vector<float> ffn_sub_norm;   ///< [ffn], sub_norms only
    tensor::Linear w_down;             ///< dim × ffn
};

struct Weights {
    Embedding embedding;  ///< vocab × dim
    std::vector<LayerWeights> layers;
    std::vector<float> output_norm;        ///< [dim]
    tensor::Linear head;                   ///< vocab × dim; the embedding itself when tied
    std::vector<double> rope_frequencies;  ///< [rope_dim / 2]: radians per position
    std::size_t bytes_per_token = 0;       ///< weight bytes that decoding one token reads
};

/// Loads and packs all tensors, sharing the packing among the team's workers. The file must outlive
/// the result. **Errors:** corrupt or invalid, naming the tensor that is missing, misshapen or
/// unreadable; cancelled.
Result<Weights> load_weights(const gguf::File& file, const Config& config, os::ThreadTeam& team,
                             const CancelToken& cancel = {});

}  // namespace trilane::model
