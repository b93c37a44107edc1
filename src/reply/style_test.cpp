// Which style a chat template speaks, and that every style reads the openings it offers.
#include "reply/style.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <sstream>

#include "reply/reader.h"

namespace trilane::reply {
namespace {

std::string template_of(const std::string& family) {
    std::ifstream file(std::string(TRILANE_SOURCE_DIR "/tests/templates/") + family + ".jinja");
    EXPECT_TRUE(file.good()) << family;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

Style style(const std::string& chat_template, std::string_view token = "") {
    return style_of(chat_template, [&](std::string_view name) { return name == token; });
}

TEST(Style, IsReadFromTheTemplate) {
    EXPECT_EQ(style(template_of("hermes")).calls, Calls::hermes);
    EXPECT_EQ(style(template_of("qwen2_5")).calls, Calls::hermes);
    EXPECT_EQ(style(template_of("qwen3")).calls, Calls::hermes);
    EXPECT_EQ(style(template_of("llama3_tools")).calls, Calls::llama);
    EXPECT_EQ(style(template_of("mistral_tools")).calls, Calls::mistral);
    EXPECT_EQ(style(template_of("phi4_mini")).calls, Calls::phi);
    EXPECT_EQ(style(template_of("deepseek_r1")).calls, Calls::deepseek);
    EXPECT_EQ(style("{{ '[TOOL_CALLS]' ~ name ~ '[ARGS]' }}").calls, Calls::mistral_named);
    EXPECT_EQ(style("<tool_call><function=x><parameter=y>").calls, Calls::xml);
    EXPECT_EQ(style("{{ tools }}", "<|python_tag|>").calls, Calls::llama);
    EXPECT_EQ(style(template_of("chatml")).calls, Calls::hermes);
}

TEST(Style, ThinkingIsReadFromTheTemplateOrTheTokens) {
    EXPECT_TRUE(style(template_of("qwen3")).thinks);
    EXPECT_TRUE(style(template_of("deepseek_r1")).thinks);
    EXPECT_FALSE(style(template_of("llama3_tools")).thinks);
    const Style magistral = style("[THINK]{{ thoughts }}[/THINK]");
    EXPECT_TRUE(magistral.thinks);
    EXPECT_EQ(magistral.think_close, "[/THINK]");
    const Style token = style("", "<thinking>");
    EXPECT_FALSE(token.thinks);
    EXPECT_EQ(token.think_open, "<thinking>");
}

/// What an answer is made to hold is what is read of it.
TEST(Style, EveryFrameIsReadAsItsCalls) {
    constexpr std::array kAll{Calls::hermes,        Calls::xml, Calls::llama,   Calls::mistral,
                              Calls::mistral_named, Calls::phi, Calls::deepseek};
    const std::vector<job::Tool> tools{{"get_time", "", "{}"}};
    const std::string arguments = R"({"zone": "UTC"})";
    for (const Calls calls : kAll) {
        SCOPED_TRACE(static_cast<int>(calls));
        Style own;
        own.calls = calls;
        ReaderOptions options;
        options.tools = tools;
        ReplyReader reader(own, options);
        const CallFrame frame = call_frame(calls);
        const std::string call = std::string(frame.before_name) + "get_time" +
                                 std::string(frame.after_name) + arguments +
                                 std::string(frame.after_arguments);
        std::string text(frame.open);
        text += call + std::string(frame.between) + call + std::string(frame.close);
        const auto pieces = reader.feed(text);
        ASSERT_EQ(pieces.size(), 2U);
        for (const Piece& piece : pieces) {
            ASSERT_TRUE(std::holds_alternative<job::ToolCallPiece>(piece));
            EXPECT_EQ(std::get<job::ToolCallPiece>(piece).name, "get_time");
            EXPECT_EQ(std::get<job::ToolCallPiece>(piece).arguments, arguments);
        }
        EXPECT_TRUE(reader.finish().empty());
    }
}

TEST(Style, MarkersNameWhatMustBeSeen) {
    const auto has = [](const Style& own, std::string_view mark) {
        const auto all = markers(own);
        return std::find(all.begin(), all.end(), mark) != all.end();
    };
    EXPECT_TRUE(has(style(template_of("llama3_tools")), "<|python_tag|>"));
    EXPECT_TRUE(has(style(template_of("mistral_tools")), "[TOOL_CALLS]"));
    EXPECT_TRUE(has(style(template_of("qwen3")), "</think>"));
    EXPECT_TRUE(has(style("[TOOL_CALLS][ARGS]"), "[ARGS]"));
}

}  // namespace
}  // namespace trilane::reply
