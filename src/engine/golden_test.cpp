// Text in, text out: the bundled models tell the stories that were written down for them, and
// perplexity is what its definitions say.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "engine/loaded.h"
#include "engine/models_test.h"
#include "engine/perplexity.h"
#include "json/json.h"

namespace trilane::engine {
namespace {

std::string read_text(const std::string& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

TEST(Golden, Stories260KTellsTheWholeStory) {
    const auto loaded = Loaded::open(kStories, 1, std::nullopt).value();
    const std::string expected =
        read_text(TRILANE_SOURCE_DIR "/tests/fixtures/stories260K/expected_greedy_200.txt");
    std::vector<token::Id> ids = loaded->tokenizer->encode("Once upon a time", {});
    const auto steps = greedy(kStories, ids, 200, {}).value();
    for (const GreedyStep& step : steps) {
        ids.push_back(step.id);
    }
    std::string text = loaded->tokenizer->decode(ids, false);
    ASSERT_FALSE(expected.empty());
    const std::size_t length = std::min(text.size(), expected.size());
    EXPECT_GT(length, 400u);
    EXPECT_EQ(text.substr(0, length), expected.substr(0, length));
}

TEST(Golden, NanoPromptsEncodeAsWrittenDown) {
    const auto loaded = Loaded::open(kNano, 1, std::nullopt).value();
    const auto golden =
        json::parse(read_text(TRILANE_SOURCE_DIR "/models/trilane-nano/golden.json")).value();
    for (const auto& entry : golden) {
        const auto prompt = entry["prompt"].get<std::string>();
        EXPECT_EQ(loaded->tokenizer->encode(prompt, {.add_special = true, .parse_special = true}),
                  entry["ids"].get<std::vector<token::Id>>());
        EXPECT_EQ(
            loaded->tokenizer->decode(entry["greedy_ids"].get<std::vector<token::Id>>(), true),
            entry["greedy_text"].get<std::string>());
    }
}

std::string long_text() {
    std::string text;
    for (int i = 0; i < 12; ++i) {
        text += "Once upon a time there was a little dog who lived near the river number " +
                std::to_string(i) + ".\n";
    }
    return text;
}

TEST(Perplexity, DependsOnTheDefinitionButNotOnThreadsOrChunks) {
    PplOptions options;
    options.context_tokens = 64;
    options.threads = 1;
    const PplResult one = perplexity(kNano, long_text(), options, {}).value();
    options.threads = 2;
    const PplResult two = perplexity(kNano, long_text(), options, {}).value();
    EXPECT_EQ(one.nll_sum, two.nll_sum);
    EXPECT_GT(one.perplexity, 1.0);
    EXPECT_LT(one.perplexity, 200.0);
    EXPECT_NEAR(one.perplexity, std::exp(one.nll_sum / static_cast<double>(one.tokens_scored)),
                1e-9);
    EXPECT_NEAR(one.bits_per_byte,
                one.nll_sum / std::log(2.0) / static_cast<double>(one.text_bytes_scored), 1e-9);
    EXPECT_EQ(one.text_bytes_scored,
              long_text().size());  // BOS lets every token of the text be scored, once
    options.definition = PplDefinition::llama;
    const PplResult llama = perplexity(kNano, long_text(), options, {}).value();
    EXPECT_EQ(llama.tokens_scored, llama.windows * (64 - 32 - 1));
}

TEST(Perplexity, AStrideScoresEveryTokenOnce) {
    PplOptions options;
    options.context_tokens = 48;
    for (const std::uint32_t stride : {11U, 47U}) {
        options.stride = stride;
        EXPECT_EQ(perplexity(kNano, long_text(), options, {}).value().text_bytes_scored,
                  long_text().size())
            << stride;
    }
    options.stride = 48;
    EXPECT_EQ(perplexity(kNano, long_text(), options, {}).error().fault, Fault::invalid);
}

TEST(Perplexity, RefusesWhatItCannotMeasure) {
    PplOptions options;
    options.definition = PplDefinition::llama;
    EXPECT_EQ(perplexity(kNano, "short", options, {}).error().fault, Fault::invalid);
    options.context_tokens = 100000;
    EXPECT_EQ(perplexity(kNano, long_text(), options, {}).error().fault, Fault::invalid);
    EXPECT_EQ(perplexity("no-such-file.gguf", "x", options, {}).error().fault, Fault::not_found);
}

}  // namespace
}  // namespace trilane::engine
