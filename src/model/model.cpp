#include "model/model.h"

#include <algorithm>
#include <initializer_list>

namespace trilane::model {

Result<Model> Model::load(const gguf::File& file, const kernels::KernelTable& table,
                          os::ThreadTeam& team, const CancelToken& cancel) {
    Model model;
    model.table_ = &table;
    TRILANE_TRY(model.config_, read_config(file));
    TRILANE_TRY(model.weights_, load_weights(file, model.config_, team, cancel));
    return model;
}

std::uint64_t Model::resident_bytes() const {
    std::uint64_t bytes = weights_.head.packed.resident_bytes();
    for (const LayerWeights& w : weights_.layers) {
        for (const tensor::Linear* linear :
             {&w.wq, &w.wk, &w.wv, &w.wo, &w.w_gate, &w.w_up, &w.w_down}) {
            bytes += linear->packed.resident_bytes();
        }
    }
    return bytes;
}

std::uint64_t Workspace::resident_bytes() const {
    std::uint64_t bytes = acts.resident_bytes();
    for (const tensor::Buffer* buffer :
         {&x, &normed, &q, &k, &v, &gate, &up, &projected, &scores, &cosines, &sines, &logits}) {
        bytes += buffer->resident_bytes();
    }
    return bytes;
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
