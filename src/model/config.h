// Config: what a model's metadata says of its shape. Plain numbers; no weights.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace trilane::gguf {
class File;
}

namespace trilane::model {

/// Which two values of a head a rotary angle turns.
enum class RopePairs : std::uint8_t {
    adjacent,  ///< 2j and 2j+1: files whose q and k rows were permuted for it (`llama`)
    halves,    ///< j and j + rope_dim/2 (qwen, bitnet)
};

enum class Activation : std::uint8_t { silu, relu2 };

/// Limits that no real model of these families comes near; a file beyond them is refused.
inline constexpr std::uint64_t kLayersMax = 512;
inline constexpr std::uint64_t kHeadsMax = 4096;
inline constexpr std::uint64_t kWidthMax = 1U << 17U;
inline constexpr std::uint64_t kVocabMax = 1U << 20U;
inline constexpr std::uint64_t kContextMax = 1U << 22U;

struct Config {
    std::string architecture;  ///< as the file names it
    std::uint32_t layers = 0;
    std::uint32_t dim = 0;       ///< residual width
    std::uint32_t heads = 0;     ///< query heads
    std::uint32_t kv_heads = 0;  ///< heads % kv_heads == 0
    std::uint32_t head_dim = 0;
    std::uint32_t rope_dim = 0;  ///< rotated values of a head, ≤ head_dim, even
    std::uint32_t ffn = 0;
    std::uint32_t vocab = 0;
    std::uint32_t context_tokens = 0;  ///< what the model was trained for
    float rope_theta = 10000.0F;
    float rope_scale = 1.0F;  ///< positions are divided by it (linear scaling)
    float norm_eps = 1e-5F;
    RopePairs rope_pairs = RopePairs::adjacent;
    Activation activation = Activation::silu;
    bool sub_norms = false;  ///< BitNet: norms before the attention output and FFN down projections
    bool head_norms = false;   ///< Qwen3: norms of each query and key head
    bool int8_tokens = false;  ///< trained with int8 activations per token

    [[nodiscard]] std::uint32_t q_width() const { return heads * head_dim; }
    [[nodiscard]] std::uint32_t kv_width() const { return kv_heads * head_dim; }
};

/// Reads the metadata of one of the known families.
/// **Errors:** invalid: an architecture or a rope scaling that is not known (named, with those that
/// are); corrupt: a key is missing, of the wrong type or out of range (named).
Result<Config> read_config(const gguf::File& file);

}  // namespace trilane::model
