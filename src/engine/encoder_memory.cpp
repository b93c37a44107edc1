// The memory of an encoder, told from the header: mirrors what Embedder, Encoder and its workspace
// allocate. Whoever changes one of those changes this.
#include <algorithm>

#include "engine/embedder_readers.h"
#include "engine/memory_parts.h"
#include "model/encoder.h"
#include "probe/cpu.h"
#include "tensor/dequantize.h"

namespace trilane::engine {
namespace {

/// Tensors that are copied to the heap as floats: all that are no matrix of a layer and no table.
bool is_copied(const gguf::Tensor& tensor) {
    return !(tensor.name.starts_with("blk.") && tensor.name.ends_with(".weight") &&
             tensor.dimensions == 2) &&
           tensor.name != "token_embd.weight" && tensor.name != "position_embd.weight";
}

/// Mapped pages that texts touch, float copies, and Q8_0 blocks that ternary tensors become.
Result<std::uint64_t> weight_bytes(const gguf::File& file) {
    std::uint64_t bytes = 0;
    for (const gguf::Tensor& tensor : file.tensors()) {
        TRILANE_TRY_STATUS(gguf::require_readable(tensor));
        bytes += tensor.bytes;
        if (is_copied(tensor)) {
            bytes += tensor.weights() * sizeof(float) + kBlockOverheadBytes;
        } else if (tensor::is_ternary(tensor.type) && tensor.name.starts_with("blk.")) {
            bytes += tensor.weights() / 32 * 34;
        }
    }
    return bytes;
}

/// EncoderWorkspace, with all of a group's tokens.
std::uint64_t workspace_bytes(const model::EncoderConfig& c, std::uint32_t context_tokens,
                              std::uint64_t threads) {
    const std::uint64_t tokens = std::max(kEncoderGroupTokens, context_tokens);
    const std::uint64_t chunk = model::EncoderWorkspace::kChunkTokens;
    const std::uint64_t wide = (std::uint64_t{std::max(c.dim, c.ffn)} + 63) / 64 * 64;
    const std::uint64_t states = tokens * c.dim * (sizeof(float) + 2 * sizeof(std::uint16_t));
    // q, projected, mixed; gate and up; int8 forms with a scale and a sum per 32.
    const std::uint64_t rows = chunk * (3 * std::uint64_t{c.dim} + 2 * wide) * sizeof(float);
    const std::uint64_t forms = chunk * (wide + wide / 32 * 2 * sizeof(float));
    const std::uint64_t scores = threads * c.context_tokens * sizeof(float);
    const std::uint64_t angles =
        c.rotary ? std::uint64_t{c.context_tokens} * c.head_dim * sizeof(float) : 0;
    return states + rows + forms + scores + angles + threads * kThreadBytes + kCodeBytes;
}

}  // namespace

Result<MemoryNeed> encoder_memory_need(const gguf::File& file, const token::Vocabulary& vocabulary,
                                       const Options& options) {
    TRILANE_TRY(const model::EncoderConfig config, model::read_encoder_config(file));
    if (vocabulary.entries.size() > config.vocab) {
        return fail(Fault::corrupt, "the tokenizer knows {} tokens, the weights only {}",
                    vocabulary.entries.size(), config.vocab);
    }
    MemoryNeed need;
    need.context_tokens_max = config.context_tokens;
    need.context_tokens = options.context_tokens == 0
                              ? config.context_tokens
                              : std::min(options.context_tokens, config.context_tokens);
    TRILANE_TRY(need.weight_bytes, weight_bytes(file));
    need.vocabulary_bytes = vocabulary_bytes(file, vocabulary);
    const std::uint64_t threads = options.threads == 0 ? probe::default_threads() : options.threads;
    need.buffer_bytes = workspace_bytes(config, need.context_tokens, threads);
    return need;
}

}  // namespace trilane::engine
