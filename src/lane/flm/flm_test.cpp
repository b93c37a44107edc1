// The FLM lane over real processes that have FLM's faults: each of them ends in an answer as any
// other server's.
#include "lane/flm/flm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lane/child/test_rig.h"

namespace trilane::lane {
namespace {

using namespace rig;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FlmTest : public ChildRig {
protected:
    std::shared_ptr<Lane> npu(std::string_view script) {
        return open(settings("npu", "flm"), install("flm", script));
    }
    /// One without waits, which the quirks do not need.
    std::shared_ptr<Lane> quick(std::string_view more = "") {
        return npu("{\"cooldown_ms\": 0" + std::string(more) + "}");
    }
    LoadRequest tag(const std::string& tag, catalog::Purpose purpose = catalog::Purpose::chat) {
        LoadRequest request = gguf(tag, purpose);
        request.entry.store = catalog::Store::flm;
        request.entry.path = tag;
        request.need.parallel = 1;
        return request;
    }
    std::shared_ptr<Resident> load(Lane& lane) {
        auto loaded = lane.load(tag("qwen3:0.6b"));
        EXPECT_TRUE(loaded.has_value()) << loaded.error().message;
        return loaded ? *loaded : nullptr;
    }
};

TEST_F(FlmTest, OffersWhatIsInstalled) {
    const auto lane = quick();
    EXPECT_TRUE(lane->offers().empty()) << "nothing is run before it is asked for";
    ASSERT_TRUE(lane->refresh_offers({}).has_value());
    std::vector<std::string> tags;
    for (const catalog::Entry& entry : lane->offers()) {
        EXPECT_EQ(entry.store, catalog::Store::flm);
        EXPECT_TRUE(lane->can_serve(entry)) << entry.path;
        EXPECT_GT(lane->need(entry, {})->bytes(), std::uint64_t{500} << 20U);
        tags.push_back(entry.path);
    }
    EXPECT_THAT(tags, ::testing::UnorderedElementsAre("qwen3:0.6b", "llama3.2:1b",
                                                      "embed-gemma:300m", "whisper-v3:turbo"));
}

TEST_F(FlmTest, ATagThatIsNotInstalledIsNotReplacedSilently) {
    const auto lane = quick();
    const auto refused = lane->load(tag("gpt-oss:20b"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::not_found);
    EXPECT_THAT(refused.error().message,
                AllOf(HasSubstr("no model gpt-oss:20b"), HasSubstr("qwen3:0.6b"),
                      HasSubstr("flm pull gpt-oss:20b")));
    EXPECT_TRUE(processes(*lane).empty());
}

TEST_F(FlmTest, ItNeedsAHome) {
    Settings homeless = settings("npu", "flm");
    homeless.environment = {{"HOME", ""}};
    const auto lane = open(homeless, install("flm", "{}"));
    const Status refreshed = lane->refresh_offers({});
    ASSERT_FALSE(refreshed.has_value());
    EXPECT_THAT(refreshed.error().message, HasSubstr("HOME"));
}

TEST_F(FlmTest, StartsWithItsOwnPortAndNoSurprises) {
    inherited_ = {"XILINX_XRT=/opt/xilinx/xrt", "FLM_SERVE_PORT=1", "FLM_MODEL_PATH=/elsewhere"};
    const auto lane = quick();
    const auto resident = load(*lane);
    ASSERT_NE(resident, nullptr);
    EXPECT_EQ(resident->slots(), 1U);
    EXPECT_EQ(resident->card().id, "qwen3:0.6b");
    EXPECT_TRUE(has_line(*lane, "serve qwen3:0.6b --ctx-len 4096 --host 127.0.0.1 --port "));
    const json::Value process = fake_page(*lane, "/fake/process");
    EXPECT_THAT(
        process["environment"].get<std::vector<std::string>>(),
        ElementsAre("FLM_DISABLE_UPDATE_CHECK=1", "HOME=" + folder_.path(), "PATH=/usr/bin:/bin"));
}

TEST_F(FlmTest, WaitsForTheModelBehindAnOpenPort) {
    const auto lane = quick(R"(, "load_ms": 300)");
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_NE(load(*lane), nullptr);
    EXPECT_GE(ms_since(begin), 300);
}

TEST_F(FlmTest, AModelThatFailedToLoadIsNotReady) {
    const auto lane = quick(R"(, "fail_default_model": true)");
    const auto loaded = lane->load(tag("qwen3:0.6b"));
    ASSERT_FALSE(loaded.has_value()) << "its server says that all is well";
    EXPECT_THAT(loaded.error().message, HasSubstr("Failed to load"));
    EXPECT_TRUE(all_gone(*lane));
}

TEST_F(FlmTest, AMissingPluginIsTold) {
    const auto lane = quick(R"(, "missing_plugin": true)");
    const auto loaded = lane->load(tag("qwen3:0.6b"));
    ASSERT_FALSE(loaded.has_value());
    EXPECT_THAT(loaded.error().message, AllOf(HasSubstr("flm exited with status 1 while loading"),
                                              HasSubstr("No such device with index '0'")));
}

TEST_F(FlmTest, ASingleTokenIsASingleToken) {
    const auto lane = quick();
    const auto resident = load(*lane);
    ASSERT_NE(resident, nullptr);
    const auto answer = ask(*resident, "Hello", 1);
    ASSERT_TRUE(answer->ended());
    EXPECT_FALSE(answer->error().has_value()) << answer->message();
    EXPECT_THAT(answer->reasons(), ElementsAre(job::FinishReason::length));
    EXPECT_EQ(answer->text(), "tok0");
}

TEST_F(FlmTest, AnAnswerThatWasCutSaysSo) {
    const auto lane = quick();
    const auto resident = load(*lane);
    ASSERT_NE(resident, nullptr);
    const auto cut = ask(*resident, "Hello [[tokens:50]]", 4);
    ASSERT_TRUE(cut->ended());
    EXPECT_THAT(cut->reasons(), ElementsAre(job::FinishReason::length));
    const auto whole = ask(*resident, "Hello [[tokens:4]]", 50);
    ASSERT_TRUE(whole->ended());
    EXPECT_THAT(whole->reasons(), ElementsAre(job::FinishReason::stop));
}

TEST_F(FlmTest, StopTextsAreHeeded) {
    const auto lane = quick();
    const auto resident = load(*lane);
    ASSERT_NE(resident, nullptr);
    job::Request request;
    request.id = "stop";
    request.model = resident->card().id;
    job::Message message;
    message.content = "Hello [[tokens:50]]";
    request.ask = job::Chat{{message}, {}, {}};
    request.stop = {" tok3"};
    const auto answer = ask(*resident, std::move(request));
    ASSERT_TRUE(answer->ended());
    EXPECT_EQ(answer->text(), "tok0 tok1 tok2") << answer->message();
    EXPECT_THAT(answer->reasons(), ElementsAre(job::FinishReason::stop));
}

TEST_F(FlmTest, ToolCallsAreCountedPerAnswer) {
    const auto lane = quick();
    const auto resident = load(*lane);
    ASSERT_NE(resident, nullptr);
    for (int i = 0; i < 3; ++i) {
        job::Request request;
        request.id = "tools";
        request.model = resident->card().id;
        job::Message message;
        message.content = "[[tool:1]]";
        request.ask = job::Chat{{message}, {{"weather", "Tells it", R"({"type":"object"})"}}, {}};
        const auto answer = ask(*resident, std::move(request));
        ASSERT_TRUE(answer->ended());
        ASSERT_FALSE(answer->calls().empty()) << answer->message();
        EXPECT_EQ(answer->calls().front().index, 0U) << "call " << i;
        EXPECT_EQ(answer->calls().front().name, "weather");
        EXPECT_THAT(answer->reasons(), ElementsAre(job::FinishReason::tool_calls));
    }
}

TEST_F(FlmTest, AStreamWithoutItsEndIsWhole) {
    const auto lane = quick(R"(, "stream_end": "no_done")");
    const auto resident = load(*lane);
    ASSERT_NE(resident, nullptr);
    const auto answer = ask(*resident, "Hello [[tokens:3]]");
    ASSERT_TRUE(answer->ended());
    EXPECT_FALSE(answer->error().has_value()) << answer->message();
    EXPECT_EQ(answer->text(), "tok0 tok1 tok2");
}

TEST_F(FlmTest, AnErrorInsideSuccessIsAnError) {
    const auto lane = quick(
        R"(, "rules": [{"body_has": "broken", "error_status": 500, "error_message": "NPU died"}])");
    const auto resident = load(*lane);
    ASSERT_NE(resident, nullptr);
    const auto answer = ask(*resident, "broken");
    ASSERT_TRUE(answer->ended());
    ASSERT_TRUE(answer->error().has_value()) << answer->text();
    EXPECT_THAT(answer->message(), HasSubstr("NPU died"));
}

TEST_F(FlmTest, RequestsGoOneAfterTheOther) {
    // A second request during a stream ends this server by SIGABRT.
    const auto lane = npu(R"({"cooldown_ms": 20, "decode_tps": 500})");
    const auto resident = load(*lane);
    ASSERT_NE(resident, nullptr);
    std::vector<std::shared_ptr<Answer>> answers;
    answers.reserve(5);
    for (int i = 0; i < 5; ++i) {
        answers.push_back(ask(*resident, "Hello [[tokens:10]]"));
    }
    for (const auto& answer : answers) {
        ASSERT_TRUE(answer->ended());
        EXPECT_FALSE(answer->error().has_value()) << answer->message();
    }
    EXPECT_EQ(losses_->count(), 0U);
}

TEST_F(FlmTest, ACancelledStreamDoesNotMeetTheNextOne) {
    const auto lane = npu(R"({"cooldown_ms": 0, "decode_tps": 20, "cancel_lag_ms": 100})");
    const auto resident = load(*lane);
    ASSERT_NE(resident, nullptr);
    for (int i = 0; i < 3; ++i) {
        const CancelToken cancel;
        const auto cancelled = ask(*resident, "Hello [[tokens:100000]]", std::nullopt, cancel);
        ASSERT_TRUE(cancelled->has_text());
        cancel.cancel();
        resident->notice_cancel();
        ASSERT_TRUE(cancelled->ended());
        const auto next = ask(*resident, "Hello [[tokens:2]]");
        ASSERT_TRUE(next->ended());
        EXPECT_FALSE(next->error().has_value()) << next->message();
    }
    EXPECT_EQ(losses_->count(), 0U) << losses_->message();
}

TEST_F(FlmTest, EmbeddingAndSpeechModelsAreProcessesOfTheirOwn) {
    const auto lane = quick();
    const auto embedding = lane->load(tag("embed-gemma:300m", catalog::Purpose::embed));
    ASSERT_TRUE(embedding.has_value()) << embedding.error().message;
    EXPECT_TRUE(has_line(*lane, "--embed 1"));
    const auto speech = lane->load(tag("whisper-v3:turbo", catalog::Purpose::transcribe));
    ASSERT_TRUE(speech.has_value()) << speech.error().message;
    EXPECT_TRUE(has_line(*lane, "--asr 1"));
    const auto answer = ask(**speech, "Hello");
    ASSERT_TRUE(answer->ended());
    ASSERT_TRUE(answer->error().has_value());
    EXPECT_EQ(answer->error()->fault, Fault::invalid);
}

TEST_F(FlmTest, TheForkIsFoundByItsName) {
    const auto lane = open(settings("npu", "flm"), install("oflm", R"({"cooldown_ms": 0})"));
    EXPECT_NE(load(*lane), nullptr);
}

TEST(FlmRules, AllOfItsQuirks) {
    const UpstreamRules rules = flm_rules();
    EXPECT_EQ(rules.max_tokens_min, 2U);
    EXPECT_TRUE(rules.retry_once_on_error && rules.errors_in_200 && rules.renumber_tool_calls &&
                rules.never_says_length && rules.stops_ignored && rules.single_choice &&
                rules.end_may_be_missing && rules.check_model && rules.integer_min_p &&
                rules.health_at_tags && rules.cancel_may_linger && rules.think_is_a_parameter);
}

}  // namespace
}  // namespace trilane::lane
