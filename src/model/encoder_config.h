// EncoderConfig: what the metadata of a model that reads whole texts at once (BERT and its kin) say
// of its shape; and how the rows of a text become one vector, for any model.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trilane::gguf {
class File;
}

namespace trilane::model {

/// How the last hidden states of a text become one vector.
enum class Pooling : std::uint8_t {
    mean,
    cls,   ///< the first token's
    last,  ///< the last token's
    rank,  ///< the first token's, through a classification head: no vector, but a score
};

/// What the file says; mean where it says nothing. **Errors:** invalid, corrupt.
Result<Pooling> read_pooling(const gguf::File& file, std::string_view architecture);

inline constexpr std::uint64_t kTokenTypesMax = 16;
inline constexpr std::uint64_t kLabelsMax = 4096;

struct EncoderConfig {
    std::string architecture;  ///< as the file names it
    std::uint32_t layers = 0;
    std::uint32_t dim = 0;  ///< width of the hidden states, and of the vectors
    std::uint32_t heads = 0;
    std::uint32_t head_dim = 0;  ///< heads × head_dim = dim
    std::uint32_t ffn = 0;
    std::uint32_t vocab = 0;
    std::uint32_t context_tokens = 0;  ///< the longest text
    std::uint32_t token_types = 0;     ///< rows of token_types; 0 = none
    float norm_eps = 1e-12F;
    bool learned_positions = false;  ///< BERT: a row for each position
    bool rotary = false;             ///< Nomic: rotated halves of queries and keys
    bool gated = false;              ///< Nomic: silu(gate) · up; BERT: gelu(up)
    float rope_theta = 10000.0F;
    float rope_scale = 1.0F;
    Pooling pooling = Pooling::mean;
};

/// Whether files of this architecture are read by read_encoder_config.
bool is_encoder(std::string_view architecture);
/// "bert, nomic-bert".
std::string encoder_architectures();

/// **Errors:** invalid for an architecture, activation or attention that is not known (named);
/// corrupt for keys and tensors that contradict each other.
Result<EncoderConfig> read_encoder_config(const gguf::File& file);

}  // namespace trilane::model
