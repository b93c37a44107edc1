// The two kinds of PassageReader. Apart from embedder.h because nobody else needs them.
#pragma once

#include <memory>

#include "engine/embedder.h"
#include "model/encoder.h"
#include "model/model.h"

namespace trilane::engine {

/// Tokens that an encoder reads at once, unless one passage alone is longer.
inline constexpr std::uint32_t kEncoderGroupTokens = 1024;

/// `encoder` and `team` must outlive it. **Errors:** exhausted.
Result<std::unique_ptr<PassageReader>> read_with_encoder(const model::Encoder& encoder,
                                                         os::ThreadTeam& team,
                                                         std::uint32_t context_tokens);

/// The same of a decoder, which others use between its steps: each holds the team's turn.
/// **Errors:** exhausted.
Result<std::unique_ptr<PassageReader>> read_with_decoder(const model::Model& model,
                                                         os::ThreadTeam& team,
                                                         std::uint32_t context_tokens,
                                                         std::uint32_t chunk_tokens,
                                                         model::Pooling pooling);

}  // namespace trilane::engine
