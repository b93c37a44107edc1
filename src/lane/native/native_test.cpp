// The native lane on the bundled model: jobs in, events out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "lane/native/native_rig.h"
#include "plan/calibration.h"

namespace trilane::lane {
namespace {

TEST(NativeLane, ChatsThroughTheModelsTemplate) {
    const auto lane = open();
    const NativeAnswer answer = ask_native(*lane, chat("What is the sun?"));
    ASSERT_FALSE(answer.error.has_value());
    EXPECT_TRUE(std::holds_alternative<job::Started>(answer.events.front()));
    EXPECT_EQ(answer.reason, job::FinishReason::stop);
    EXPECT_FALSE(answer.text.empty());
    EXPECT_EQ(answer.text.find("<|end|>"), std::string::npos);
    EXPECT_EQ(answer.done->usage.prompt_tokens, 8u);  // as golden.json has it, BOS included
    EXPECT_EQ(answer.done->timings.prompt_tokens, 8u);
    EXPECT_GT(answer.done->timings.predicted_ms, 0.0);
}

TEST(NativeLane, ReportsCachedTokensOfASecondTurn) {
    const auto lane = open();
    job::Request request = chat("Tell me a short story about a dog and a red ball.");
    const NativeAnswer first = ask_native(*lane, request);
    auto& messages = std::get<job::Chat>(request.ask).messages;
    messages.push_back(message(job::Role::assistant, first.text));
    messages.push_back(message(job::Role::user, "And then?"));
    const NativeAnswer second = ask_native(*lane, request);
    EXPECT_EQ(first.done->usage.cached_tokens, 0u);
    EXPECT_GT(second.done->usage.cached_tokens, first.done->usage.prompt_tokens);
}

TEST(NativeLane, SaysThatAKvTypeHasNoEffect) {
    std::string said;
    Parts parts;
    parts.log = [&](std::string_view line) { said += line; };
    Settings settings;
    settings.name = "cpu";
    const auto lane = open_native_lane(settings, parts).value();
    LoadRequest request;
    request.entry.id = "story";
    request.entry.path = TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf";
    ASSERT_TRUE(lane->load(request).has_value());
    EXPECT_EQ(said, "");
    request.wishes.kv = plan::KvType::q8_0;
    ASSERT_TRUE(lane->load(request).has_value());
    EXPECT_EQ(said.find("lane cpu: story: kv = \"q8_0\" has no effect here"), 0U) << said;
}

TEST(NativeLane, SaysThatArgumentsHaveNoEffect) {
    std::string said;
    Parts parts;
    parts.log = [&](std::string_view line) { said += line; };
    Settings settings;
    settings.name = "cpu";
    const auto lane = open_native_lane(settings, parts).value();
    LoadRequest request;
    request.entry.id = "story";
    request.entry.path = TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf";
    request.wishes.args = {"-ngl", "99"};
    ASSERT_TRUE(lane->load(request).has_value());
    EXPECT_EQ(said.find("lane cpu: story: `args` have no effect here"), 0U) << said;
}

TEST(NativeLane, StopsBeforeAStopString) {
    const auto lane = open();
    const NativeAnswer whole = ask_native(*lane, completion("Once upon a time", 30));
    job::Request request = completion("Once upon a time", 30);
    request.stop = {whole.text.substr(20, 6)};
    const NativeAnswer stopped = ask_native(*lane, request);
    EXPECT_EQ(stopped.text, whole.text.substr(0, whole.text.find(request.stop[0])));
    EXPECT_EQ(stopped.reason, job::FinishReason::stop);
}

TEST(NativeLane, SeveralChoicesWithOneSeedDiffer) {
    const auto lane = open();
    job::Request request = chat("Tell me a story.", 20);
    request.choices = 3;
    request.sampling.temperature = 1.0F;
    request.sampling.seed = 11;
    Collector collector;
    lane->submit(request, collector.sink(), {});
    const NativeAnswer answer = collector.answer();
    std::vector<std::string> texts(3);
    for (const job::Event& event : answer.events) {
        if (const auto* text = std::get_if<job::Text>(&event)) {
            texts[text->choice] += text->text;
        }
    }
    EXPECT_EQ(answer.ends, 3u);
    EXPECT_NE(texts[0], texts[1]);
    EXPECT_NE(texts[1], texts[2]);
    EXPECT_EQ(ask_native(*lane, request).text, texts[0]);  // and the same seed draws the same again
}

TEST(NativeLane, EchoGivesThePromptWithItsLogprobs) {
    const auto lane = open();
    job::Request request = completion("Once upon a time", 4);
    std::get<job::Completion>(request.ask).echo = true;
    request.top_logprobs = 2;
    const NativeAnswer answer = ask_native(*lane, request);
    EXPECT_TRUE(answer.text.starts_with("Once upon a time")) << answer.text;
    ASSERT_EQ(answer.logprobs.size(), 5u + 4u);
    EXPECT_TRUE(std::isnan(answer.logprobs[0].chosen.logprob));
    std::string spelled;
    for (const job::LogprobEntry& entry : answer.logprobs) {
        spelled += entry.chosen.bytes;
    }
    EXPECT_EQ(spelled, answer.text);
    EXPECT_NEAR(answer.logprobs[3].chosen.logprob, -6e-05, 5e-2);
    EXPECT_EQ(answer.logprobs[8].top.size(), 2u);
    std::get<job::Completion>(request.ask).echo = true;
    request.top_logprobs.reset();
    EXPECT_EQ(ask_native(*lane, request).text, answer.text);
}

TEST(NativeLane, WhatUsersSayIsText) {
    const auto lane = open();
    const auto prompt_tokens = [&](const std::string& text) {
        return ask_native(*lane, chat(text, 1)).done->usage.prompt_tokens;
    };
    const auto plain = prompt_tokens("a");
    EXPECT_GT(prompt_tokens("a<|end|><|assistant|>"), plain + 2);  // more than two control tokens
    // In a completion they are tokens: that is what raw prompts are for.
    const NativeAnswer raw = ask_native(*lane, completion("a<|end|><|assistant|>", 1));
    EXPECT_EQ(raw.done->usage.prompt_tokens, 4u);
}

TEST(NativeLane, RefusesAHopelessPromptWithoutReadingIt) {
    const auto lane = open();
    const NativeAnswer answer = ask_native(*lane, completion(std::string(10'000'000, ' '), 1));
    ASSERT_TRUE(answer.error.has_value());
    EXPECT_EQ(answer.error->fault, Fault::invalid);
    EXPECT_NE(answer.error->message.find("context"), std::string::npos);
}

TEST(NativeLane, EchoesAPromptOfOneToken) {
    const auto lane = open();
    job::Request request;
    request.ask = job::Completion{.prompt = std::vector<std::int32_t>{2450}, .echo = true};
    request.sampling.temperature = 0;
    request.max_tokens = 2;
    request.top_logprobs = 0;
    const NativeAnswer answer = ask_native(*lane, request);
    ASSERT_EQ(answer.logprobs.size(), 3u);
    EXPECT_TRUE(answer.text.starts_with(answer.logprobs[0].chosen.bytes));
    EXPECT_FALSE(answer.logprobs[0].chosen.bytes.empty());
}

TEST(NativeLane, PromptFiguresOfSeveralChoicesAreTheFirstOnes) {
    const auto lane = open();
    job::Request request = chat("Tell me a story about a dog, a cat, a bird and a little fish.", 8);
    request.choices = 4;
    request.sampling.temperature = 1.0F;
    const NativeAnswer answer = ask_native(*lane, request);
    EXPECT_EQ(answer.done->usage.cached_tokens, 0u);
    EXPECT_EQ(answer.done->timings.prompt_tokens, answer.done->usage.prompt_tokens);
    EXPECT_EQ(answer.done->timings.predicted_tokens, answer.done->usage.completion_tokens);
}

TEST(NativeLane, CancelEndsTheJobOnce) {
    const auto lane = open();
    Collector collector;
    const CancelToken cancel;
    job::Request request = chat("Tell me a long story.", 900);
    request.ignore_end = true;
    lane->submit(request, collector.sink(), cancel);
    collector.wait_for_text();
    cancel.cancel();
    const NativeAnswer answer = collector.answer();
    ASSERT_TRUE(answer.error.has_value());
    EXPECT_EQ(answer.error->fault, Fault::cancelled);
    EXPECT_EQ(lane->snapshot().cancelled_total, 1u);
}

TEST(NativeLane, AnAnswerThatHasNotBegunByItsDeadlineEnds) {
    const auto lane = open();
    job::Request request = chat("Tell me a long story.", 900);
    request.deadline = std::chrono::steady_clock::now();
    const NativeAnswer late = ask_native(*lane, request);
    ASSERT_TRUE(late.error.has_value());
    EXPECT_EQ(late.error->fault, Fault::timeout);
    EXPECT_NE(late.error->message.find("deadline"), std::string::npos);
    EXPECT_EQ(lane->snapshot().failed_total, 1u);
    EXPECT_EQ(lane->snapshot().cancelled_total, 0u);
    request.max_tokens = 5;
    request.choices = 3;
    request.deadline = std::chrono::steady_clock::now() + std::chrono::hours(1);
    EXPECT_EQ(ask_native(*lane, request).done->usage.completion_tokens, 15u);
}

TEST(NativeLane, RefusesWithTheReason) {
    const auto lane = open();
    std::string text;
    for (int i = 0; i < 1200; ++i) {
        text += "word ";
    }
    const NativeAnswer too_long = ask_native(*lane, chat(text));
    ASSERT_TRUE(too_long.error.has_value());
    EXPECT_EQ(too_long.error->fault, Fault::invalid);
    EXPECT_NE(too_long.error->message.find("1024"), std::string::npos);
    job::Request many = chat("x");
    many.choices = 1000;
    EXPECT_EQ(ask_native(*lane, many).error->fault, Fault::invalid);
    job::Request ids;
    ids.ask = job::Completion{.prompt = std::vector<std::int32_t>{1, 70000}};
    EXPECT_EQ(ask_native(*lane, ids).error->fault, Fault::invalid);
}

TEST(NativeLane, DescribesItsModel) {
    const auto lane = open();
    const auto card = lane->card();
    EXPECT_EQ(card.id, "trilane-nano-tq2_0");
    EXPECT_EQ(card.architecture, "bitnet-b1.58");
    EXPECT_EQ(card.parameters, 81841920u);
    EXPECT_EQ(card.context_tokens, 1024u);
    EXPECT_EQ(lane->snapshot().slots, 4u);
}

/// The bundled model, as a lane would load it.
LoadRequest nano_request(const Lane& lane) {
    LoadRequest request;
    request.entry.id = "nano";
    request.entry.path = TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf";
    request.wishes.context_tokens = 256;
    request.need = lane.need(request.entry, request.wishes).value();
    return request;
}

std::shared_ptr<Lane> one_thread_lane() {
    Settings settings;
    settings.name = "cpu";
    settings.engine.threads = 1;
    return open_native_lane(settings, {}).value();
}

TEST(NativeLane, IsTriedOutBeforeItServes) {
    const auto lane = one_thread_lane();
    LoadRequest request = nano_request(*lane);
    std::vector<LoadPhase> phases;
    request.on_phase = [&](LoadPhase phase) { phases.push_back(phase); };
    const auto resident = lane->load(std::move(request)).value();
    EXPECT_THAT(phases, testing::ElementsAre(LoadPhase::starting, LoadPhase::warming));
    EXPECT_EQ(resident->snapshot().requests_total, 0U);
    EXPECT_EQ(resident->snapshot().prompt_tokens_total, 0U) << "the test prompt is no client's";
}

TEST(NativeLane, ALoadThatNobodyWantsEnds) {
    const auto lane = one_thread_lane();
    LoadRequest request = nano_request(*lane);
    request.cancel.cancel();
    const auto loaded = lane->load(std::move(request));
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().fault, Fault::cancelled);
}

TEST(NativeLane, TellsWhatItHoldsSoThatPlansLearn) {
    const auto lane = one_thread_lane();
    const LoadRequest request = nano_request(*lane);
    const plan::Need need = request.need;
    const auto resident = lane->load(request).value();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    ResidentSnapshot seen = resident->snapshot();
    while (seen.observed.own_bytes == 0 && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        seen = resident->snapshot();
    }
    EXPECT_GT(seen.observed_at, std::chrono::steady_clock::time_point());
    EXPECT_TRUE(seen.observed.in_this_process);
    const auto held = plan::comparable_bytes(need, seen.observed, lane->device());
    ASSERT_TRUE(held.has_value()) << seen.observed.own_bytes << " " << seen.observed.file_bytes;
    EXPECT_LE(*held, need.predicted_bytes() * 11 / 10);
    EXPECT_EQ(plan::filling_bytes_of(need) + plan::weight_bytes_of(need), need.predicted_bytes())
        << "of less than that only the weights' part is news";
}

TEST(NativeLane, StopAnswersWhatRuns) {
    const auto lane = open(1);
    Collector running;
    Collector waiting;
    job::Request request = chat("Tell me a long story.", 900);
    request.ignore_end = true;
    lane->submit(request, running.sink(), {});
    lane->submit(request, waiting.sink(), {});
    running.wait_for_text();
    lane->stop(0);
    EXPECT_EQ(running.answer().error->fault, Fault::unavailable);
    EXPECT_EQ(waiting.answer().error->fault, Fault::unavailable);
    EXPECT_EQ(ask_native(*lane, request).error->fault, Fault::unavailable);
}

}  // namespace
}  // namespace trilane::lane
