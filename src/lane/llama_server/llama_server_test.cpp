// The llama-server lane over real processes: versions that know less, devices, models that pool,
// and what loading takes.
#include "lane/llama_server/llama_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lane/child/test_rig.h"

namespace trilane::lane {
namespace {

using namespace rig;

using ::testing::AllOf;
using ::testing::HasSubstr;

using LlamaServerTest = ChildRig;

TEST_F(LlamaServerTest, AnOldBuildLoadsToo) {
    const auto lane = gpu(
        R"({"without_flags": ["--cache-ram", "--fit", "--load-mode", "--no-kv-unified",
            "--ctx-checkpoints", "--no-ui", "--offline", "--slots", "--jinja"]})");
    const auto loaded = lane->load(gguf("nano"));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_TRUE(has_line(*lane, "--no-mmap"));
    EXPECT_FALSE(has_line(*lane, "--cache-ram"));
}

TEST_F(LlamaServerTest, TheDeviceMustBeThere) {
    const std::string folder =
        install("llama-server",
                R"json({"devices": ["Vulkan0: Radeon 8060S (65536 MiB, 65000 MiB free)",
            "ROCm0: Radeon 8060S (65536 MiB, 65000 MiB free)"]})json");
    Settings wrong = settings("gpu", "llama-server");
    wrong.engine_device = "Vulkan1";
    const auto refused = open(wrong, folder)->load(gguf("nano"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::not_found);
    EXPECT_THAT(refused.error().message,
                AllOf(HasSubstr("no device Vulkan1"), HasSubstr("Vulkan0, ROCm0")));
    Settings right = settings("gpu", "llama-server");
    right.engine_device = "ROCm0";
    const auto lane = open(right, folder);
    const auto loaded = lane->load(gguf("nano"));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_TRUE(has_line(*lane, "--device ROCm0"));
}

TEST_F(LlamaServerTest, TheCardThatIsPlannedIsTheOneItUses) {
    const std::string folder = install(
        "llama-server", R"json({"devices": ["CUDA0: NVIDIA RTX 4090 (24564 MiB, 24000 MiB free)",
            "CUDA1: NVIDIA RTX 3060 (12288 MiB, 12000 MiB free)"]})json");
    Settings second = settings("gpu", "llama-server");
    second.device = "gpu1";
    second.gpu.product = "RTX 3060";
    second.gpu.equals = 1;
    const auto lane = open(second, folder);
    const auto loaded = lane->load(gguf("nano"));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_TRUE(has_line(*lane, "--device CUDA1"));

    second.gpu.product = "Arc B580";
    const auto unsure = open(second, folder);
    const auto loaded_too = unsure->load(gguf("nano"));
    ASSERT_TRUE(loaded_too.has_value()) << loaded_too.error().message;
    EXPECT_FALSE(has_line(*unsure, "--device "));
    EXPECT_TRUE(has_line(*unsure, "set `engine_device`"));
}

TEST_F(LlamaServerTest, AModelsArgumentsMayNotBreakThePlan) {
    const auto lane = gpu("{}");
    LoadRequest request = gguf("nano");
    request.wishes.args = {"--ctx-size", "1000000"};
    const auto refused = lane->load(std::move(request));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::invalid);
    EXPECT_THAT(refused.error().message, AllOf(HasSubstr("--ctx-size"), HasSubstr("`context`")));
    EXPECT_TRUE(processes(*lane).empty());
}

TEST_F(LlamaServerTest, ModelsThatPoolAreTriedInTheirOwnWay) {
    const auto lane = gpu("{}");
    for (const auto purpose : {catalog::Purpose::embed, catalog::Purpose::rerank}) {
        const auto loaded = lane->load(gguf("pooling", purpose));
        ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
        const auto answer = ask(**loaded, "Hello");
        ASSERT_TRUE(answer->ended());
        ASSERT_TRUE(answer->error().has_value());
        EXPECT_EQ(answer->error()->fault, Fault::invalid);
        EXPECT_THAT(answer->message(), HasSubstr("is not made for chat"));
        EXPECT_EQ((*loaded)->snapshot().failed_total, 1U);
    }
    EXPECT_EQ(processes(*lane).size(), 2U);
    EXPECT_TRUE(eventually([&] { return all_gone(*lane); }));
}

job::Request of(decltype(job::Request::ask) ask) {
    job::Request request;
    request.id = "test";
    request.ask = std::move(ask);
    return request;
}

TEST_F(LlamaServerTest, MakesVectorsAndRankings) {
    const auto lane = gpu("{}");
    const auto embedder = lane->load(gguf("pooling", catalog::Purpose::embed));
    ASSERT_TRUE(embedder.has_value()) << embedder.error().message;
    job::Embed embed;
    embed.inputs = {std::string("one"), std::string("two"), std::string(5'000, 'x')};
    embed.dimensions = 16;
    const auto vectors = ask(**embedder, of(embed));
    ASSERT_TRUE(vectors->ended());
    ASSERT_EQ(vectors->message(), "");
    const auto made = vectors->vectors();
    ASSERT_EQ(made.size(), 3U);
    EXPECT_EQ(made[0].size(), 16U);
    EXPECT_NE(made[0], made[1]);
    EXPECT_GT(vectors->usage().prompt_tokens, 0U);
    embed.inputs = {std::string("two")};
    const auto again = ask(**embedder, of(embed));
    ASSERT_TRUE(again->ended());
    EXPECT_EQ(again->vectors().at(0), made[1]);
    // 5000 bytes may be more than the 4096 tokens of the context: measured first, and they are not.
    EXPECT_EQ(fake_page(*lane, "/fake/stats")["by_path"]["/tokenize"], 1);
    const auto tokens = ask(**embedder, of(job::Tokenize{"h\xC3\xA4llo", false, true}));
    ASSERT_TRUE(tokens->ended());
    EXPECT_EQ(tokens->message(), "");
    EXPECT_EQ(tokens->tokens().pieces, (std::vector<std::string>{"h\xC3\xA4", "llo"}));

    const auto ranker = lane->load(gguf("ranking", catalog::Purpose::rerank));
    ASSERT_TRUE(ranker.has_value()) << ranker.error().message;
    const auto scores = ask(**ranker, of(job::Rerank{"cat", {"a dog", "the cat", "a cow"}}));
    ASSERT_TRUE(scores->ended());
    ASSERT_EQ(scores->message(), "");
    ASSERT_EQ(scores->scores().size(), 3U);
    EXPECT_GT(scores->scores()[1], scores->scores()[0]);
    EXPECT_GT(scores->scores()[1], scores->scores()[2]);
}

TEST_F(LlamaServerTest, TellsOfTokensAndFillsIn) {
    const auto lane = gpu("{}");
    const auto loaded = lane->load(gguf("nano"));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    const auto tokens = ask(**loaded, of(job::Tokenize{"abcdef", false, true}));
    ASSERT_TRUE(tokens->ended());
    const auto ids = tokens->tokens().ids;
    EXPECT_EQ(ids.size(), 2U);
    const auto text = ask(**loaded, of(job::Detokenize{ids}));
    ASSERT_TRUE(text->ended());
    EXPECT_EQ(text->text(), "abcdef");
    job::Message message;
    message.content = "abc";
    job::CountTokens count;
    count.chat.messages = {message};
    const auto counted = ask(**loaded, of(count));
    ASSERT_TRUE(counted->ended());
    EXPECT_EQ(counted->message(), "");
    EXPECT_EQ(counted->usage().prompt_tokens, 7U);  // "<user>abc<assistant>", three bytes each
    job::Completion insertion{"[[id:fim]] int f() {", false};
    insertion.suffix = "}";
    job::Request request = of(insertion);
    request.max_tokens = 2;
    const auto inserted = ask(**loaded, request);
    ASSERT_TRUE(inserted->ended());
    EXPECT_EQ(inserted->message(), "");
    EXPECT_THAT(inserted->text(), HasSubstr("fim.0"));
    EXPECT_EQ(inserted->reasons(), std::vector{job::FinishReason::length});
    EXPECT_EQ(inserted->usage().completion_tokens, 2U);
    const auto wrong = ask(**loaded, of(job::Embed{{std::string("a")}, std::nullopt}));
    ASSERT_TRUE(wrong->ended());
    EXPECT_THAT(wrong->message(), HasSubstr("is not made for embeddings"));
}

TEST_F(LlamaServerTest, VectorsCanBeCancelledAndTheirServersHang) {
    Settings own = settings("gpu", "llama-server");
    own.hang_timeout_s = 1;
    const auto lane = open(
        own, install("llama-server", R"({"rules":[{"path":"/v1/embeddings","from":2,"hang":true},)"
                                     R"({"path":"/health","from":8,"hang":true}]})"));
    const auto loaded = lane->load(gguf("pooling", catalog::Purpose::embed));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    const job::Request request = of(job::Embed{{std::string("a")}, std::nullopt});
    const CancelToken cancel;
    const auto first = ask(**loaded, request, cancel);
    cancel.cancel();
    (*loaded)->notice_cancel();
    ASSERT_TRUE(first->ended());
    EXPECT_EQ(first->error()->fault, Fault::cancelled);
    EXPECT_EQ((*loaded)->snapshot().cancelled_total, 1U);
    const auto second = ask(**loaded, request);
    ASSERT_TRUE(second->ended());
    EXPECT_EQ(second->error()->fault, Fault::unavailable);
    EXPECT_THAT(second->message(), HasSubstr("no sign of life"));
    ASSERT_TRUE(eventually([&] { return losses_->count() > 0; }));
    EXPECT_TRUE(eventually([&] { return all_gone(*lane); }));
}

TEST_F(LlamaServerTest, OneThatPoolsIsLostLikeTheOthers) {
    const auto lane = gpu("{}");
    const auto loaded = lane->load(gguf("pooling", catalog::Purpose::embed));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    ::kill(processes(*lane).at(0), SIGKILL);
    ASSERT_TRUE(eventually([&] { return losses_->count() > 0; }));
    EXPECT_THAT(losses_->message(), HasSubstr("SIGKILL"));
}

TEST_F(LlamaServerTest, NeedFollowsTheFileAndTheWishes) {
    catalog::Entry entry;
    entry.id = "nano";
    entry.path = TRILANE_TEST_MODEL;
    entry.purpose = catalog::Purpose::chat;
    const auto lane = gpu("{}");
    LoadWishes wishes;
    const auto usual = lane->need(entry, wishes);
    ASSERT_TRUE(usual.has_value()) << usual.error().message;
    EXPECT_EQ(usual->parallel, 4U);
    wishes.context_tokens = 256;
    wishes.parallel = 1;
    const auto small = lane->need(entry, wishes);
    ASSERT_TRUE(small.has_value());
    EXPECT_LT(small->bytes(), usual->bytes());
    wishes.kv = plan::KvType::q8_0;
    EXPECT_LT(lane->need(entry, wishes)->bytes(), small->bytes());

    Settings bounded = settings("gpu", "llama-server");
    bounded.requests_max = 2;
    bounded.prompt_cache_bytes = std::uint64_t{64} << 20U;
    const auto other = open(bounded, install("llama-server", "{}"))->need(entry, {});
    ASSERT_TRUE(other.has_value());
    EXPECT_EQ(other->parallel, 2U);
    entry.path += ".none";
    EXPECT_EQ(lane->need(entry, {}).error().fault, Fault::not_found);
}

TEST_F(LlamaServerTest, WhatWasPlannedIsWhatIsStarted) {
    LoadRequest request = gguf("nano");
    request.entry.path = TRILANE_TEST_MODEL;
    request.need = {};  // the lane then asks itself
    request.wishes.parallel = 3;
    request.wishes.context_tokens = 512;
    const auto lane = gpu("{}");
    const auto loaded = lane->load(std::move(request));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ((*loaded)->slots(), 3U);
    EXPECT_TRUE(has_line(*lane, "--ctx-size 1536"));
    EXPECT_TRUE(has_line(*lane, "--parallel 3"));
}

TEST_F(LlamaServerTest, ACancelFreesTheSlot) {
    const auto lane = gpu(R"({"decode_tps": 20, "cancel_lag_ms": 50})");
    LoadRequest request = gguf("nano");
    request.need.parallel = 1;
    const auto loaded = lane->load(std::move(request));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    const CancelToken cancel;
    const auto cancelled = ask(**loaded, "Hello [[tokens:100000]]", std::nullopt, cancel);
    ASSERT_TRUE(cancelled->has_text());
    cancel.cancel();
    (*loaded)->notice_cancel();
    ASSERT_TRUE(cancelled->ended());
    ASSERT_TRUE(cancelled->error().has_value());
    EXPECT_EQ(cancelled->error()->fault, Fault::cancelled);
    const auto next = ask(**loaded, "Hello [[tokens:2]]");
    ASSERT_TRUE(next->ended());
    EXPECT_FALSE(next->error().has_value()) << next->message();
}

}  // namespace
}  // namespace trilane::lane
