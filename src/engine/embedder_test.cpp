// Texts → vectors and scores: what requests share changes nothing to the bit, none waits for
// another's end, cancels and limits end one request and nobody else's.

#include "engine/embedder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <future>
#include <latch>
#include <random>

#include "engine/memory.h"
#include "engine/models_test.h"
#include "model/model.h"
#include "model/sample_encoder.h"

namespace trilane::engine {
namespace {

/// A sample model as a file that goes with it.
class SampleFile {
public:
    explicit SampleFile(model::SampleEncoder sample)
        : path_(std::filesystem::temp_directory_path() /
                ("trilane-embedder-" + std::to_string(::getpid()) + ".gguf")) {
        EXPECT_TRUE(sample.writer().write(path_).has_value());
    }
    ~SampleFile() { std::filesystem::remove(path_); }
    SampleFile(const SampleFile&) = delete;
    SampleFile& operator=(const SampleFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

Options options() {
    Options options;
    options.threads = 2;
    return options;
}

std::unique_ptr<Embedder> open(const SampleFile& file) {
    return Embedder::open(file.path(), options()).value();
}

Passage passage(std::size_t length, std::size_t seed, std::size_t vocab) {
    std::mt19937 random(static_cast<unsigned>(seed));
    Passage passage;
    for (std::size_t i = 0; i < length; ++i) {
        passage.ids.push_back(static_cast<token::Id>(random() % vocab));
    }
    return passage;
}

std::vector<Passage> passages(std::size_t count, std::size_t longest, std::size_t vocab) {
    std::vector<Passage> all;
    for (std::size_t i = 0; i < count; ++i) {
        all.push_back(passage(1 + i * 7 % longest, i, vocab));
    }
    return all;
}

std::future<ReadingEnd> submit(Embedder& embedder, std::vector<Passage> texts, bool scores = false,
                               const CancelToken& cancel = {},
                               const std::function<void()>& on_start = {}) {
    auto promise = std::make_shared<std::promise<ReadingEnd>>();
    auto future = promise->get_future();
    const Status accepted = embedder.submit(
        {.passages = std::move(texts),
         .scores = scores,
         .cancel = cancel,
         .on_start = on_start,
         .on_end = [promise](ReadingEnd end) { promise->set_value(std::move(end)); }});
    EXPECT_TRUE(accepted.has_value()) << accepted.error().message;
    return future;
}

TEST(Embedder, GivesEachTextTheVectorItGetsAlone) {
    model::SampleEncoder sample;
    const SampleFile file(sample);
    const auto embedder = open(file);
    EXPECT_TRUE(embedder->embeds());
    EXPECT_FALSE(embedder->ranks());
    EXPECT_EQ(embedder->width(), 64U);
    const auto texts = passages(120, 48, sample.vocab());  // more than one group
    auto together = submit(*embedder, texts).get();
    ASSERT_FALSE(together.error.has_value());
    ASSERT_EQ(together.rows.size(), texts.size());
    std::uint32_t tokens = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(submit(*embedder, {texts[i]}).get().rows[0], together.rows[i]);
        tokens += static_cast<std::uint32_t>(texts[i].ids.size());
    }
    EXPECT_EQ(together.timings.prompt_tokens, tokens);
    EXPECT_EQ(embedder->snapshot().tokens_total, 2 * tokens);
}

TEST(Embedder, IsTriedOutWithoutACount) {
    const SampleFile good{model::SampleEncoder()};
    const auto embedder = open(good);
    const Status sane = embedder->check_sanity();
    EXPECT_TRUE(sane.has_value()) << sane.error().message;
    EXPECT_EQ(embedder->snapshot().tokens_total, 0U);
    EXPECT_GT(embedder->in_memory().own_bytes, 0U);
    EXPECT_GT(embedder->in_memory().file_bytes, 0U);
}

TEST(Embedder, ATrialThatGivesNoNumbersSaysSo) {
    model::SampleEncoder sample;
    sample.tensors["token_embd_norm.weight"] =
        std::vector<float>(sample.dim, std::numeric_limits<float>::quiet_NaN());
    const SampleFile file{sample};
    const Status insane = open(file)->check_sanity();
    ASSERT_FALSE(insane.has_value());
    EXPECT_EQ(insane.error().fault, Fault::corrupt);
}

TEST(Embedder, PoolsAsTheFileSays) {
    std::vector<std::vector<float>> first;
    for (const std::uint32_t pooling : {1U, 2U, 3U}) {
        model::SampleEncoder sample;
        sample.pooling = pooling;
        const SampleFile file(sample);
        const auto embedder = open(file);
        const auto rows =
            submit(*embedder, {passage(9, 1, sample.vocab()), passage(1, 2, sample.vocab())})
                .get()
                .rows;
        for (const auto& other : first) {
            EXPECT_NE(other, rows[0]);
        }
        first.push_back(rows[0]);
        // Of one token all poolings are the same.
        EXPECT_EQ(rows[1].size(), sample.dim);
    }
}

TEST(Embedder, ScoresPairsAndTellsTheSegmentsApart) {
    model::SampleEncoder sample;
    sample.rank_head = true;
    sample.pooling = 4;
    const SampleFile file(sample);
    const auto embedder = open(file);
    EXPECT_TRUE(embedder->ranks());
    EXPECT_FALSE(embedder->embeds());
    Passage pair = passage(12, 3, sample.vocab());
    Passage one_segment = pair;
    pair.second_from = 5;
    const auto rows = submit(*embedder, {pair, one_segment}, true).get().rows;
    ASSERT_EQ(rows[0].size(), 1U);
    EXPECT_NE(rows[0][0], rows[1][0]);
    const Status refused = embedder->submit(
        {.passages = {pair}, .cancel = {}, .on_start = {}, .on_end = [](auto&&) {}});
    EXPECT_NE(refused.error().message.find("scores, not vectors"), std::string::npos);
}

TEST(Embedder, RefusesWhatItCannotRead) {
    model::SampleEncoder sample;
    const SampleFile file(sample);
    const auto embedder = open(file);
    const auto refusal = [&](Passage text, bool scores) {
        const Status status = embedder->submit({.passages = {std::move(text)},
                                                .scores = scores,
                                                .cancel = {},
                                                .on_start = {},
                                                .on_end = [](auto&&) { FAIL(); }});
        return status ? std::string() : status.error().message;
    };
    EXPECT_NE(refusal({}, false).find("text 0 is empty"), std::string::npos);
    EXPECT_NE(refusal(passage(49, 1, 14), false).find("49 tokens"), std::string::npos);
    EXPECT_NE(refusal({{14}, 0}, false).find("vocabulary of 14"), std::string::npos);
    EXPECT_NE(refusal({{-1}, 0}, false).find("vocabulary of 14"), std::string::npos);
    EXPECT_NE(refusal(passage(4, 1, 14), true).find("no head"), std::string::npos);
}

TEST(Embedder, ShortRequestsDoNotWaitForALongOnesEnd) {
    model::SampleEncoder sample;
    const SampleFile file(sample);
    const auto embedder = open(file);
    std::latch begun(1);
    auto cancel = CancelToken();
    auto endless = submit(*embedder, passages(60'000, 48, sample.vocab()), false, cancel,
                          [&] { begun.count_down(); });
    begun.wait();
    EXPECT_FALSE(submit(*embedder, {passage(5, 1, sample.vocab())}).get().error.has_value());
    EXPECT_EQ(endless.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    EXPECT_EQ(embedder->snapshot().busy, 1U);
    cancel.cancel();
    const auto end = endless.get();
    ASSERT_TRUE(end.error.has_value());
    EXPECT_EQ(end.error->fault, Fault::cancelled);
    EXPECT_TRUE(end.rows.empty());
}

TEST(Embedder, StopEndsWhatRunsAndTakesNoMore) {
    model::SampleEncoder sample;
    const SampleFile file(sample);
    const auto embedder = open(file);
    auto long_one = submit(*embedder, passages(60'000, 48, sample.vocab()));
    embedder->stop(0);
    EXPECT_EQ(long_one.get().error->fault, Fault::unavailable);
    EXPECT_EQ(embedder
                  ->submit({.passages = {passage(5, 1, 14)},
                            .cancel = {},
                            .on_start = {},
                            .on_end = [](auto&&) {}})
                  .error()
                  .fault,
              Fault::unavailable);
}

TEST(Embedder, AFullQueueIsRefused) {
    model::SampleEncoder sample;
    const SampleFile file(sample);
    Options few = options();
    few.queue_max = 1;
    const auto embedder = Embedder::open(file.path(), few).value();
    std::latch begun(1);
    std::latch go_on(1);
    auto held = submit(*embedder, {passage(5, 1, 14)}, false, {}, [&] {
        begun.count_down();
        go_on.wait();
    });
    begun.wait();
    auto waiting = submit(*embedder, {passage(5, 2, 14)});
    const Status full = embedder->submit(
        {.passages = {passage(5, 3, 14)}, .cancel = {}, .on_start = {}, .on_end = [](auto&&) {}});
    EXPECT_EQ(full.error().fault, Fault::exhausted);
    go_on.count_down();
    EXPECT_FALSE(held.get().error.has_value());
    EXPECT_FALSE(waiting.get().error.has_value());
}

TEST(Embedder, ADecodersVectorsDependOnTheTextAlone) {
    Options small = options();
    small.slots = 2;
    small.prefill_chunk_tokens = 7;
    const auto chunked = Engine::load(kNano, small).value();
    small.prefill_chunk_tokens = 128;
    const auto whole = Engine::load(kNano, small).value();
    const std::size_t vocab = whole->model().config().vocab;
    const auto texts = passages(50, 60, vocab);
    const auto a = submit(*Embedder::beside(*chunked).value(), texts).get();
    const auto embedder = Embedder::beside(*whole).value();
    const auto b = submit(*embedder, texts).get();
    ASSERT_EQ(a.rows.size(), texts.size());
    EXPECT_EQ(a.rows, b.rows);
    EXPECT_EQ(submit(*embedder, {texts[17]}).get().rows[0], a.rows[17]);
    EXPECT_EQ(a.rows[0].size(), embedder->width());
    EXPECT_FALSE(embedder->ranks());
}

/// Ids of a greedy generation, and a call at its end.
class Recording final : public Listener {
public:
    explicit Recording(std::promise<std::vector<token::Id>> ids) : promise_(std::move(ids)) {}
    void on_start(std::uint32_t /*cached_tokens*/) override {}
    void on_prompt_token(std::uint32_t /*i*/, const Sampled& /*token*/) override {}
    bool on_token(const Sampled& token) override {
        ids_.push_back(token.id);
        return true;
    }
    void on_end(const Ending& /*ending*/) override { promise_.set_value(std::move(ids_)); }

private:
    std::promise<std::vector<token::Id>> promise_;
    std::vector<token::Id> ids_;
};

std::vector<token::Id> generate(Engine& engine, const std::vector<token::Id>& prompt) {
    std::promise<std::vector<token::Id>> promise;
    auto ids = promise.get_future();
    Generation generation;
    generation.prompt = prompt;
    generation.sampling.temperature = 0;
    generation.max_tokens = 24;
    generation.ignore_end = true;
    generation.listener = std::make_unique<Recording>(std::move(promise));
    EXPECT_TRUE(engine.submit(std::move(generation)).has_value());
    return ids.get();
}

TEST(Embedder, GenerationsGoOnBetweenTheTextsOfADecoder) {
    Options small = options();
    small.slots = 2;
    const auto engine = Engine::load(kNano, small).value();
    const auto embedder = Embedder::beside(*engine).value();
    const std::size_t vocab = engine->model().config().vocab;
    const std::vector<token::Id> prompt = passage(20, 5, vocab).ids;
    const auto quiet = generate(*engine, prompt);
    std::latch begun(1);
    const CancelToken cancel;
    auto endless =
        submit(*embedder, passages(20'000, 60, vocab), false, cancel, [&] { begun.count_down(); });
    begun.wait();
    EXPECT_EQ(generate(*engine, prompt), quiet);
    EXPECT_EQ(endless.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    cancel.cancel();
    EXPECT_EQ(endless.get().error->fault, Fault::cancelled);
}

TEST(Embedder, AVocabularyOfXlmRobertaIsRefusedBeforeALoad) {
    model::SampleEncoder sample;
    sample.tokenizer = "t5";
    const SampleFile file(sample);
    const auto need = memory_need(file.path(), options());
    ASSERT_FALSE(need.has_value());
    EXPECT_NE(need.error().message.find("XLM-RoBERTa"), std::string::npos);
    const auto opened = Embedder::open(file.path(), options());
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().message.find("a llama-server lane runs"), std::string::npos);
}

TEST(Embedder, ItsMemoryIsToldBeforeItIsLoaded) {
    model::SampleEncoder sample;
    const SampleFile file(sample);
    const MemoryNeed need = memory_need(file.path(), options()).value();
    EXPECT_EQ(need.context_tokens, 48U);
    EXPECT_EQ(need.kv_bytes, 0U);
    std::size_t weights = 0;
    const auto embedder = open(file);
    for (const gguf::Tensor& tensor : embedder->file().tensors()) {
        weights += tensor.bytes;
    }
    EXPECT_GE(need.weight_bytes, weights);
    EXPECT_LE(need.weight_bytes, 2 * weights);
    Options longer = options();
    longer.context_tokens = 4096;  // asked for all models; this one reads what it was made for
    EXPECT_EQ(memory_need(file.path(), longer)->context_tokens, 48U);
    EXPECT_EQ(Embedder::open(file.path(), longer).value()->context_tokens(), 48U);
}

}  // namespace
}  // namespace trilane::engine
