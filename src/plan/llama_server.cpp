// What other engines take: llama-server by the layout of its buffers, FLM by the footprint it
// tells. Source: llama.cpp's allocations as it logs them (compared in
// docs/notes/0003-memory-plan.md) and its sources of 2025–2026.
#include <algorithm>
#include <limits>

#include "plan/bytes.h"
#include "plan/shape.h"

namespace trilane::plan {
namespace {

/// Caches are made of so many cells at a time.
constexpr std::uint64_t kCellsStep = 256;

/// Requests whose context nobody knows.
constexpr std::uint32_t kContextTokensUnknown = 4096;

/// What the graph allocator leaves unused between buffers: up to 15 % in models that were measured.
constexpr double kFragmentation = 1.15;

/// The attention mask: F16, on a GPU with a copy where it is filled. Newer builds place it where
/// logits will be and older ones hold it as F32, too, so it is counted beside them.
constexpr std::uint64_t kMaskBytesPerCell = 2;

/// Process, HTTP threads, templates. An estimate.
constexpr std::uint64_t kServerBytes = std::uint64_t{80} << 20U;
/// A GPU's context, compiled pipelines and staging buffers. An estimate, not measured: drivers
/// differ.
constexpr std::uint64_t kGpuRuntimeBytes = std::uint64_t{256} << 20U;
/// Text, score, hash entries and merges of one token. An estimate.
constexpr std::uint64_t kVocabularyBytesPerToken = 400;

/// Projectors need room for the image they work on besides their weights.
constexpr double kProjectorFactor = 1.2;

/// Keys and values of one position in the deepest family that FLM lists (36 layers of 8 KV heads of
/// 128 values, F16). An upper estimate: its list tells no shapes.
constexpr std::uint64_t kFlmKvBytesPerToken = std::uint64_t{144} << 10U;

std::uint64_t whole_cells(std::uint64_t tokens) {
    return (tokens + kCellsStep - 1) / kCellsStep * kCellsStep;
}

/// Cells of one request's cache in a layer: a window holds besides itself what one micro batch
/// adds.
std::uint64_t cells_of(const LayerShape& layer, const Wishes& wishes,
                       std::uint32_t context_tokens) {
    const std::uint64_t all = whole_cells(context_tokens);
    if (layer.window_tokens == 0) {
        return all;
    }
    return std::min(all,
                    whole_cells(std::uint64_t{layer.window_tokens} + wishes.micro_batch_tokens));
}

/// Values of a position, rounded up to what a block of the type holds.
std::uint64_t position_bytes(const LayerShape& layer, KvType type) {
    const auto values = [&](std::uint32_t width) {
        const std::uint64_t blocks = (std::uint64_t{width} + 31) / 32;
        return scaled(type == KvType::f16 ? width : blocks * 32, kv_bytes_per_value(type));
    };
    return values(layer.k_width) + values(layer.v_width);
}

std::uint32_t parallel_of(const Wishes& wishes) {
    return std::max(wishes.parallel, 1U);
}

/// The largest of what one step of prefill holds at once: logits, or a layer's activations.
std::uint64_t compute_bytes(const Shape& shape, const Wishes& wishes) {
    std::uint64_t widest = 0;
    for (const LayerShape& layer : shape.layers) {
        widest = std::max(widest, std::uint64_t{layer.k_width} + layer.v_width);
    }
    const std::uint64_t dim = shape.dim;
    const std::uint64_t logits = shape.vocab + 2 * dim;
    const std::uint64_t attention = 4 * dim + widest;
    const std::uint64_t feed_forward = 3 * std::uint64_t{shape.ffn} + 2 * dim;
    const std::uint64_t row = std::max({logits, attention, feed_forward}) * sizeof(float);
    return scaled(times(row, wishes.micro_batch_tokens), kFragmentation);
}

std::uint64_t mask_bytes_per_token(const Wishes& wishes) {
    return kMaskBytesPerCell * (wishes.on_gpu ? 2 : 1) * wishes.micro_batch_tokens;
}

/// What one checkpoint of one request holds: recurrent states and the layers with windows.
std::uint64_t checkpoint_bytes(const Shape& shape, const Wishes& wishes) {
    std::uint64_t bytes = 0;
    for (const LayerShape& layer : shape.layers) {
        bytes = plus(bytes, layer.state_bytes);
        bytes = plus(bytes, times(layer.window_tokens, position_bytes(layer, wishes.kv)));
    }
    return bytes;
}

std::uint64_t engine_bytes(const Shape& shape, const Wishes& wishes) {
    return kServerBytes + (wishes.on_gpu ? kGpuRuntimeBytes : 0) +
           kVocabularyBytesPerToken * shape.vocab;
}

}  // namespace

Result<KvType> kv_type_from(std::string_view name) {
    if (name == "f16") {
        return KvType::f16;
    }
    if (name == "q8" || name == "q8_0") {
        return KvType::q8_0;
    }
    if (name == "q4" || name == "q4_0") {
        return KvType::q4_0;
    }
    return fail(Fault::invalid, "a KV cache of type '{}' is not known; use f16, q8 or q4", name);
}

std::string_view kv_type_name(KvType type) {
    switch (type) {
        case KvType::q8_0:
            return "q8_0";
        case KvType::q4_0:
            return "q4_0";
        case KvType::f16:
            break;
    }
    return "f16";
}

double kv_bytes_per_value(KvType type) {
    switch (type) {
        case KvType::q8_0:
            return 34.0 / 32;
        case KvType::q4_0:
            return 18.0 / 32;
        case KvType::f16:
            break;
    }
    return 2.0;
}

std::uint64_t kv_bytes(const Shape& shape, const Wishes& wishes, std::uint32_t context_tokens) {
    std::uint64_t bytes = 0;
    for (const LayerShape& layer : shape.layers) {
        const std::uint64_t cells = cells_of(layer, wishes, context_tokens);
        bytes = plus(bytes, times(cells, position_bytes(layer, wishes.kv)));
        bytes = plus(bytes, layer.state_bytes);
    }
    return times(bytes, parallel_of(wishes));
}

Need llama_server_need(const Shape& shape, const Wishes& wishes) {
    Need need;
    need.context_tokens_max = shape.context_tokens;
    std::uint32_t context = wishes.context_tokens;
    if (context == 0) {
        context = shape.context_tokens == 0 ? kContextTokensUnknown : shape.context_tokens;
    }
    need.context_tokens = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(whole_cells(context), std::numeric_limits<std::uint32_t>::max()));
    need.parallel = parallel_of(wishes);

    // A GPU gets a copy of an embedding that is the output matrix, too.
    const bool copied = wishes.on_gpu && shape.tied_embedding;
    const std::uint64_t kv = kv_bytes(shape, wishes, need.context_tokens);
    need.parts = {
        {"weights", plus(shape.weight_bytes, copied ? shape.embedding_bytes : 0)},
        {"KV cache", kv},
        {"compute buffers", plus(compute_bytes(shape, wishes),
                                 times(mask_bytes_per_token(wishes), need.context_tokens))},
        {"prompt cache", wishes.prompt_cache_bytes},
        {"context checkpoints",
         times(times(checkpoint_bytes(shape, wishes), wishes.context_checkpoints), need.parallel)},
        {"projector", scaled(wishes.projector_bytes, kProjectorFactor)},
        {"engine", engine_bytes(shape, wishes)},
    };
    std::erase_if(need.parts, [](const Part& part) { return part.bytes == 0; });

    // A layer whose window is not reached grows with the context as well. So the line through this
    // context lies nowhere below the truth.
    std::uint64_t token_bytes = 0;
    for (const LayerShape& layer : shape.layers) {
        const bool grows = cells_of(layer, wishes, need.context_tokens) == need.context_tokens;
        token_bytes = plus(token_bytes, grows ? position_bytes(layer, wishes.kv) : 0);
    }
    need.bytes_per_context_token = static_cast<double>(token_bytes) * need.parallel +
                                   static_cast<double>(mask_bytes_per_token(wishes));
    Wishes q8 = wishes;
    q8.kv = KvType::q8_0;
    const std::uint64_t with_q8 = kv_bytes(shape, q8, need.context_tokens);
    need.q8_kv_saves_bytes = wishes.kv == KvType::f16 ? kv - std::min(kv, with_q8) : 0;
    return need;
}

Need flm_need(std::uint64_t footprint_bytes, std::uint32_t context_tokens,
              std::uint32_t default_context_tokens) {
    Need need;
    need.context_tokens = context_tokens == 0 ? default_context_tokens : context_tokens;
    need.context_tokens_max = std::max(need.context_tokens, default_context_tokens);
    need.parts = {{"footprint", footprint_bytes}};
    if (need.context_tokens > default_context_tokens) {
        const std::uint64_t more = need.context_tokens - default_context_tokens;
        need.parts.push_back({"KV cache", times(more, kFlmKvBytesPerToken)});
        need.bytes_per_context_token = static_cast<double>(kFlmKvBytesPerToken);
    }
    return need;
}

}  // namespace trilane::plan
