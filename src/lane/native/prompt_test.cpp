// Prompts of a model in memory: continued messages, thoughts, texts to fill in, what is refused.
#include "lane/native/prompt.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lane/native/message_test.h"
#include "lane/native/sample_model_file.h"

namespace trilane::lane {
namespace {

constexpr std::uint32_t kContext = 4096;

const std::string kChatml =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const std::string kThinking = kChatml +
                              "{% if add_generation_prompt and enable_thinking is not defined %}"
                              "<think>\n{% endif %}{# ends with </think> #}";

sample::ModelFile chatml(const std::string& chat_template = kChatml) {
    return sample::model_file(chat_template, {"<|im_start|>", "<|im_end|>", "<think>"});
}

job::Chat asking(const std::string& text) {
    job::Chat chat;
    chat.messages = {said(job::Role::user, text)};
    return chat;
}

TEST(Prompt, ALastMessageIsContinuedWhereItEnds) {
    const auto model = chatml();
    const PromptWriter writer(*model.file, model.tokenizer, kContext);
    job::Chat chat = asking("Count.");
    chat.messages.push_back(said(job::Role::assistant, "One, two, "));
    chat.continue_last = true;
    EXPECT_EQ(model.spelled(writer.chat(chat).value().ids),
              "<|im_start|>user\nCount.<|im_end|>\n<|im_start|>assistant\nOne, two, ");
    chat.continue_last = false;
    EXPECT_EQ(model.spelled(writer.chat(chat).value().ids),
              "<|im_start|>user\nCount.<|im_end|>\n<|im_start|>assistant\nOne, two,<|im_end|>\n"
              "<|im_start|>assistant\n");
}

TEST(Prompt, OnlyAnAssistantsTextIsContinued) {
    const auto model = chatml();
    const PromptWriter writer(*model.file, model.tokenizer, kContext);
    job::Chat chat = asking("Count.");
    chat.continue_last = true;
    ASSERT_FALSE(writer.chat(chat));
    EXPECT_EQ(writer.chat(chat).error().fault, Fault::invalid);
    const auto mute = chatml("{{ messages[0].content }}");
    const PromptWriter other(*mute.file, mute.tokenizer, kContext);
    chat.messages.push_back(said(job::Role::assistant, "One"));
    ASSERT_FALSE(other.chat(chat));
    EXPECT_NE(other.chat(chat).error().message.find("continued"), std::string::npos);
}

TEST(Prompt, ThoughtsThatThePromptOpensAreSeen) {
    const auto model = chatml(kThinking);
    const PromptWriter writer(*model.file, model.tokenizer, kContext);
    EXPECT_TRUE(writer.style().thinks);
    EXPECT_TRUE(writer.chat(asking("Why?")).value().in_thought);
    // What a user says opens nothing.
    const auto plain = chatml();
    const PromptWriter other(*plain.file, plain.tokenizer, kContext);
    EXPECT_FALSE(other.style().thinks);
    EXPECT_FALSE(other.chat(asking("<think>")).value().in_thought);
    job::Chat chat = asking("Why?");
    chat.messages.push_back(said(job::Role::assistant, "<think>Because"));
    chat.continue_last = true;
    EXPECT_TRUE(other.chat(chat).value().in_thought);
    chat.messages.back().content += "</think>So";
    EXPECT_FALSE(other.chat(chat).value().in_thought);
}

TEST(Prompt, ThoughtsAreClosedWhereTheTemplateCannot) {
    job::Chat chat = asking("Why?");
    chat.template_variables["enable_thinking"] = "false";
    const auto opens = chatml(kChatml + "{% if add_generation_prompt %}<think>\n{% endif %}");
    const PromptWriter writer(*opens.file, opens.tokenizer, kContext);
    const Prompt closed = writer.chat(chat).value();
    EXPECT_FALSE(closed.in_thought);
    EXPECT_TRUE(closed.thoughts_are_over);
    EXPECT_TRUE(opens.spelled(closed.ids).ends_with("assistant\n<think>\n\n</think>\n\n"))
        << opens.spelled(closed.ids);
    const auto silent = chatml(kChatml + "{# the model thinks: <think> #}");
    const PromptWriter other(*silent.file, silent.tokenizer, kContext);
    EXPECT_TRUE(silent.spelled(other.chat(chat).value().ids)
                    .ends_with("assistant\n<think>\n\n</think>\n\n"));
}

TEST(Prompt, NamesOfControlTokensInForeignTextStayLetters) {
    const auto model = chatml(
        "{% for m in messages %}{% if m.role == 'tool' %}{{ m.content | tojson }}{% else %}"
        "{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}"
        "{% endif %}{% endfor %}");
    const PromptWriter writer(*model.file, model.tokenizer, kContext);
    job::Chat chat = asking("a<|im_end|>");
    chat.messages.push_back(said(job::Role::assistant, "<|im_end|>"));
    chat.messages[1].tool_calls = {{"call_1", "f", "{}"}};
    chat.messages.push_back(said(job::Role::tool, "\"<|im_end|>"));
    chat.messages[2].tool_call_id = "call_1";
    const auto ids = writer.chat(chat).value().ids;
    EXPECT_EQ(std::count(ids.begin(), ids.end(), model.id("<|im_end|>")), 1);
    EXPECT_EQ(model.spelled(ids),
              "a<|im_end|><|im_end|>{\"name\": \"f\", \"arguments\": {}}"
              "\"\\\"<|im_end|>\"");
}

TEST(Prompt, ToolsThatMustNotBeUsedAreNotShown) {
    const auto model = chatml();
    const PromptWriter writer(*model.file, model.tokenizer, kContext);
    job::Chat chat = asking("Hello.");
    chat.tools = {{"get_time", "The time", "{}"}};
    const auto with = model.spelled(writer.chat(chat).value().ids);
    EXPECT_NE(with.find("get_time"), std::string::npos);
    chat.tool_choice.kind = job::ToolChoice::Kind::none;
    EXPECT_EQ(model.spelled(writer.chat(chat).value().ids).find("get_time"), std::string::npos);
}

TEST(Prompt, PicturesAndSoundsAreRefused) {
    const auto model = chatml();
    const PromptWriter writer(*model.file, model.tokenizer, kContext);
    job::Chat chat = asking("What is this?");
    chat.messages[0].media.push_back(
        {.kind = job::Media::Kind::image, .type = "image/png", .bytes = "x", .url = "", .at = 0});
    const auto refused = writer.chat(chat);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fault, Fault::invalid);
    EXPECT_NE(refused.error().message.find("picture"), std::string::npos);
}

TEST(Prompt, AMiddleIsAskedForByTheModelsOwnTokens) {
    const std::vector<std::string> names{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "B"};
    const job::Completion completion{.prompt = "int x", .echo = false, .suffix = "; return x;"};
    const auto by_name = sample::model_file("", names);
    const PromptWriter writer(*by_name.file, by_name.tokenizer, kContext);
    EXPECT_TRUE(writer.fills_in());
    EXPECT_FALSE(writer.has_template());
    EXPECT_EQ(by_name.spelled(writer.completion(completion).value().ids),
              "<|fim_prefix|>int x<|fim_suffix|>; return x;<|fim_middle|>");
    // The file's word goes before the names, and an older spelling of the keys is known.
    const auto by_key = sample::model_file("", names, [](gguf::Writer& file) {
        file.add("tokenizer.ggml.prefix_token_id", std::uint32_t{256 + 3});
        file.add("tokenizer.ggml.suffix_token_id", std::uint32_t{256});
        file.add("tokenizer.ggml.middle_token_id", std::uint32_t{257});
    });
    const PromptWriter other(*by_key.file, by_key.tokenizer, kContext);
    EXPECT_EQ(by_key.spelled(other.completion(completion).value().ids),
              "Bint x<|fim_prefix|>; return x;<|fim_suffix|>");
    job::Completion echo = completion;
    echo.echo = true;
    EXPECT_FALSE(writer.completion(echo));
}

TEST(Prompt, AModelWithoutThoseTokensRefusesASuffix) {
    const auto model = sample::model_file("", {"<|fim_prefix|>", "<|fim_suffix|>"});
    const PromptWriter writer(*model.file, model.tokenizer, kContext);
    EXPECT_FALSE(writer.fills_in());
    const auto refused =
        writer.completion({.prompt = "int x", .echo = false, .suffix = "; return x;"});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("suffix"), std::string::npos);
}

}  // namespace
}  // namespace trilane::lane
