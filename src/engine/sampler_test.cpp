#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace trilane::engine {
namespace {

const std::vector<float> kLogits = {0.0F, 3.0F, 2.0F, 1.0F, -1.0F};
const std::vector<token::Id> kPrompt = {4};

job::Sampling sampling(float temperature) {
    job::Sampling s;
    s.temperature = temperature;
    s.seed = 7;
    return s;
}

/// How often each token comes in 4,000 draws.
std::map<token::Id, int> draws(const job::Sampling& s) {
    Sampler sampler(s, 1);
    std::map<token::Id, int> counts;
    for (int i = 0; i < 4000; ++i) {
        ++counts[sampler.draw(kLogits, kPrompt, 0)];
    }
    return counts;
}

TEST(Sampler, ZeroTemperatureIsGreedy) {
    EXPECT_EQ(draws(sampling(0)), (std::map<token::Id, int>{{1, 4000}}));
}

TEST(Sampler, FollowsTheSoftmax) {
    const auto counts = draws(sampling(1));
    double sum = 0;
    for (const float logit : kLogits) {
        sum += std::exp(logit);
    }
    for (token::Id id = 0; id < 5; ++id) {
        const double expected = std::exp(kLogits[static_cast<std::size_t>(id)]) / sum;
        const double got = counts.contains(id) ? counts.at(id) / 4000.0 : 0;
        EXPECT_NEAR(got, expected, 0.03) << id;
    }
}

TEST(Sampler, TheSameSeedDrawsTheSame) {
    Sampler a(sampling(1.5F), 1);
    Sampler b(sampling(1.5F), 2);
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(a.draw(kLogits, kPrompt, 0), b.draw(kLogits, kPrompt, 0));
    }
}

TEST(Sampler, TopKTopPAndMinPCutTheTail) {
    auto k = sampling(2);
    k.top_k = 2;
    EXPECT_EQ(draws(k).size(), 2u);
    auto p = sampling(1);
    p.top_p = 0.7F;  // 0.64 + 0.24 of the mass
    EXPECT_EQ(draws(p).size(), 2u);
    auto tiny = sampling(1);
    tiny.top_p = 1e-6F;
    EXPECT_EQ(draws(tiny).size(), 1u);
    auto m = sampling(1);
    m.min_p = 0.2F;  // e^-1 passes, e^-2 does not
    EXPECT_EQ(draws(m).size(), 2u);
}

TEST(Sampler, MinPAndTopPTogetherKeepWhatBothAllow) {
    auto both = sampling(1);
    both.min_p = 0.2F;   // keeps 1 and 2: 0.88 of the mass
    both.top_p = 0.95F;  // is never reached by them
    EXPECT_EQ(draws(both).size(), 2u);
}

TEST(Sampler, KnowsNumbersFromTheRest) {
    EXPECT_TRUE(all_finite(kLogits));
    for (const float broken : {std::nanf(""), INFINITY, -INFINITY}) {
        std::vector<float> logits = kLogits;
        logits[3] = broken;
        EXPECT_FALSE(all_finite(logits));
    }
}

TEST(Sampler, BiasForbidsAndForces) {
    auto forbid = sampling(0);
    forbid.logit_bias = {{1, -100.0F}};
    EXPECT_EQ(draws(forbid).begin()->first, 2);
    auto force = sampling(1);
    force.logit_bias = {{4, 100.0F}, {99, 5.0F}, {-3, 5.0F}};
    EXPECT_EQ(draws(force), (std::map<token::Id, int>{{4, 4000}}));
}

TEST(Sampler, PenaltiesLookAtTheRightTokens) {
    const std::vector<token::Id> history = {1, 2};  // 1 is prompt, 2 was drawn
    auto presence = sampling(0);
    presence.presence_penalty = 2.0F;  // hits 2 only
    EXPECT_EQ(Sampler(presence, 1).draw(kLogits, history, 1), 1);
    presence.presence_penalty = 2.0F;
    EXPECT_EQ(Sampler(presence, 1).draw(kLogits, history, 2),
              1);  // 1, 0, 1: the lower id of equals
    auto repeat = sampling(0);
    repeat.repeat_penalty = 4.0F;  // hits both
    EXPECT_EQ(Sampler(repeat, 1).draw(kLogits, history, 1), 3);
    auto frequency = sampling(0);
    frequency.frequency_penalty = 0.6F;
    const std::vector<token::Id> often = {1, 1};
    EXPECT_EQ(Sampler(frequency, 1).draw(kLogits, often, 2), 2);  // 3 − 1.2 < 2
}

TEST(Sampler, DrawsOnlyWhatIsAllowed) {
    const std::vector<std::uint64_t> allowed = {0b11001};  // 0, 3, 4
    EXPECT_EQ(Sampler(sampling(0), 1).draw(kLogits, kPrompt, 0, allowed), 3);
    for (const auto& [top_k, top_p] : std::vector<std::pair<int, float>>{{0, 1.0F}, {2, 0.9F}}) {
        auto s = sampling(2);
        s.top_k = top_k;
        s.top_p = top_p;
        s.logit_bias = {{1, 100.0F}};
        Sampler sampler(s, 1);
        std::map<token::Id, int> counts;
        for (int i = 0; i < 2000; ++i) {
            ++counts[sampler.draw(kLogits, kPrompt, 0, allowed)];
        }
        EXPECT_FALSE(counts.contains(1));
        EXPECT_FALSE(counts.contains(2));
        EXPECT_GT(counts[3], counts[0]);
        EXPECT_EQ(counts.contains(4), top_k == 0);
    }
}

TEST(Sampler, LogprobsAreOfTheWholeVocabulary) {
    const Sampled sampled = with_logprobs(kLogits, 3, 2);
    const double normalizer = log_sum_exp(kLogits);
    EXPECT_NEAR(*sampled.logprob, 1.0 - normalizer, 1e-6);
    ASSERT_EQ(sampled.top.size(), 2u);
    EXPECT_EQ(sampled.top[0].first, 1);
    EXPECT_EQ(sampled.top[1].first, 2);
    double sum = 0;
    for (token::Id id = 0; id < 5; ++id) {
        sum += std::exp(static_cast<double>(*with_logprobs(kLogits, id, 0).logprob));
    }
    EXPECT_NEAR(sum, 1.0, 1e-6);
}

TEST(Sampler, MarginIsTheLeadOverTheSecond) {
    const auto [id, margin] = argmax_with_margin(kLogits);
    EXPECT_EQ(id, 1);
    EXPECT_FLOAT_EQ(margin, 1.0F);
}

}  // namespace
}  // namespace trilane::engine
