#include "engine/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <unordered_map>

namespace trilane::engine {
namespace {

/// Uniform in [0, 1) with 53 bits, the same on every standard library.
double uniform(std::mt19937_64& random) {
    return static_cast<double>(random() >> 11U) * 0x1.0p-53;
}

}  // namespace

Sampler::Sampler(job::Sampling sampling, std::uint64_t seed)
    : sampling_(std::move(sampling)), random_(sampling_.seed.value_or(seed)) {}

token::Id Sampler::draw(std::span<const float> logits, std::span<const token::Id> history,
                        std::size_t drawn, std::span<const std::uint64_t> allowed) {
    logits_.assign(logits.begin(), logits.end());
    for (const auto& [id, bias] : sampling_.logit_bias) {
        if (id >= 0 && static_cast<std::size_t>(id) < logits_.size()) {
            logits_[static_cast<std::size_t>(id)] += bias;
        }
    }
    penalize(history, drawn);
    if (sampling_.temperature <= 0.0F && allowed.empty()) {
        return argmax_with_margin(logits_).first;
    }
    gather(allowed);
    if (sampling_.temperature <= 0.0F) {
        return likeliest();
    }
    keep_top_k();
    to_probabilities();
    keep_top_p();
    return pick();
}

void Sampler::penalize(std::span<const token::Id> history, std::size_t drawn) {
    if (sampling_.repeat_penalty != 1.0F) {
        std::vector<token::Id> recent(
            history.end() - static_cast<std::ptrdiff_t>(std::min(history.size(), kRepeatWindow)),
            history.end());
        std::sort(recent.begin(), recent.end());
        recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
        for (const token::Id id : recent) {
            float& logit = logits_[static_cast<std::size_t>(id)];
            logit = logit > 0 ? logit / sampling_.repeat_penalty : logit * sampling_.repeat_penalty;
        }
    }
    if (sampling_.presence_penalty != 0.0F || sampling_.frequency_penalty != 0.0F) {
        std::unordered_map<token::Id, float> counts;
        for (const token::Id id : history.last(drawn)) {
            counts[id] += 1.0F;
        }
        for (const auto& [id, count] : counts) {
            logits_[static_cast<std::size_t>(id)] -=
                sampling_.presence_penalty + count * sampling_.frequency_penalty;
        }
    }
}

void Sampler::gather(std::span<const std::uint64_t> allowed) {
    if (allowed.empty()) {
        candidates_.resize(logits_.size());
        for (std::size_t i = 0; i < logits_.size(); ++i) {
            candidates_[i] = {static_cast<token::Id>(i), logits_[i]};
        }
        return;
    }
    candidates_.clear();
    for (std::size_t word = 0; word < allowed.size(); ++word) {
        for (std::uint64_t bits = allowed[word]; bits != 0; bits &= bits - 1) {
            const std::size_t i = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
            candidates_.push_back({static_cast<token::Id>(i), logits_[i]});
        }
    }
}

token::Id Sampler::likeliest() const {
    return std::max_element(candidates_.begin(), candidates_.end(),
                            [](const Candidate& a, const Candidate& b) {
                                return a.value != b.value ? a.value < b.value : a.id > b.id;
                            })
        ->id;
}

void Sampler::keep_top_k() {
    const auto k = static_cast<std::size_t>(std::max(sampling_.top_k, 0));
    if (k == 0 || k >= candidates_.size()) {
        return;
    }
    const auto likelier = [](const Candidate& a, const Candidate& b) {
        return a.value != b.value ? a.value > b.value : a.id < b.id;
    };
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k - 1),
                     candidates_.end(), likelier);
    candidates_.resize(k);
}

void Sampler::to_probabilities() {
    float largest = -std::numeric_limits<float>::infinity();
    for (const Candidate& c : candidates_) {
        largest = std::max(largest, c.value);
    }
    double sum = 0;
    for (Candidate& c : candidates_) {
        c.value = std::exp((c.value - largest) / sampling_.temperature);
        sum += static_cast<double>(c.value);
    }
    // min-p compares with the likeliest, whose weight is exactly 1 here.
    const float least = sampling_.min_p;
    for (Candidate& c : candidates_) {
        c.value = c.value < least ? 0.0F : static_cast<float>(static_cast<double>(c.value) / sum);
    }
}

void Sampler::keep_top_p() {
    if (sampling_.top_p >= 1.0F) {
        return;
    }
    const auto likelier = [](const Candidate& a, const Candidate& b) {
        return a.value != b.value ? a.value > b.value : a.id < b.id;
    };
    // The nucleus is small in practice: sort a growing head rather than the whole vocabulary.
    std::size_t sorted = std::min<std::size_t>(64, candidates_.size());
    double mass = 0;
    std::size_t kept = 0;
    while (true) {
        std::partial_sort(candidates_.begin() + static_cast<std::ptrdiff_t>(kept),
                          candidates_.begin() + static_cast<std::ptrdiff_t>(sorted),
                          candidates_.end(), likelier);
        // What min-p removed weighs nothing and stands last: beyond it there is nothing to keep.
        bool exhausted = false;
        while (kept < sorted && mass < static_cast<double>(sampling_.top_p) && !exhausted) {
            exhausted = candidates_[kept].value <= 0;
            mass += static_cast<double>(candidates_[kept].value);
            kept += exhausted ? 0 : 1;
        }
        if (exhausted || mass >= static_cast<double>(sampling_.top_p) ||
            sorted == candidates_.size()) {
            break;
        }
        sorted = std::min(sorted * 4, candidates_.size());
    }
    candidates_.resize(std::max<std::size_t>(kept, 1));
}

token::Id Sampler::pick() {
    double sum = 0;
    for (const Candidate& c : candidates_) {
        sum += static_cast<double>(c.value);
    }
    double left = uniform(random_) * sum;
    token::Id last = candidates_.front().id;
    for (const Candidate& c : candidates_) {
        if (c.value <= 0) {
            continue;
        }
        last = c.id;
        left -= static_cast<double>(c.value);
        if (left < 0) {
            break;
        }
    }
    return last;
}

bool all_finite(std::span<const float> logits) {
    constexpr std::uint32_t kExponent = 0x7F800000U;
    bool finite = true;
    for (const float logit : logits) {
        finite &= (std::bit_cast<std::uint32_t>(logit) & kExponent) != kExponent;
    }
    return finite;
}

std::pair<token::Id, float> argmax_with_margin(std::span<const float> logits) {
    std::size_t best = 0;
    float second = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 1; i < logits.size(); ++i) {
        if (logits[i] > logits[best]) {
            second = logits[best];
            best = i;
        } else {
            second = std::max(second, logits[i]);
        }
    }
    return {static_cast<token::Id>(best), logits[best] - second};
}

double log_sum_exp(std::span<const float> logits) {
    const float largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) {
        sum += static_cast<double>(std::exp(logit - largest));
    }
    return static_cast<double>(largest) + std::log(sum);
}

Sampled with_logprobs(std::span<const float> logits, token::Id id, std::uint32_t top) {
    const double normalizer = log_sum_exp(logits);
    const auto logprob = [&](token::Id t) {
        return static_cast<float>(static_cast<double>(logits[static_cast<std::size_t>(t)]) -
                                  normalizer);
    };
    Sampled sampled;
    sampled.id = id;
    sampled.logprob = logprob(id);
    if (top > 0) {
        std::vector<token::Id> ids(logits.size());
        for (std::size_t i = 0; i < ids.size(); ++i) {
            ids[i] = static_cast<token::Id>(i);
        }
        const std::size_t count = std::min<std::size_t>(top, ids.size());
        std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(),
                          [&](token::Id a, token::Id b) {
                              const float x = logits[static_cast<std::size_t>(a)];
                              const float y = logits[static_cast<std::size_t>(b)];
                              return x != y ? x > y : a < b;
                          });
        for (std::size_t i = 0; i < count; ++i) {
            sampled.top.emplace_back(ids[i], logprob(ids[i]));
        }
    }
    return sampled;
}

}  // namespace trilane::engine
