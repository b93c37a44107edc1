// Embed and Rerank jobs on the native lane: vectors of length 1, texts cut or refused, pairs as
// BERT reads them, and a chat model that embeds besides.

#include "lane/native/embedding.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <future>
#include <numeric>

#include "lane/native/native.h"
#include "model/sample_encoder.h"

namespace trilane::lane {
namespace {

using Input = std::variant<std::string, std::vector<std::int32_t>>;

/// A sample model on this lane, and its file.
class Sample {
public:
    explicit Sample(model::SampleEncoder sample)
        : path_(std::filesystem::temp_directory_path() /
                ("trilane-embedding-" + std::to_string(::getpid()) + ".gguf")) {
        EXPECT_TRUE(sample.writer().write(path_).has_value());
        NativeOptions options;
        options.model_path = path_;
        options.model_id = "sample";
        options.engine.threads = 1;
        resident = load_native(options).value();
    }
    ~Sample() { std::filesystem::remove(path_); }
    Sample(const Sample&) = delete;
    Sample& operator=(const Sample&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;

public:
    std::shared_ptr<Resident> resident;
};

struct EncoderAnswer {
    std::vector<std::vector<float>> vectors;
    std::vector<float> scores;
    std::optional<job::Done> done;
    std::string error;
    Fault fault = Fault::internal;
    std::uint32_t started_tokens = 0;
};

EncoderAnswer ask_encoder(Resident& resident, job::Request request,
                          const CancelToken& cancel = {}) {
    EncoderAnswer answer;
    std::promise<void> last;
    resident.submit(
        std::move(request),
        [&](job::Event event) {
            if (auto* started = std::get_if<job::Started>(&event)) {
                answer.started_tokens = started->prompt_tokens;
            } else if (auto* vectors = std::get_if<job::Vectors>(&event)) {
                answer.vectors = std::move(vectors->vectors);
            } else if (auto* scores = std::get_if<job::Scores>(&event)) {
                answer.scores = std::move(scores->scores);
            } else if (auto* failed = std::get_if<job::Failed>(&event)) {
                answer.error = failed->error.message;
                answer.fault = failed->error.fault;
                last.set_value();
            } else {
                answer.done = std::get<job::Done>(event);
                last.set_value();
            }
        },
        cancel);
    last.get_future().wait();
    return answer;
}

job::Request embed(std::vector<Input> inputs, std::optional<std::uint32_t> dimensions = {},
                   bool truncate = true) {
    job::Request request;
    request.ask = job::Embed{std::move(inputs), dimensions, truncate};
    return request;
}

job::Request rerank(std::string query, std::vector<std::string> documents) {
    job::Request request;
    request.ask = job::Rerank{std::move(query), std::move(documents)};
    return request;
}

double length(const std::vector<float>& vector) {
    double squares = 0;
    for (const float value : vector) {
        squares += static_cast<double>(value) * static_cast<double>(value);
    }
    return std::sqrt(squares);
}

std::string words(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += i % 3 == 0 ? "sun " : "moon ";
    }
    return text;
}

TEST(Embedding, TextsBecomeVectorsOfLengthOne) {
    const Sample sample(model::SampleEncoder{});
    const job::ModelCard& card = sample.resident->card();
    EXPECT_TRUE(card.abilities.embed);
    EXPECT_FALSE(card.abilities.rerank);
    EXPECT_FALSE(card.abilities.chat);
    EXPECT_FALSE(card.abilities.complete);
    EXPECT_EQ(card.context_tokens, 48U);
    const EncoderAnswer answer =
        ask_encoder(*sample.resident, embed({"The sun is hot", "a cold moon", std::string()}));
    ASSERT_EQ(answer.error, "");
    ASSERT_EQ(answer.vectors.size(), 3U);
    for (const auto& vector : answer.vectors) {
        EXPECT_EQ(vector.size(), 64U);
        EXPECT_NEAR(length(vector), 1.0, 1e-6);
    }
    // Each with [CLS] and [SEP] around it: 6 + 5 + 2.
    EXPECT_EQ(answer.done->usage.prompt_tokens, 13U);
    EXPECT_EQ(answer.started_tokens, 13U);
    EXPECT_EQ(sample.resident->snapshot().prompt_tokens_total, 13U);
}

TEST(Embedding, TokensAreTakenAsTheyAre) {
    const Sample sample(model::SampleEncoder{});
    const EncoderAnswer answer = ask_encoder(
        *sample.resident, embed({"the sun", std::vector{2, 4, 5, 3}, std::vector{4, 5}}));
    EXPECT_EQ(answer.vectors[0], answer.vectors[1]);
    EXPECT_NE(answer.vectors[0], answer.vectors[2]);
    EXPECT_NE(ask_encoder(*sample.resident, embed({std::vector{4, 99}})).error.find("token id 99"),
              std::string::npos);
    EXPECT_NE(ask_encoder(*sample.resident, embed({"sun", std::vector<std::int32_t>{}}))
                  .error.find("input: text 1 is empty"),
              std::string::npos);
}

TEST(Embedding, FewerDimensionsAreTheFirstOnesAgainOfLengthOne) {
    const Sample sample(model::SampleEncoder{});
    const auto whole = ask_encoder(*sample.resident, embed({"the sun"})).vectors[0];
    const auto cut = ask_encoder(*sample.resident, embed({"the sun"}, 10)).vectors[0];
    ASSERT_EQ(cut.size(), 10U);
    EXPECT_NEAR(length(cut), 1.0, 1e-6);
    const double share = length({whole.begin(), whole.begin() + 10});
    for (std::size_t i = 0; i < cut.size(); ++i) {
        EXPECT_NEAR(cut[i], whole[i] / share, 1e-5);
    }
    EXPECT_EQ(ask_encoder(*sample.resident, embed({"the sun"}, 64)).vectors[0], whole);
    for (const std::uint32_t wrong : {0U, 65U}) {
        const EncoderAnswer refused = ask_encoder(*sample.resident, embed({"the sun"}, wrong));
        EXPECT_EQ(refused.fault, Fault::invalid);
        EXPECT_TRUE(refused.error.starts_with("dimensions: ")) << refused.error;
    }
}

TEST(Embedding, LongTextsAreCutBeforeTheirEndTokenOrRefused) {
    const Sample sample(model::SampleEncoder{});
    const EncoderAnswer cut = ask_encoder(*sample.resident, embed({words(60), words(46)}));
    ASSERT_EQ(cut.error, "");
    EXPECT_EQ(cut.vectors[0], cut.vectors[1]);  // [CLS], 46 words and [SEP] are what is read
    EXPECT_EQ(cut.done->usage.prompt_tokens, 96U);
    const EncoderAnswer refused =
        ask_encoder(*sample.resident, embed({"sun", words(60)}, {}, false));
    EXPECT_EQ(refused.fault, Fault::invalid);
    EXPECT_TRUE(refused.error.starts_with("input: text 1 has 62 tokens")) << refused.error;
    EXPECT_EQ(ask_encoder(*sample.resident, embed({words(46)}, {}, false)).error, "");
}

TEST(Embedding, TooManyTextsAreRefused) {
    const Sample sample(model::SampleEncoder{});
    const std::vector<Input> many(kTextsMax + 1, "sun");
    EXPECT_TRUE(
        ask_encoder(*sample.resident, embed(many)).error.starts_with("input: there are 2049"));
    EXPECT_TRUE(ask_encoder(*sample.resident, embed({})).error.starts_with("input: there are 0"));
}

TEST(Embedding, ACancelledRequestEndsAsCancelled) {
    const Sample sample(model::SampleEncoder{});
    const CancelToken cancel;
    cancel.cancel();
    EXPECT_EQ(ask_encoder(*sample.resident, embed({"the sun"}), cancel).fault, Fault::cancelled);
    EXPECT_EQ(sample.resident->snapshot().cancelled_total, 1U);
}

TEST(Embedding, WhatIsNotReadByItsDeadlineEnds) {
    const Sample sample(model::SampleEncoder{});
    job::Request request = embed({"the sun"});
    request.deadline = std::chrono::steady_clock::now();
    EXPECT_EQ(ask_encoder(*sample.resident, request).fault, Fault::timeout);
    EXPECT_EQ(sample.resident->snapshot().failed_total, 1U);
    request.deadline += std::chrono::hours(1);
    EXPECT_TRUE(ask_encoder(*sample.resident, request).done.has_value());
}

TEST(Embedding, AnEncoderDoesNothingElse) {
    const Sample sample(model::SampleEncoder{});
    job::Request chat;
    chat.ask = job::Completion{.prompt = "the sun"};
    EXPECT_NE(ask_encoder(*sample.resident, chat).error.find("'sample' is not made for completion"),
              std::string::npos);
    const EncoderAnswer refused = ask_encoder(*sample.resident, rerank("sun", {"moon"}));
    EXPECT_NE(refused.error.find("'sample' has no head"), std::string::npos);
    sample.resident->stop(0);
    EXPECT_EQ(ask_encoder(*sample.resident, embed({"the sun"})).fault, Fault::unavailable);
}

TEST(Embedding, AnEncoderTellsItsTokens) {
    const Sample sample(model::SampleEncoder{});
    job::Request request;
    request.ask = job::Tokenize{.text = "The sun", .add_special = true};
    std::vector<std::int32_t> ids;
    std::promise<job::Done> last;
    sample.resident->submit(request,
                            [&](job::Event event) {
                                if (auto* tokens = std::get_if<job::Tokens>(&event)) {
                                    ids = tokens->ids;
                                } else {
                                    last.set_value(std::get<job::Done>(event));
                                }
                            },
                            {});
    EXPECT_EQ(last.get_future().get().usage.prompt_tokens, 4U);
    EXPECT_EQ(ids, (std::vector<std::int32_t>{2, 4, 5, 3}));
}

model::SampleEncoder ranker() {
    model::SampleEncoder sample;
    sample.rank_head = true;
    sample.pooling = 4;
    return sample;
}

TEST(Embedding, PairsAreScoredAsTheModelReadsThem) {
    const Sample sample(ranker());
    EXPECT_TRUE(sample.resident->card().abilities.rerank);
    EXPECT_FALSE(sample.resident->card().abilities.embed);
    const EncoderAnswer answer =
        ask_encoder(*sample.resident, rerank("what is hot", {"the sun", "a cold star", ""}));
    ASSERT_EQ(answer.error, "");
    ASSERT_EQ(answer.scores.size(), 3U);
    EXPECT_EQ(answer.done->usage.prompt_tokens, 8U + 9U + 6U);
    // [CLS] what is hot [SEP] | the sun [SEP]
    engine::Options options;
    options.threads = 1;
    const auto embedder = engine::Embedder::open(sample.path(), options).value();
    std::promise<float> score;
    ASSERT_TRUE(
        embedder
            ->submit({.passages = {{{2, 12, 7, 8, 3, 4, 5, 3}, 5}},
                      .scores = true,
                      .cancel = {},
                      .on_start = {},
                      .on_end = [&](engine::ReadingEnd end) { score.set_value(end.rows[0][0]); }})
            .has_value());
    EXPECT_EQ(answer.scores[0], score.get_future().get());
    EXPECT_NE(ask_encoder(*sample.resident, embed({"sun"})).error.find("makes no vectors"),
              std::string::npos);
}

TEST(Embedding, OfAPairTheDocumentIsCutAndTheQueryIsNot) {
    const Sample sample(ranker());
    // 48 tokens: [CLS], 3 of the query, [SEP], 42 of the document, [SEP].
    const EncoderAnswer cut =
        ask_encoder(*sample.resident, rerank("what is hot", {words(90), words(42)}));
    ASSERT_EQ(cut.error, "");
    EXPECT_EQ(cut.scores[0], cut.scores[1]);
    const EncoderAnswer refused = ask_encoder(*sample.resident, rerank(words(46), {"the sun"}));
    EXPECT_EQ(refused.fault, Fault::invalid);
    EXPECT_TRUE(refused.error.starts_with("query: it has 48 tokens")) << refused.error;
}

TEST(Embedding, AChatModelEmbedsBesides) {
    NativeOptions options;
    options.model_path = TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf";
    options.model_id = "nano";
    options.engine.threads = 1;
    options.engine.slots = 2;
    const auto resident = load_native(options).value();
    EXPECT_TRUE(resident->card().abilities.embed);
    EXPECT_TRUE(resident->card().abilities.complete);
    const EncoderAnswer answer =
        ask_encoder(*resident, embed({"The sun is hot.", "The sun is hot.", "A cold moon."}));
    ASSERT_EQ(answer.error, "");
    EXPECT_EQ(answer.vectors[0], answer.vectors[1]);
    EXPECT_NE(answer.vectors[0], answer.vectors[2]);
    EXPECT_NEAR(length(answer.vectors[2]), 1.0, 1e-6);
    EXPECT_NE(ask_encoder(*resident, rerank("sun", {"moon"})).error.find("'nano' has no head"),
              std::string::npos);
    resident->stop(0);
    EXPECT_EQ(ask_encoder(*resident, embed({"sun"})).fault, Fault::unavailable);
}

TEST(Embedding, TheLaneTakesModelsByWhatTheyAreFor) {
    const auto lane = open_native_lane({}, {}).value();
    const auto serves = [&](std::string architecture, catalog::Purpose purpose) {
        catalog::Entry entry;
        entry.architecture = std::move(architecture);
        entry.purpose = purpose;
        return lane->can_serve(entry);
    };
    EXPECT_TRUE(serves("bert", catalog::Purpose::embed));
    EXPECT_TRUE(serves("bert", catalog::Purpose::rerank));
    EXPECT_TRUE(serves("nomic-bert", catalog::Purpose::embed));
    EXPECT_TRUE(serves("qwen3", catalog::Purpose::embed));
    EXPECT_FALSE(serves("qwen3", catalog::Purpose::rerank));
    EXPECT_FALSE(serves("bert", catalog::Purpose::chat));
    EXPECT_FALSE(serves("jina-bert-v2", catalog::Purpose::embed));
    EXPECT_FALSE(serves("nomic-bert-moe", catalog::Purpose::embed));
    EXPECT_TRUE(serves("llama", catalog::Purpose::chat));
    catalog::Entry chat;
    chat.architecture = "llama";
    chat.purpose = catalog::Purpose::chat;
    job::Abilities can;
    lane->add_abilities(chat, can);
    EXPECT_TRUE(can.embed);
    EXPECT_FALSE(can.rerank);
}

}  // namespace
}  // namespace trilane::lane
