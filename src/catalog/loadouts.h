// Loadouts: sets of models that make a machine of some memory useful for something. Data: the byte
// counts are nominal (as the repositories listed them once, rounded up), and what really fits is
// plan's to say.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "catalog/catalog.h"

namespace trilane::catalog {

struct LoadoutModel {
    std::string_view role;  ///< "primary", "background", "embed", "rerank", "transcribe", "speak"
    /// As parse_reference reads it, "flm:TAG", or "engine:KIND" when the engine brings its own
    /// model.
    std::string_view reference;
    std::string_view lane;  ///< "gpu", "npu", "cpu"
    Purpose purpose;
    std::uint64_t bytes;               ///< of the weights with projector; FLM: its footprint
    std::uint32_t context_tokens;      ///< that the loadout plans for
    std::uint64_t kv_bytes_per_token;  ///< at f16; 0: none, or in FLM's footprint
};

struct Loadout {
    std::string_view name;  ///< "coder", "chat", "voice", "retrieval", "minimal"
    /// Tier: for machines whose kernel counts at least so much. That is less than what they are
    /// sold with.
    std::uint64_t memory_bytes;
    std::string_view what;  ///< for people
    std::span<const LoadoutModel> models;
};

std::span<const Loadout> loadouts();

}  // namespace trilane::catalog
