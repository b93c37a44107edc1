// What the memory needs of all kinds of models are made of. Apart from memory.h because only those
// who tell them need it.
#pragma once

#include <cstdint>

#include "engine/memory.h"
#include "gguf/gguf.h"
#include "token/vocabulary.h"

namespace trilane::engine {

/// Pages of the program and its libraries that a process touches first when it loads a model and
/// runs it: parsers, kernels, the allocator's own. Measured as what is left of the resident set of
/// the smallest model (stories260K, one slot of 64 tokens) once all that is counted here is taken
/// off. Not a property of the model.
inline constexpr std::uint64_t kCodeBytes = 1'400'000;

/// What a thread of the team keeps resident: its stack as deep as the kernels go, its control block
/// and the first pages of its allocator arena.
inline constexpr std::uint64_t kThreadBytes = std::uint64_t{32} << 10U;

/// Header of a block of the allocator, and its rounding, on average.
inline constexpr std::uint64_t kBlockOverheadBytes = 24;

/// The parsed header and the tokenizer's tables over it.
std::uint64_t vocabulary_bytes(const gguf::File& file, const token::Vocabulary& vocabulary);

/// memory_need of a model that reads whole texts: no cache, but hidden states of a group of them.
Result<MemoryNeed> encoder_memory_need(const gguf::File& file, const token::Vocabulary& vocabulary,
                                       const Options& options);

}  // namespace trilane::engine
