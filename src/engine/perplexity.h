// Perplexity: how well a model predicts a text, by two stated definitions.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/result.h"
#include "engine/engine.h"

namespace trilane::engine {

/// Which tokens of a window are scored.
enum class PplDefinition {
    /// Windows of `context_tokens` moved by `stride`; each starts with BOS when the vocabulary adds
    /// one
    /// (in place of its first token's slot, not scored); a token is scored once, in the first
    /// window
    /// that holds it, given everything before it there. The text's first token is scored only after
    /// BOS.
    trilane,
    /// As llama.cpp's perplexity tool without --ppl-stride: the text is encoded once (with BOS when
    /// the
    /// vocabulary adds it), cut into whole windows of n_ctx without overlap, the first token of
    /// each
    /// replaced by BOS, and only its second half scored (positions n_ctx/2 … n_ctx−2 predict the
    /// next).
    llama,
};

struct PplOptions {
    PplDefinition definition = PplDefinition::trilane;
    std::uint32_t context_tokens = 512;
    std::uint32_t stride = 0;       ///< trilane only; 0 = context_tokens / 2
    std::uint32_t windows_max = 0;  ///< 0 = all
    std::size_t threads = 0;
    std::optional<kernels::Isa> isa;
};

struct PplResult {
    std::uint64_t windows = 0;
    std::uint64_t tokens_scored = 0;
    std::uint64_t text_bytes_scored = 0;  ///< bytes of the scored tokens
    double nll_sum = 0;                   ///< natural logarithm
    double nll_mean = 0;
    double perplexity = 0;
    double perplexity_error = 0;  ///< one standard error, by the delta method
    double bits_per_byte = 0;
    double seconds = 0;
};

/// `progress` is called after each window with (done, all, result so far).
/// **Errors:** those of loading; invalid when the text is too short (two tokens; for llama two
/// windows) or the window is longer than the model allows.
Result<PplResult> perplexity(
    const std::string& model_path, std::string_view text, const PplOptions& options,
    const std::function<void(std::uint64_t, std::uint64_t, const PplResult&)>& progress);

/// Greedy continuation without the batcher: per step the id, and the margin: logit of the likeliest
/// token minus that of the second. For cross-checks against other engines.
struct GreedyStep {
    token::Id id = 0;
    float margin = 0;
};
Result<std::vector<GreedyStep>> greedy(const std::string& model_path,
                                       std::span<const token::Id> prompt, std::uint32_t steps,
                                       const Options& options);

}  // namespace trilane::engine
