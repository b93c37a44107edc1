// What loading a model into this process takes, told before it is loaded.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "engine/engine.h"

namespace trilane::engine {

/// Resident bytes when every slot's context is full. File pages of weights count: they are read
/// with every token, though the kernel may drop them. Requests for the log-probabilities of whole
/// prompts touch more: logits of each token of a prefill chunk.
struct MemoryNeed {
    std::uint64_t weight_bytes = 0;         ///< packed, or mapped from the file, once touched
    std::uint64_t vocabulary_bytes = 0;     ///< tokenizer and metadata
    std::uint64_t kv_bytes = 0;             ///< all slots, when full
    std::uint64_t buffer_bytes = 0;         ///< activations, logits, threads
    std::uint32_t context_tokens = 0;       ///< with the default filled in
    std::uint32_t context_tokens_max = 0;   ///< what the model was made for
    double kv_bytes_per_context_token = 0;  ///< of all slots
    [[nodiscard]] std::uint64_t bytes() const {
        return weight_bytes + vocabulary_bytes + kv_bytes + buffer_bytes;
    }
};

/// Reads the file's header, and of ternary tensors the first scales. `options.context_tokens` 0
/// stands for the model's own context here: fitting it to the memory is the caller's business.
/// **Errors:** those Engine::load would have before reading weights.
Result<MemoryNeed> memory_need(const std::string& path, const Options& options);

}  // namespace trilane::engine
