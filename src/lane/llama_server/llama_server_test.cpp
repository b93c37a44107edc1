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
        EXPECT_THAT(answer->message(), HasSubstr("takes no chat requests"));
        EXPECT_EQ((*loaded)->snapshot().failed_total, 1U);
    }
    EXPECT_EQ(processes(*lane).size(), 2U);
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
