#include "plane/models.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "plane/fake_lane.h"

namespace trilane::plane {
namespace {

catalog::Entry stored(std::string id, catalog::Store store = catalog::Store::gguf) {
    catalog::Entry out;
    out.id = std::move(id);
    out.store = store;
    out.context_tokens = 2048;
    return out;
}

struct Lanes {
    std::vector<std::shared_ptr<lane::Lane>> lanes{std::make_shared<FakeLane>("gpu"),
                                                   std::make_shared<FakeLane>("cpu")};
};

TEST(ModelTable, FindsIdsAliasesLanesAndTheDefault) {
    const Lanes l;
    Policies policies;
    policies["story"].aliases = {"fast", "gpt-4"};
    const ModelTable table(std::vector{stored("coder"), stored("story")}, l.lanes, policies,
                           "story");
    EXPECT_EQ(table.find("coder")->model->id, "coder");
    EXPECT_EQ(table.find("gpt-4")->model->id, "story");
    EXPECT_EQ(table.find("default")->model->id, "story");
    const auto there = table.find("cpu/fast");
    ASSERT_TRUE(there);
    EXPECT_EQ(there->model->id, "story");
    EXPECT_EQ(there->lane, 1U);
    const auto absent = table.find("cpu/nothing");
    EXPECT_EQ(absent.error().fault, Fault::not_found);
    EXPECT_NE(absent.error().message.find("coder, story"), std::string::npos);
    const auto nowhere = table.find("tpu/story");
    EXPECT_EQ(nowhere.error().fault, Fault::not_found);
    EXPECT_NE(nowhere.error().message.find("no lane called 'tpu'"), std::string::npos);
    EXPECT_NE(nowhere.error().message.find("cpu, gpu"), std::string::npos);
    EXPECT_EQ(table.by_id("fast"), nullptr);
    EXPECT_EQ(table.find("story")->model->card.context_tokens, 2048U);
}

TEST(ModelTable, LanesComeInTheirOwnOrderOrThePolicys) {
    const Lanes l;
    Policies policies;
    policies["b"].lanes = {"cpu"};
    policies["c"].lanes = {"cpu", "gpu"};
    const ModelTable table(
        std::vector{stored("a"), stored("b"), stored("c"), stored("qwen:4b", catalog::Store::flm)},
        l.lanes, policies, "");
    const auto lanes_of = [&](std::string_view id) {
        std::vector<std::size_t> out;
        for (const Candidate& candidate : table.by_id(id)->candidates) {
            out.push_back(candidate.lane);
        }
        return out;
    };
    EXPECT_EQ(lanes_of("a"), (std::vector<std::size_t>{0, 1}));
    EXPECT_EQ(lanes_of("b"), (std::vector<std::size_t>{1}));
    EXPECT_EQ(lanes_of("c"), (std::vector<std::size_t>{1, 0}));
    EXPECT_TRUE(lanes_of("qwen:4b").empty());
}

TEST(ModelTable, ThePolicyOfTheOthers) {
    const Lanes l;
    Policies policies;
    policies["*"].keep_warm_s = 5;
    policies["a"].keep_warm_s = 7;
    const ModelTable table(std::vector{stored("a"), stored("b")}, l.lanes, policies, "");
    EXPECT_EQ(table.by_id("a")->policy.keep_warm_s, 7U);
    EXPECT_EQ(table.by_id("b")->policy.keep_warm_s, 5U);
}

TEST(ModelTable, AnAliasWithAStarIsAllNamesThatBeginSo) {
    const Lanes l;
    Policies policies;
    policies["coder"].aliases = {"claude-*", "gpt-*", "gpt-4"};
    policies["story"].aliases = {"claude-haiku-*", "claude-opus-1"};
    std::vector entries{stored("coder"), stored("story"), stored("gpt-oss"), stored("painter")};
    entries[3].purpose = catalog::Purpose::image;
    const ModelTable table(entries, l.lanes, policies, "");
    const auto id_of = [&](std::string_view name) {
        const auto meaning = table.find(name);
        return meaning ? meaning->model->id : meaning.error().message;
    };
    EXPECT_EQ(id_of("claude-sonnet-5"), "coder");
    EXPECT_EQ(id_of("claude-"), "coder");
    EXPECT_EQ(id_of("claude-sonnet-5:latest"), "coder");
    EXPECT_EQ(id_of("claude-haiku-5"), "story") << "the longest wins";
    EXPECT_EQ(id_of("claude-opus-1"), "story") << "an alias wins";
    EXPECT_EQ(id_of("gpt-4"), "coder");
    EXPECT_EQ(id_of("gpt-oss"), "gpt-oss") << "a model wins";
    EXPECT_EQ(id_of("gpt-oss:latest"), "gpt-oss");
    EXPECT_EQ(id_of("gpt-image-1"), "painter") << "names of other abilities win, where one has it";
    EXPECT_EQ(id_of("gpt-4o-transcribe"), "coder") << "nothing here transcribes";
    EXPECT_EQ(table.find("claude").error().fault, Fault::not_found);
    EXPECT_EQ(table.find("my-claude-sonnet").error().fault, Fault::not_found);
    const auto there = table.find("cpu/claude-haiku-5");
    ASSERT_TRUE(there);
    EXPECT_EQ(there->model->id, "story");
    EXPECT_EQ(there->lane, 1U);
    policies["painter"].aliases = {"*"};
    const ModelTable any(entries, l.lanes, policies, "");
    EXPECT_EQ(any.find("whatever")->model->id, "painter");
    EXPECT_EQ(any.find("claude-x")->model->id, "coder");
}

TEST(ModelTable, NamesThatClientsTakeForGranted) {
    const Lanes l;
    std::vector entries{stored("chatty"),    stored("ears"),
                        stored("voice"),     stored("another-voice"),
                        stored("who-knows"), stored("speaks-nowhere", catalog::Store::flm)};
    entries[0].purpose = catalog::Purpose::chat;
    entries[1].purpose = catalog::Purpose::transcribe;
    entries[2].purpose = catalog::Purpose::speak;
    entries[3].purpose = catalog::Purpose::speak;
    entries[5].purpose = catalog::Purpose::speak;
    std::rotate(entries.begin(), entries.begin() + 4, entries.end());  // the unknown ones first
    Policies policies;
    policies["another-voice"].aliases = {"tts-1-hd"};
    const ModelTable table(entries, l.lanes, policies, "");
    EXPECT_EQ(table.find("tts-1")->model->id, "voice");
    EXPECT_EQ(table.find("kokoro")->model->id, "voice");
    EXPECT_EQ(table.find("tts-1-hd")->model->id, "another-voice");  // somebody has told us
    EXPECT_EQ(table.find("whisper-1")->model->id, "ears");
    const auto drawn = table.find("dall-e-3");
    ASSERT_FALSE(drawn);
    EXPECT_EQ(drawn.error().fault, Fault::unavailable);
    EXPECT_NE(drawn.error().message.find("sd-server"), std::string::npos);
    EXPECT_EQ(table.find("gpt-4o").error().fault, Fault::not_found);
    const ModelTable none({}, l.lanes, {}, "");
    EXPECT_EQ(none.find("tts-1").error().fault, Fault::unavailable);
    EXPECT_NE(none.find("tts-1").error().message.find("espeak-ng"), std::string::npos);
}

TEST(ModelTable, FurtherNamesAndTagsMeanTheModel) {
    const std::vector<catalog::Entry> entries{stored("a"), stored("b:latest")};
    const ModelTable table(entries, {}, {}, "", {{"mine", "a"}, {"a", "b:latest"}, {"gone", "c"}});
    EXPECT_EQ(table.find("mine")->model->id, "a");
    EXPECT_EQ(table.find("mine:latest")->model->id, "a");
    EXPECT_EQ(table.find("a:latest")->model->id, "a") << "a model's own name goes before";
    EXPECT_EQ(table.find("b:latest")->model->id, "b:latest");
    EXPECT_FALSE(table.find("gone"));
    EXPECT_FALSE(table.find(":latest"));
    EXPECT_FALSE(table.find("a:other"));
}

}  // namespace
}  // namespace trilane::plane
