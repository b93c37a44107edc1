// What is found out about the templates of every family, and that tools reach the prompt of each.
#include "lane/native/chat_values.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "json/json.h"
#include "lane/native/message_test.h"

namespace trilane::lane {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(TRILANE_SOURCE_DIR) / "tests/templates";

chat::Template family(const std::string& name) {
    std::ifstream file(kFolder / (name + ".jinja"), std::ios::binary);
    EXPECT_TRUE(file.good()) << name;
    std::stringstream text;
    text << file.rdbuf();
    return chat::Template::compile(text.str()).value();
}

const SpecialTexts kTexts{"<s>", "</s>"};

/// A conversation with two calls in one message, their results, and a question after them.
job::Chat tool_chat() {
    job::Chat chat;
    chat.messages = {said(job::Role::user, "Weather in Paris and Rome?"),
                     said(job::Role::assistant, ""),
                     said(job::Role::tool, "sunny in P"),
                     said(job::Role::tool, "rain in R"),
                     said(job::Role::assistant, "Sun and rain."),
                     said(job::Role::user, "Thanks.")};
    chat.messages[1].tool_calls = {{"call_aaaa", "get_weather", R"({"city": "Paris"})"},
                                   {"call_bbbb", "get_weather", R"({"city": "Rome"})"}};
    chat.messages[2].tool_call_id = "call_aaaa";
    chat.messages[3].tool_call_id = "call_bbbb";
    chat.tools = {{"get_weather", "Weather of a city",
                   R"({"type": "object", "properties": {"city": {"type": "string"}}})"}};
    return chat;
}

Result<std::string> render(const chat::Template& own, const job::Chat& chat,
                           const TemplateTraits& traits) {
    return own.render(chat_values(chat, traits, reply::Calls::hermes, kTexts,
                                  [](std::string_view text) { return std::string(text); }));
}

class EveryFamily : public testing::TestWithParam<std::string> {};

TEST_P(EveryFamily, ShowsToolsCallsAndResults) {
    const chat::Template own = family(GetParam());
    const TemplateTraits traits = traits_of(own, kTexts);
    const auto text = render(own, tool_chat(), traits);
    ASSERT_TRUE(text) << text.error().message;
    for (const std::string_view word :
         {"Weather of a city", "Weather in Paris and Rome?", "Paris\"", "sunny in P", "Thanks."}) {
        EXPECT_NE(text->find(word), std::string::npos) << word << " is not in:\n" << *text;
    }
    EXPECT_LT(text->find("Weather in Paris"), text->find("sunny in P"));
}

TEST_P(EveryFamily, ShowsTheSystemsMessage) {
    const chat::Template own = family(GetParam());
    job::Chat chat;
    chat.messages = {said(job::Role::system, "Be brief."), said(job::Role::user, "Hello.")};
    const auto text = render(own, chat, traits_of(own, kTexts));
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_NE(text->find("Be brief."), std::string::npos) << *text;
    EXPECT_NE(text->find("Hello."), std::string::npos) << *text;
}

std::vector<std::string> families() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
        if (entry.path().extension() == ".jinja") {
            names.push_back(entry.path().stem().string());
        }
    }
    return names;
}

INSTANTIATE_TEST_SUITE_P(Templates, EveryFamily, testing::ValuesIn(families()),
                         [](const auto& one) { return one.param; });

TEST(TemplateTraits, AreFoundOut) {
    const auto traits = [](const std::string& name) { return traits_of(family(name), kTexts); };
    EXPECT_TRUE(traits("qwen3").shows_tools);
    EXPECT_TRUE(traits("qwen3").shows_calls);
    EXPECT_TRUE(traits("qwen3").shows_results);
    EXPECT_FALSE(traits("qwen3").one_call_each);
    EXPECT_FALSE(traits("qwen3").tools_need_system);
    EXPECT_TRUE(traits("llama3_tools").one_call_each);
    EXPECT_TRUE(traits("mistral_tools").short_ids);
    EXPECT_TRUE(traits("phi4_mini").tools_need_system);
    EXPECT_TRUE(traits("deepseek_r1").null_content);
    EXPECT_FALSE(traits("deepseek_r1").shows_tools);
    EXPECT_FALSE(traits("chatml").shows_tools);
    EXPECT_FALSE(traits("chatml").shows_calls);
    EXPECT_FALSE(traits("gemma2").shows_system);
    EXPECT_TRUE(traits("chatml").shows_system);
}

TEST(TemplateTraits, ArgumentsAsTextAndContentInParts) {
    const auto own = chat::Template::compile(
                         "{% for m in messages %}{{ m.role }}:{% for part in m.content %}"
                         "{{ part.text }}{% endfor %}{% for c in m.tool_calls or [] %}"
                         "{{ c.function.name + c.function.arguments }}{% endfor %}\n{% endfor %}")
                         .value();
    const TemplateTraits traits = traits_of(own, kTexts);
    EXPECT_TRUE(traits.content_in_parts);
    EXPECT_TRUE(traits.arguments_as_text);
    const auto text = render(own, tool_chat(), traits);
    ASSERT_TRUE(text);
    EXPECT_NE(text->find(R"(get_weather{"city": "Paris"})"), std::string::npos) << *text;
}

TEST(ChatValues, TemplatesWithoutToolsGetThemInWords) {
    const chat::Template own = family("chatml");
    const auto text = render(own, tool_chat(), traits_of(own, kTexts));
    ASSERT_TRUE(text);
    EXPECT_NE(text->find("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
                         "\"Rome\"}}\n</tool_call>"),
              std::string::npos)
        << *text;
    EXPECT_NE(text->find("<|im_start|>user\n<tool_response>\nsunny in P\n</tool_response>\n"
                         "<tool_response>\nrain in R\n</tool_response>"),
              std::string::npos)
        << *text;
}

TEST(ChatValues, ShortIdsStayApart) {
    const chat::Template own = family("mistral_tools");
    job::Chat chat = tool_chat();
    const TemplateTraits traits = traits_of(own, kTexts);
    const json::Value values = chat_values(chat, traits, reply::Calls::mistral, kTexts,
                                           [](std::string_view text) { return std::string(text); });
    const json::Value& messages = values["messages"];
    const std::string first = messages[1]["tool_calls"][0]["id"];
    EXPECT_EQ(first.size(), 9U);
    EXPECT_NE(first, messages[1]["tool_calls"][1]["id"].get<std::string>());
    EXPECT_EQ(first, messages[2]["tool_call_id"].get<std::string>());
    EXPECT_EQ(messages[2]["name"], "get_weather");
}

}  // namespace
}  // namespace trilane::lane
