// The engine under several requests at once, on the bundled model: batched equals single, prefixes
// are reused, cancels and limits end one request and nobody else's.

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>

#include "engine/engine.h"
#include "engine/models_test.h"

namespace trilane::engine {
namespace {

/// What a listener heard.
struct Heard {
    std::vector<token::Id> ids;
    std::vector<Sampled> prompt;
    std::vector<Sampled> tokens;
    Ending ending;
    std::uint32_t cached_tokens = 0;
};

/// Collects one generation; `after` is called with each token.
class Collector final : public Listener {
public:
    explicit Collector(std::function<bool(std::size_t)> after) : after_(std::move(after)) {}
    std::future<Heard> future() { return promise_.get_future(); }

    void on_start(std::uint32_t cached_tokens) override { heard_.cached_tokens = cached_tokens; }
    void on_prompt_token(std::uint32_t i, const Sampled& token) override {
        EXPECT_EQ(i, heard_.prompt.size() + 1);
        heard_.prompt.push_back(token);
    }
    bool on_token(const Sampled& token) override {
        heard_.ids.push_back(token.id);
        heard_.tokens.push_back(token);
        return !after_ || after_(heard_.ids.size());
    }
    void on_end(const Ending& ending) override {
        heard_.ending = ending;
        promise_.set_value(std::move(heard_));
    }

private:
    std::function<bool(std::size_t)> after_;
    Heard heard_;
    std::promise<Heard> promise_;
};

Generation greedy_generation(std::vector<token::Id> prompt, std::uint32_t max_tokens) {
    Generation generation;
    generation.prompt = std::move(prompt);
    generation.sampling.temperature = 0;
    generation.max_tokens = max_tokens;
    generation.ignore_end = true;
    return generation;
}

std::future<Heard> submit(Engine& engine, Generation generation,
                          std::function<bool(std::size_t)> after = {}) {
    auto collector = std::make_unique<Collector>(std::move(after));
    auto future = collector->future();
    generation.listener = std::move(collector);
    const auto accepted = engine.submit(std::move(generation));
    EXPECT_TRUE(accepted) << (accepted ? "" : accepted.error().message);
    return future;
}

std::unique_ptr<Engine> open(std::uint32_t slots, std::uint32_t queue = 64,
                             std::uint32_t chunk = 32) {
    Options options;
    options.slots = slots;
    options.queue_max = queue;
    options.prefill_chunk_tokens = chunk;
    options.threads = 2;
    return Engine::load(kNano, options).value();
}

std::vector<token::Id> prompt_of(std::uint32_t seed, std::size_t tokens) {
    std::vector<token::Id> ids = {1};
    for (std::uint32_t i = 1; i < tokens; ++i) {
        ids.push_back(static_cast<token::Id>(6 + (seed * 104729U + i * 7919U) % 8000U));
    }
    return ids;
}

TEST(Batcher, BatchedEqualsSingle) {
    const auto engine = open(8);
    std::vector<std::vector<token::Id>> alone;
    for (std::uint32_t i = 0; i < 8; ++i) {
        alone.push_back(submit(*engine, greedy_generation(prompt_of(i, 5 + i * 9), 24)).get().ids);
    }
    const auto fresh = open(8);
    std::vector<std::future<Heard>> together;
    for (std::uint32_t i = 0; i < 8; ++i) {
        together.push_back(submit(*fresh, greedy_generation(prompt_of(i, 5 + i * 9), 24)));
    }
    for (std::uint32_t i = 0; i < 8; ++i) {
        EXPECT_EQ(together[i].get().ids, alone[i]) << "request " << i;
    }
    // And they did share steps: one after the other they need about 8 × 24.
    EXPECT_LT(fresh->snapshot().steps_total, engine->snapshot().steps_total / 2);
}

TEST(Batcher, ASecondTurnReusesTheFirst) {
    const auto engine = open(2);
    auto prompt = prompt_of(3, 60);
    const Heard first = submit(*engine, greedy_generation(prompt, 8)).get();
    EXPECT_EQ(first.cached_tokens, 0u);
    prompt.insert(prompt.end(), first.ids.begin(), first.ids.end());
    prompt.push_back(300);
    const Heard second = submit(*engine, greedy_generation(prompt, 8)).get();
    EXPECT_EQ(second.cached_tokens, 67u);  // all but the last token drawn, which was never run
    EXPECT_EQ(second.ids, submit(*open(1), greedy_generation(prompt, 8)).get().ids);
    // The same prompt again: everything but its last token is there.
    EXPECT_EQ(submit(*engine, greedy_generation(prompt, 1)).get().cached_tokens, 68u);
}

TEST(Batcher, ASharedBeginningIsCopiedAndTheOtherConversationKept) {
    const auto engine = open(2);
    const auto common = prompt_of(9, 40);
    auto a = common;
    a.insert(a.end(), {50, 51, 52, 53});
    auto long_a = a;
    for (token::Id id = 100; id < 200; ++id) {
        long_a.push_back(id);
    }
    submit(*engine, greedy_generation(long_a, 2)).get();
    auto b = common;
    b.insert(b.end(), {60, 61, 62});
    const Heard other = submit(*engine, greedy_generation(b, 6)).get();
    EXPECT_EQ(other.cached_tokens, 40u);
    EXPECT_EQ(other.ids, submit(*open(1), greedy_generation(b, 6)).get().ids);
    EXPECT_EQ(submit(*engine, greedy_generation(long_a, 1)).get().cached_tokens, long_a.size() - 1);
}

TEST(Batcher, ChoicesOfOnePromptReadItOnce) {
    const auto engine = open(4);
    std::vector<Generation> choices;
    std::vector<std::future<Heard>> heard;
    for (int i = 0; i < 4; ++i) {
        choices.push_back(greedy_generation(prompt_of(5, 200), 4));
        auto collector = std::make_unique<Collector>(nullptr);
        heard.push_back(collector->future());
        choices.back().listener = std::move(collector);
    }
    ASSERT_TRUE(engine->submit(std::move(choices)));
    std::vector<Heard> all;
    for (auto& future : heard) {
        all.push_back(future.get());
    }
    EXPECT_EQ(all[1].ids, all[0].ids);
    EXPECT_EQ(all[0].cached_tokens, 0u);
    for (int i = 1; i < 4; ++i) {
        EXPECT_EQ(all[static_cast<std::size_t>(i)].cached_tokens, 199u);
    }
}

TEST(Batcher, CancelEndsWithinAStepAndFreesTheSlot) {
    const auto engine = open(1);
    Generation generation = greedy_generation(prompt_of(1, 10), 900);
    const CancelToken cancel = generation.cancel;
    auto running = submit(*engine, std::move(generation), [cancel](std::size_t n) {
        if (n == 5) {
            cancel.cancel();
        }
        return true;
    });
    const Heard heard = running.get();
    ASSERT_TRUE(heard.ending.error.has_value());
    EXPECT_EQ(heard.ending.error->fault, Fault::cancelled);
    EXPECT_EQ(heard.ids.size(), 5u);
    EXPECT_EQ(submit(*engine, greedy_generation(prompt_of(2, 4), 3)).get().ids.size(), 3u);
}

TEST(Batcher, ACancelledWaiterNeverStarts) {
    const auto engine = open(1);
    const CancelToken first_cancel;
    Generation first = greedy_generation(prompt_of(1, 10), 900);
    first.cancel = first_cancel;
    Generation second = greedy_generation(prompt_of(2, 10), 5);
    const CancelToken cancel = second.cancel;
    cancel.cancel();
    auto running = submit(*engine, std::move(first));
    const Heard waiter = submit(*engine, std::move(second)).get();
    EXPECT_EQ(waiter.ending.error->fault, Fault::cancelled);
    EXPECT_TRUE(waiter.ids.empty());
    first_cancel.cancel();
    running.get();
}

TEST(Batcher, AWaiterThatMissesItsTimeNeverStarts) {
    const auto engine = open(1);
    Generation first = greedy_generation(prompt_of(1, 10), 900);
    const CancelToken cancel = first.cancel;
    auto running = submit(*engine, std::move(first));
    Generation second = greedy_generation(prompt_of(2, 10), 5);
    second.begin_by = BeginBy(BeginBy::Clock::now());
    const Heard waiter = submit(*engine, std::move(second)).get();
    EXPECT_EQ(waiter.ending.error->fault, Fault::timeout);
    EXPECT_TRUE(waiter.ids.empty());
    cancel.cancel();
    EXPECT_EQ(running.get().ending.error->fault, Fault::cancelled);
}

/// Its time is over before its prompt has been read to the end.
class LateReader final : public Listener {
public:
    LateReader(std::unique_ptr<Listener> then, BeginBy::Clock::time_point late)
        : then_(std::move(then)), late_(late) {}
    void on_start(std::uint32_t cached_tokens) override {
        while (BeginBy::Clock::now() <= late_) {
        }
        then_->on_start(cached_tokens);
    }
    void on_prompt_token(std::uint32_t i, const Sampled& token) override {
        then_->on_prompt_token(i, token);
    }
    bool on_token(const Sampled& token) override { return then_->on_token(token); }
    void on_end(const Ending& ending) override { then_->on_end(ending); }

private:
    std::unique_ptr<Listener> then_;
    BeginBy::Clock::time_point late_;
};

TEST(Batcher, APromptIsReadNoFurtherOnceTheTimeIsMissed) {
    const auto engine = open(1, 64, 8);
    Generation generation = greedy_generation(prompt_of(1, 100), 5);
    const auto late = BeginBy::Clock::now() + std::chrono::milliseconds(200);
    generation.begin_by = BeginBy(late);
    auto collector = std::make_unique<Collector>(std::function<bool(std::size_t)>());
    auto future = collector->future();
    generation.listener = std::make_unique<LateReader>(std::move(collector), late);
    ASSERT_TRUE(engine->submit(std::move(generation)));
    const Heard heard = future.get();
    ASSERT_TRUE(heard.ending.error.has_value());
    EXPECT_EQ(heard.ending.error->fault, Fault::timeout);
    EXPECT_TRUE(heard.ids.empty());
    EXPECT_LT(engine->snapshot().steps_total, 3U);
    EXPECT_EQ(submit(*engine, greedy_generation(prompt_of(2, 4), 3)).get().ids.size(), 3u);
}

TEST(Batcher, WhatHasBegunInTimeGoesOn) {
    const auto engine = open(1);
    const BeginBy begin_by(BeginBy::Clock::now() + std::chrono::hours(1));
    const auto never = BeginBy::Clock::time_point::max();
    Generation generation = greedy_generation(prompt_of(1, 10), 5);
    generation.begin_by = begin_by;
    EXPECT_TRUE(begin_by.missed(never));
    EXPECT_EQ(submit(*engine, std::move(generation)).get().ids.size(), 5U);
    EXPECT_FALSE(begin_by.missed(never)) << "the first token has come";
    // Another choice of an answer that has begun may come whenever it does.
    const BeginBy over(BeginBy::Clock::now());
    over.begin();
    Generation other = greedy_generation(prompt_of(2, 10), 5);
    other.begin_by = over;
    EXPECT_EQ(submit(*engine, std::move(other)).get().ids.size(), 5U);
}

TEST(Batcher, ACancelledWaiterLeavesTheQueue) {
    const auto engine = open(1);
    Generation first = greedy_generation(prompt_of(1, 10), 900);
    Generation second = greedy_generation(prompt_of(2, 10), 5);
    const CancelToken first_cancel = first.cancel;
    const CancelToken second_cancel = second.cancel;
    auto running = submit(*engine, std::move(first));
    auto waiting = submit(*engine, std::move(second));
    second_cancel.cancel();  // it holds no slot: the running one goes on for long
    EXPECT_EQ(waiting.get().ending.error->fault, Fault::cancelled);
    first_cancel.cancel();
    running.get();
    const Snapshot snapshot = engine->snapshot();
    EXPECT_EQ(snapshot.slots_busy, 0u);
    EXPECT_EQ(snapshot.queued, 0u);
}

TEST(Batcher, AContextBeyondTheModelsIsRefused) {
    Options options;
    options.context_tokens = 2000;
    const auto engine = Engine::load(kNano, options);
    ASSERT_FALSE(engine);
    EXPECT_EQ(engine.error().fault, Fault::invalid);
    EXPECT_NE(engine.error().message.find("1024"), std::string::npos);
}

TEST(Batcher, LimitsAreClearErrors) {
    const auto engine = open(1, 2);
    const auto refused = [&](Generation generation) {
        generation.listener = std::make_unique<Collector>(nullptr);
        const auto status = engine->submit(std::move(generation));
        EXPECT_FALSE(status);
        return status ? Fault::internal : status.error().fault;
    };
    EXPECT_EQ(refused(greedy_generation({}, 4)), Fault::invalid);
    EXPECT_EQ(refused(greedy_generation({1, 9000}, 4)), Fault::invalid);
    EXPECT_EQ(refused(greedy_generation({1, -1}, 4)), Fault::invalid);
    EXPECT_EQ(refused(greedy_generation(std::vector<token::Id>(1024, 5), 1)), Fault::invalid);
    std::vector<Generation> many;
    for (int i = 0; i < 3; ++i) {
        many.push_back(greedy_generation({1, 5}, 1));
        many.back().listener = std::make_unique<Collector>(nullptr);
    }
    const auto full = engine->submit(std::move(many));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().fault, Fault::exhausted);
}

TEST(Batcher, TheContextEndsAnAnswerByLength) {
    const auto engine = open(1, 64, 512);
    const Heard heard = submit(*engine, greedy_generation(prompt_of(4, 1020), 100)).get();
    EXPECT_FALSE(heard.ending.error.has_value());
    EXPECT_EQ(heard.ending.reason, job::FinishReason::length);
    EXPECT_EQ(heard.ids.size(), 4u);
}

TEST(Batcher, AListenerMayStop) {
    const auto engine = open(1);
    const Heard heard = submit(*engine, greedy_generation(prompt_of(1, 6), 50), [](std::size_t n) {
                            return n < 3;
                        }).get();
    EXPECT_EQ(heard.ids.size(), 3u);
    EXPECT_EQ(heard.ending.reason, job::FinishReason::stop);
}

TEST(Batcher, PromptLogprobsCoverThePrompt) {
    const auto engine = open(2, 64, 16);
    Generation generation = greedy_generation(prompt_of(6, 50), 2);
    generation.prompt_logprobs = true;
    generation.top_logprobs = 1;
    const auto ids = generation.prompt;
    const Heard heard = submit(*engine, std::move(generation)).get();
    ASSERT_EQ(heard.prompt.size(), 49u);
    for (std::size_t i = 0; i < heard.prompt.size(); ++i) {
        EXPECT_EQ(heard.prompt[i].id, ids[i + 1]);
        EXPECT_LE(*heard.prompt[i].logprob, 0.0F);
        EXPECT_LE(*heard.prompt[i].logprob, heard.prompt[i].top[0].second);
    }
    EXPECT_EQ(heard.tokens[0].top[0].first, heard.tokens[0].id);  // greedy draws the likeliest
}

TEST(Batcher, StopFailsWhatIsLeftAndRefusesMore) {
    const auto engine = open(1);
    std::promise<void> begun;
    auto running = submit(*engine, greedy_generation(prompt_of(1, 10), 1000), [&](std::size_t n) {
        if (n == 1) {
            begun.set_value();
        }
        return true;
    });
    auto waiting = submit(*engine, greedy_generation(prompt_of(2, 10), 10));
    begun.get_future().get();
    engine->stop(0);
    EXPECT_EQ(running.get().ending.error->fault, Fault::unavailable);
    EXPECT_EQ(waiting.get().ending.error->fault, Fault::unavailable);
    Generation late = greedy_generation({1, 5}, 1);
    late.listener = std::make_unique<Collector>(nullptr);
    EXPECT_EQ(engine->submit(std::move(late)).error().fault, Fault::unavailable);
}

TEST(Batcher, StopWithPatienceLetsTheRunningFinish) {
    const auto engine = open(1);
    auto running = submit(*engine, greedy_generation(prompt_of(1, 10), 20));
    auto waiting = submit(*engine, greedy_generation(prompt_of(2, 10), 20));
    engine->stop(60000);
    EXPECT_EQ(running.get().ids.size(), 20u);
    EXPECT_EQ(waiting.get().ids.size(), 20u);
}

/// What the engine says when its answer must be what `grammar` takes.
Heard constrained(Engine& engine, const Result<grammar::Compiled>& grammar, float temperature,
                  std::uint32_t max_tokens, std::uint64_t seed = 1) {
    Generation generation = greedy_generation(prompt_of(7, 12), max_tokens);
    generation.sampling.temperature = temperature;
    generation.sampling.seed = seed;
    generation.top_logprobs = 2;
    generation.constraint =
        std::make_unique<grammar::Matcher>(grammar.value(), engine.token_trie());
    return submit(engine, std::move(generation)).get();
}

TEST(Batcher, AConstraintBindsEveryToken) {
    const auto engine = open(2);
    const auto number = grammar::from_regex("[0-9]{3}-[0-9]{4}");
    for (const float temperature : {0.0F, 1.0F, 2.0F}) {
        const Heard heard = constrained(*engine, number, temperature, 40, 9);
        const std::string text = engine->tokenizer()->decode(heard.ids, false);
        ASSERT_EQ(text.size(), 8u) << text;
        EXPECT_EQ(text[3], '-');
        EXPECT_EQ(text.find_first_not_of("0123456789-"), std::string::npos) << text;
        // It ends where nothing may follow, without a step for the end.
        EXPECT_FALSE(heard.ending.error);
        EXPECT_EQ(heard.ending.reason, job::FinishReason::stop);
        EXPECT_EQ(heard.ids.size(), heard.ending.timings.predicted_tokens);
    }
}

TEST(Batcher, AConstrainedAnswerMayBeCut) {
    const auto engine = open(1);
    const Heard heard = constrained(*engine, grammar::from_regex("[a-z ]{500}"), 1.0F, 10);
    EXPECT_EQ(heard.ids.size(), 10u);
    EXPECT_EQ(heard.ending.reason, job::FinishReason::length);
    EXPECT_FALSE(heard.ending.error);
}

TEST(Batcher, AConstrainedAnswerEndsInTime) {
    const auto engine = open(1);
    const auto text = grammar::from_regex("<([a-z ]{3,500}-){3}[0-9]+>");
    for (std::uint32_t tokens = 16; tokens < 60; tokens += 3) {
        Generation generation = greedy_generation(prompt_of(7, 12), tokens);
        generation.sampling.temperature = 1.0F;
        generation.sampling.seed = tokens;
        generation.ends_in_time = true;
        generation.constraint =
            std::make_unique<grammar::Matcher>(text.value(), engine->token_trie());
        const Heard heard = submit(*engine, std::move(generation)).get();
        const std::string said = engine->tokenizer()->decode(heard.ids, false);
        EXPECT_LE(heard.ids.size(), tokens);
        EXPECT_EQ(said.back(), '>') << said;
        EXPECT_EQ(std::ranges::count(said, '-'), 3) << said;
        EXPECT_EQ(heard.ending.reason, job::FinishReason::length);
        EXPECT_FALSE(heard.ending.error);
    }
}

TEST(Batcher, AnAnswerWithTokensToSpareIsNotHastened) {
    const auto engine = open(1);
    Generation generation = greedy_generation(prompt_of(7, 12), 40);
    generation.ends_in_time = true;
    generation.constraint = std::make_unique<grammar::Matcher>(
        grammar::from_regex("[0-9]{3}-[0-9]{4}").value(), engine->token_trie());
    const Heard heard = submit(*engine, std::move(generation)).get();
    EXPECT_EQ(heard.ids,
              constrained(*engine, grammar::from_regex("[0-9]{3}-[0-9]{4}"), 0.0F, 40).ids);
    EXPECT_EQ(heard.ending.reason, job::FinishReason::stop);
}

TEST(Batcher, ConstrainedLogprobsAreTheModelsOwn) {
    const auto engine = open(1);
    const std::vector<std::string> choices = {"zebra", "xylophone"};
    const Heard heard = constrained(*engine, grammar::from_choices(choices), 0.0F, 20);
    const std::string text = engine->tokenizer()->decode(heard.ids, false);
    EXPECT_TRUE(text == choices[0] || text == choices[1]) << text;
    // The model would rather have said something else, and its figures say so.
    const Sampled& first = heard.tokens.front();
    EXPECT_NE(first.top.front().first, first.id);
    EXPECT_LT(*first.logprob, first.top.front().second);
}

TEST(Batcher, AFormatWithoutTokensIsAnError) {
    const auto engine = open(1);
    grammar::Builder builder;
    const auto impossible = builder.build(
        builder.sequence({builder.literal("a"), builder.token(1 << 20)}));  // no such token
    const Heard heard = constrained(*engine, impossible, 1.0F, 20);
    ASSERT_TRUE(heard.ending.error);
    EXPECT_NE(heard.ending.error->message.find("simpler format"), std::string::npos);
    // The engine goes on.
    EXPECT_FALSE(submit(*engine, greedy_generation(prompt_of(1, 4), 2)).get().ending.error);
}

}  // namespace
}  // namespace trilane::engine
