// Model: one decoder-only transformer, loaded: Config, Weights and the forward step over a batch of
// tokens from any number of sequences. Knows nothing of sampling, requests or text.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/weights.h"
#include "os/thread_team.h"
#include "tensor/linear.h"

namespace trilane::model {

/// One token of a step: it is placed at `position` of `slot`'s timeline and sees everything before.
struct BatchToken {
    std::int32_t id = 0;
    std::uint32_t position = 0;
    std::uint32_t slot = 0;
    bool wants_logits = false;
};

/// The memory of a forward step, made once. **Shapes:** as commented; n ≤ tokens_max.
struct Workspace {
    static Result<Workspace> make(const Config& config, std::uint32_t tokens_max,
                                  std::uint32_t context_tokens, std::size_t workers);

    tensor::Buffer x;          ///< [n][dim]: the residual stream
    tensor::Buffer normed;     ///< [n][wide]
    tensor::Buffer q;          ///< [n][wide]
    tensor::Buffer k;          ///< [n][wide]
    tensor::Buffer v;          ///< [n][wide]
    tensor::Buffer gate;       ///< [n][wide]
    tensor::Buffer up;         ///< [n][wide]
    tensor::Buffer projected;  ///< [n][wide]
    tensor::Buffer scores;     ///< [workers][context_tokens]
    tensor::Buffer cosines;    ///< [n][rope_dim / 2]
    tensor::Buffer sines;      ///< [n][rope_dim / 2]
    tensor::Buffer
        logits;  ///< [n][logits_stride], one row per token that wants them, in batch order
    tensor::Activations acts;
    /// Of all these, what is in memory.
    [[nodiscard]] std::uint64_t resident_bytes() const;

    std::size_t wide = 0;  ///< the widest row of any step, in whole panels
    std::size_t logits_stride = 0;
    std::size_t context_tokens = 0;
    std::uint32_t tokens_max = 0;
};

class Model {
public:
    /// **Errors:** as read_config and load_weights. `file` must outlive the model.
    static Result<Model> load(const gguf::File& file, const kernels::KernelTable& table,
                              os::ThreadTeam& team, const CancelToken& cancel = {});

    [[nodiscard]] const Config& config() const { return config_; }
    [[nodiscard]] const Weights& weights() const { return weights_; }
    [[nodiscard]] const kernels::KernelTable& kernels() const { return *table_; }
    /// Of the packed weights, what is in memory. Those that are used where the file maps them are
    /// the file's.
    [[nodiscard]] std::uint64_t resident_bytes() const;

    /// Runs the batch (1 ≤ size ≤ workspace.tokens_max), writing keys and values of its tokens into
    /// `kv` and logits of those that want them into the workspace. Tokens of one slot come in order
    /// of their positions, and everything before them is in the cache. The logits of a token do not
    /// depend on what else is in the batch, to the bit.
    void forward(std::span<const BatchToken> batch, KvCache& kv, Workspace& workspace,
                 os::ThreadTeam& team) const;

    /// As forward, but leaves the normed last hidden state of every token, [n][wide], in
    /// workspace.normed, and computes no logits.
    void forward_hidden(std::span<const BatchToken> batch, KvCache& kv, Workspace& workspace,
                        os::ThreadTeam& team) const;

private:
    Config config_;
    Weights weights_;
    const kernels::KernelTable* table_ = nullptr;
};

}  // namespace trilane::model
