// Sampler: logits → the next token, as one request's Sampling asks. One per sequence; deterministic
// for a given seed.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "job/job.h"
#include "token/tokenizer.h"

namespace trilane::engine {

/// How many of the latest tokens (prompt included) the repeat penalty looks at.
inline constexpr std::size_t kRepeatWindow = 64;

class Sampler {
public:
    /// `seed` is used when `sampling` has none.
    Sampler(job::Sampling sampling, std::uint64_t seed);

    /// Draws from `logits` ([vocab], all finite). Order: bias, penalties, top-k, temperature,
    /// min-p, top-p; min-p does not renormalise what top-p then counts. `history` is the prompt and
    /// everything drawn so far; the last `drawn` of it were drawn. `allowed` has a bit for each
    /// token that may be drawn, at least one of them set; empty = all may.
    token::Id draw(std::span<const float> logits, std::span<const token::Id> history,
                   std::size_t drawn, std::span<const std::uint64_t> allowed = {});

private:
    struct Candidate {
        token::Id id;
        float value;  // logit, later probability
    };
    void penalize(std::span<const token::Id> history, std::size_t drawn);
    void gather(std::span<const std::uint64_t> allowed);
    [[nodiscard]] token::Id likeliest() const;
    void keep_top_k();
    void to_probabilities();
    void keep_top_p();
    token::Id pick();

    job::Sampling sampling_;
    std::mt19937_64 random_;
    std::vector<float> logits_;
    std::vector<Candidate> candidates_;
};

/// Whether no logit is NaN or infinite: a model whose file holds broken numbers shows it here.
bool all_finite(std::span<const float> logits);

/// Index of the largest logit, the lowest of equals, and its lead over the second.
std::pair<token::Id, float> argmax_with_margin(std::span<const float> logits);

/// `id` with its log-probability and the `top` likeliest, by log-softmax over all logits.
Sampled with_logprobs(std::span<const float> logits, token::Id id, std::uint32_t top);

/// ln Σ exp(logit), accurately.
double log_sum_exp(std::span<const float> logits);

}  // namespace trilane::engine
