#include "model/model.h"

#include <algorithm>
#include <initializer_list>

namespace trilane::model {

Result<Model> Model::load(const gguf::File& file, const kernels::KernelTable& table,
                          os::ThreadTeam& team) {
    Model model;
    model.table_ = &table;
    TRILANE_TRY(model.config_, read_config(file));
    TRILANE_TRY(model.weights_, load_weights(file, model.config_, team));
    return model;
}

Result<Workspace> Workspace::make(const Config& config, std::uint32_t tokens_max,
                                  std::uint32_t context_tokens, std::size_t workers) {
    Workspace ws;
    ws.tokens_max = tokens_max;
    ws.context_tokens = context_tokens;
    const std::size_t widest =
        std::max({config.dim, config.q_width(), config.kv_width(), config.ffn});
    ws.wide = (widest + 63) / 64 * 64;
    ws.logits_stride = (std::size_t{config.vocab} + 31) / 32 * 32;
    const std::size_t n = tokens_max;
    for (tensor::Buffer* rows :
         {&ws.x, &ws.normed, &ws.q, &ws.k, &ws.v, &ws.gate, &ws.up, &ws.projected}) {
        TRILANE_TRY(*rows, tensor::Buffer::make(n * ws.wide * sizeof(float)));
    }
    TRILANE_TRY(ws.scores, tensor::Buffer::make(workers * context_tokens * sizeof(float)));
    TRILANE_TRY(ws.cosines, tensor::Buffer::make(n * (config.rope_dim / 2) * sizeof(float)));
    TRILANE_TRY(ws.sines, tensor::Buffer::make(n * (config.rope_dim / 2) * sizeof(float)));
    TRILANE_TRY(ws.logits, tensor::Buffer::make(n * ws.logits_stride * sizeof(float)));
    TRILANE_TRY(ws.acts, tensor::Activations::make(n, ws.wide));
    return ws;
}

}  // namespace trilane::model
