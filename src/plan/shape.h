// Shape: what of a model's metadata decides its memory, for any architecture that GGUF files name,
// also those our own engine cannot run; and what llama-server or FLM take for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "plan/plan.h"

namespace trilane::gguf {
class File;
}

namespace trilane::plan {

enum class KvType { f16, q8_0, q4_0 };
Result<KvType> kv_type_from(std::string_view name);  ///< "f16", "q8" or "q8_0", "q4" or "q4_0"
std::string_view kv_type_name(KvType type);          ///< "f16", "q8_0", "q4_0"
double kv_bytes_per_value(KvType type);

struct LayerShape {
    std::uint32_t k_width = 0;  ///< values of a key of one position: KV heads × head length
    std::uint32_t v_width = 0;
    std::uint32_t window_tokens = 0;  ///< sliding window; 0 = the whole context
    std::uint64_t state_bytes = 0;    ///< recurrent layers: per sequence, instead of a cache
};

struct Shape {
    std::string architecture;
    std::string name;
    std::vector<LayerShape> layers;
    std::uint32_t context_tokens = 0;  ///< trained for
    std::uint32_t dim = 0;
    std::uint32_t vocab = 0;
    std::uint32_t ffn = 0;
    std::uint32_t heads = 0;
    std::uint64_t weight_bytes = 0;     ///< of all tensors
    std::uint64_t embedding_bytes = 0;  ///< of the token embedding, which stays on the CPU
    bool tied_embedding = false;        ///< it is the output matrix, too
    std::uint32_t parts = 1;            ///< files that the model is split into
    std::uint64_t file_bytes = 0;
};

/// Reads keys of any architecture: per-layer arrays, grouped heads, key and value lengths, MLA,
/// sliding-window patterns, recurrent layers. What a file does not say takes the usual default.
/// **Errors:** corrupt: no architecture, or no layers.
Result<Shape> read_shape(const gguf::File& file);

/// Adds the tensors of a further file of a model that is split into several.
void add_part(Shape& shape, const gguf::File& part);

struct Wishes {
    std::uint32_t context_tokens = 0;  ///< of one request; 0 = as the kind of lane decides
    std::uint32_t parallel = 1;
    KvType kv = KvType::f16;
    std::uint64_t prompt_cache_bytes = 0;  ///< llama-server's --cache-ram
    std::uint32_t batch_tokens = 2048;
    std::uint32_t micro_batch_tokens = 512;
    bool on_gpu = false;
    /// llama-server's --ctx-checkpoints: copies per request of what windows and recurrent layers
    /// hold, kept in system memory. 0 = switched off.
    std::uint32_t context_checkpoints = 0;
    std::uint64_t projector_bytes = 0;
};

/// KV cache and recurrent state of `parallel` requests of `context_tokens` each.
std::uint64_t kv_bytes(const Shape& shape, const Wishes& wishes, std::uint32_t context_tokens);

/// What llama-server takes, by its own layout of buffers: as many streams as parallel requests (no
/// unified cache), flash attention on, no --swa-full. An upper estimate.
Need llama_server_need(const Shape& shape, const Wishes& wishes);

/// What FLM takes: the footprint its list gives, and KV for a context beyond its default.
Need flm_need(std::uint64_t footprint_bytes, std::uint32_t context_tokens,
              std::uint32_t default_context_tokens);

}  // namespace trilane::plan
