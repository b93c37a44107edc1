#include "app/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace trilane::app {
namespace {

using ::testing::HasSubstr;

Conversation talked() {
    Conversation c;
    c.model_id = "m";
    job::Message user;
    user.role = job::Role::user;
    user.content = "Hello \"you\"\n";
    job::Message assistant;
    assistant.role = job::Role::assistant;
    assistant.content = "Hi.";
    c.messages = {user, assistant};
    return c;
}

TEST(Conversation, OnlyLinesThatBeginWithASlashAreCommands) {
    EXPECT_TRUE(is_command("/help"));
    EXPECT_TRUE(is_command("  /help"));
    EXPECT_FALSE(is_command("what is 1/2?"));
    EXPECT_FALSE(is_command(""));
}

TEST(Conversation, TheRequestHoldsTheSystemMessageAndAllTurns) {
    Conversation c = talked();
    c.system = "Be brief.";
    c.max_tokens = 7;
    c.sampling.temperature = 0.25F;
    const job::Request request = next_request(c);
    const auto& messages = std::get<job::Chat>(request.ask).messages;
    ASSERT_EQ(messages.size(), 3U);
    EXPECT_EQ(messages[0].role, job::Role::system);
    EXPECT_EQ(messages[0].content, "Be brief.");
    EXPECT_EQ(messages[2].role, job::Role::assistant);
    EXPECT_EQ(request.max_tokens, 7U);
    EXPECT_EQ(request.model, "m");
    EXPECT_EQ(request.sampling.temperature, 0.25F);
}

TEST(Conversation, WithoutALimitTheContextDecides) {
    EXPECT_FALSE(next_request(talked()).max_tokens.has_value());
}

TEST(Conversation, SetChangesOneSetting) {
    Conversation c;
    ASSERT_TRUE(obey("/set temperature 0.5", c).has_value());
    ASSERT_TRUE(obey("/set top_k 40", c).has_value());
    ASSERT_TRUE(obey("/set seed 12345678901234567890", c).has_value());
    EXPECT_EQ(c.sampling.temperature, 0.5F);
    EXPECT_EQ(c.sampling.top_k, 40);
    EXPECT_EQ(c.sampling.seed, 12'345'678'901'234'567'890U);
    ASSERT_TRUE(obey("/set seed none", c).has_value());
    EXPECT_FALSE(c.sampling.seed.has_value());
    const auto shown = obey("/set", c);
    ASSERT_TRUE(shown.has_value());
    EXPECT_THAT(shown->text, HasSubstr("temperature        0.5\n"));
}

TEST(Conversation, SetRefusesWhatIsWrongAndChangesNothing) {
    Conversation c;
    const float before = c.sampling.temperature;
    for (const char* line : {"/set temperature 3", "/set temperature -1", "/set temperature warm",
                             "/set temperature nan", "/set temperature", "/set top_p 0",
                             "/set seed -1", "/set mood 1"}) {
        const auto reply = obey(line, c);
        ASSERT_FALSE(reply.has_value()) << line;
        EXPECT_EQ(reply.error().fault, Fault::invalid) << line;
    }
    EXPECT_EQ(c.sampling.temperature, before);
    EXPECT_THAT(obey("/set mood 1", c).error().message, HasSubstr("temperature, top_k"));
}

TEST(Conversation, ClearKeepsTheSettings) {
    Conversation c = talked();
    c.system = "s";
    c.sampling.top_k = 3;
    ASSERT_TRUE(obey("/clear", c).has_value());
    EXPECT_TRUE(c.messages.empty());
    EXPECT_EQ(c.system, "s");
    EXPECT_EQ(c.sampling.top_k, 3);
}

TEST(Conversation, SystemIsSetAndShown) {
    Conversation c;
    EXPECT_THAT(obey("/system", c)->text, HasSubstr("No system message"));
    ASSERT_TRUE(obey("/system Answer in rhymes.", c).has_value());
    EXPECT_EQ(c.system, "Answer in rhymes.");
    EXPECT_EQ(obey("/system", c)->text, "Answer in rhymes.\n");
}

TEST(Conversation, QuitAndUnknownCommands) {
    Conversation c;
    EXPECT_TRUE(obey("/quit", c)->quit);
    EXPECT_TRUE(obey("/bye", c)->quit);
    EXPECT_FALSE(obey("/help", c)->quit);
    EXPECT_THAT(obey("/sing", c).error().message, HasSubstr("/help"));
}

TEST(Conversation, StatsComeFromTheLastAnswer) {
    Conversation c;
    EXPECT_EQ(obey("/stats", c)->text, "No answer yet.\n");
    job::Done done;
    done.usage = {.prompt_tokens = 17, .cached_tokens = 5, .completion_tokens = 96};
    done.timings.prompt_tokens = 12;
    done.timings.prompt_ms = 60;
    done.timings.predicted_tokens = 96;
    done.timings.predicted_ms = 400;
    c.last = done;
    EXPECT_EQ(obey("/stats", c)->text,
              "96 tokens, 240.0 tok/s; prompt 17 tokens (5 cached), 200.0 tok/s\n");
}

TEST(Conversation, WhatIsSavedCanBeLoaded) {
    const std::string path = ::testing::TempDir() + "trilane_conversation_test.json";
    Conversation c = talked();
    c.system = "Be brief.";
    ASSERT_TRUE(obey("/save " + path, c).has_value());
    Conversation other;
    const auto loaded = obey("/load " + path, other);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ(other.system, "Be brief.");
    ASSERT_EQ(other.messages.size(), 2U);
    EXPECT_EQ(other.messages[0].content, "Hello \"you\"\n");
    EXPECT_EQ(other.messages[1].role, job::Role::assistant);
    std::remove(path.c_str());
}

TEST(Conversation, LoadRefusesOtherFilesAndKeepsWhatWas) {
    const std::string path = ::testing::TempDir() + "trilane_conversation_bad.json";
    Conversation c = talked();
    EXPECT_EQ(obey("/load", c).error().fault, Fault::invalid);
    EXPECT_EQ(obey("/load /nonexistent/file", c).error().fault, Fault::not_found);
    for (const char* text : {"", "[]", "{}", R"({"messages": 3})", R"({"messages": [3]})",
                             R"({"messages": [{"role": "user"}]})",
                             R"({"messages": [{"role": "king", "content": "x"}]})"}) {
        std::ofstream(path) << text;
        const auto loaded = obey("/load " + path, c);
        ASSERT_FALSE(loaded.has_value()) << text;
        EXPECT_EQ(loaded.error().fault, Fault::invalid) << text;
    }
    EXPECT_EQ(c.messages.size(), 2U);
    std::remove(path.c_str());
}

}  // namespace
}  // namespace trilane::app
