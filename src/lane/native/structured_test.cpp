// The native lane on the bundled model: answers that are more than text, and asks about tokens.
// The model was never taught to call tools; what holds it to calls is the grammar.

#include <gtest/gtest.h>

#include <regex>

#include "json/json.h"
#include "lane/native/native_rig.h"

namespace trilane::lane {
namespace {

const std::string kWeather =
    R"({"type": "object", "properties": {"city": {"type": "string", "maxLength": 12},)"
    R"( "unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},)"
    R"( "required": ["city", "unit", "days"], "additionalProperties": false})";
const std::string kTime = R"({"type": "object", "properties": {"zone": {"enum": ["UTC", "CET"]}},)"
                          R"( "required": ["zone"], "additionalProperties": false})";

job::Request asking_for_tools(job::ToolChoice choice) {
    job::Request request = chat("What is the weather in Paris?", 200);
    auto& ask = std::get<job::Chat>(request.ask);
    ask.tools = {{"get_weather", "Weather of a city", kWeather},
                 {"get_time", "Time of a zone", kTime}};
    ask.tool_choice = std::move(choice);
    ask.parallel_tool_calls = false;
    return request;
}

/// The calls of one choice, their pieces joined.
std::vector<job::ToolCall> calls_of(const NativeAnswer& answer, std::uint32_t choice = 0) {
    std::vector<job::ToolCall> calls;
    for (const job::Event& event : answer.events) {
        const auto* piece = std::get_if<job::ToolCallPiece>(&event);
        if (piece == nullptr || piece->choice != choice) {
            continue;
        }
        if (!piece->name.empty()) {
            EXPECT_EQ(piece->index, calls.size());
            calls.push_back({piece->id, piece->name, ""});
        }
        calls.at(piece->index).arguments += piece->arguments;
    }
    return calls;
}

void expect_weather(const job::ToolCall& call) {
    EXPECT_TRUE(call.id.starts_with("call_"));
    EXPECT_EQ(call.name, "get_weather");
    const auto arguments = json::parse(call.arguments);
    ASSERT_TRUE(arguments) << call.arguments;
    ASSERT_EQ(arguments->size(), 3U) << call.arguments;
    EXPECT_TRUE((*arguments)["city"].is_string());
    EXPECT_TRUE((*arguments)["unit"] == "C" || (*arguments)["unit"] == "F") << call.arguments;
    EXPECT_GE((*arguments)["days"].get<int>(), 1);
    EXPECT_LE((*arguments)["days"].get<int>(), 9);
}

TEST(NativeStructured, ANamedToolIsCalledByItsSchema) {
    const auto lane = open();
    const NativeAnswer answer = ask_native(
        *lane, asking_for_tools({.kind = job::ToolChoice::Kind::named, .name = "get_weather"}));
    EXPECT_EQ(answer.reason, job::FinishReason::tool_calls);
    EXPECT_EQ(answer.text, "");
    const auto calls = calls_of(answer);
    ASSERT_EQ(calls.size(), 1U);
    expect_weather(calls[0]);
}

TEST(NativeStructured, ARequiredCallIsOneOfTheTools) {
    const auto lane = open();
    job::Request request = asking_for_tools({.kind = job::ToolChoice::Kind::required, .name = ""});
    request.choices = 4;
    request.sampling.temperature = 1.0F;
    request.sampling.seed = 5;
    const NativeAnswer answer = ask_native(*lane, request);
    EXPECT_EQ(answer.ends, 4U);
    for (std::uint32_t choice = 0; choice < 4; ++choice) {
        const auto calls = calls_of(answer, choice);
        ASSERT_EQ(calls.size(), 1U) << choice;
        if (calls[0].name == "get_weather") {
            expect_weather(calls[0]);
        } else {
            EXPECT_EQ(calls[0].name, "get_time");
            const auto arguments = json::parse(calls[0].arguments);
            ASSERT_TRUE(arguments) << calls[0].arguments;
            ASSERT_EQ(arguments->size(), 1U);
            EXPECT_TRUE((*arguments)["zone"] == "UTC" || (*arguments)["zone"] == "CET")
                << calls[0].arguments;
        }
    }
}

TEST(NativeStructured, AToolThatIsNotThereIsRefused) {
    const auto lane = open();
    const NativeAnswer answer =
        ask_native(*lane, asking_for_tools({.kind = job::ToolChoice::Kind::named, .name = "rm"}));
    ASSERT_TRUE(answer.error.has_value());
    EXPECT_EQ(answer.error->fault, Fault::invalid);
}

TEST(NativeStructured, ToolsThatMayBeCalledLeaveTheAnswerFree) {
    const auto lane = open();
    const NativeAnswer answer =
        ask_native(*lane, asking_for_tools({.kind = job::ToolChoice::Kind::automatic, .name = ""}));
    EXPECT_FALSE(answer.error.has_value());
    EXPECT_FALSE(answer.text.empty());
    EXPECT_TRUE(calls_of(answer).empty());
    EXPECT_NE(answer.reason, job::FinishReason::tool_calls);
}

TEST(NativeStructured, AFormatIsKept) {
    const auto lane = open();
    job::Request request = chat("Tell me about the weather.", 200);
    request.format = {.kind = job::Format::Kind::json_schema,
                      .source = kWeather,
                      .name = "w",
                      .strict = true,
                      .choices = {}};
    const auto weather = json::parse(ask_native(*lane, request).text);
    ASSERT_TRUE(weather);
    EXPECT_EQ(weather->size(), 3U);
    request.format = {.kind = job::Format::Kind::choice,
                      .source = "",
                      .name = "",
                      .strict = false,
                      .choices = {"good weather", "bad weather"}};
    const NativeAnswer choice = ask_native(*lane, request);
    EXPECT_TRUE(choice.text == "good weather" || choice.text == "bad weather") << choice.text;
    EXPECT_EQ(choice.reason, job::FinishReason::stop);
    request.format = {.kind = job::Format::Kind::regex,
                      .source = "[0-9]{2}:[0-9]{2}",
                      .name = "",
                      .strict = false,
                      .choices = {}};
    EXPECT_TRUE(std::regex_match(ask_native(*lane, request).text, std::regex("[0-9]{2}:[0-9]{2}")));
    request.format = {.kind = job::Format::Kind::gbnf,
                      .source = "root ::= \"yes\" | \"no\"",
                      .name = "",
                      .strict = false,
                      .choices = {}};
    const std::string word = ask_native(*lane, request).text;
    EXPECT_TRUE(word == "yes" || word == "no") << word;
}

TEST(NativeStructured, AFormatBindsCompletionsToo) {
    const auto lane = open();
    job::Request request = completion("The number is ", 20);
    request.format = {.kind = job::Format::Kind::regex,
                      .source = "[1-9][0-9]",
                      .name = "",
                      .strict = false,
                      .choices = {}};
    EXPECT_TRUE(std::regex_match(ask_native(*lane, request).text, std::regex("[1-9][0-9]")));
}

TEST(NativeStructured, AFormatBesideToolsIsTheFormOfTheText) {
    const auto lane = open();
    job::Request request = asking_for_tools({.kind = job::ToolChoice::Kind::automatic, .name = ""});
    request.format = {.kind = job::Format::Kind::choice,
                      .source = "",
                      .name = "",
                      .strict = false,
                      .choices = {"sunny", "rainy"}};
    const NativeAnswer answer = ask_native(*lane, request);
    ASSERT_FALSE(answer.error.has_value()) << answer.error->message;
    if (calls_of(answer).empty()) {
        EXPECT_TRUE(answer.text == "sunny" || answer.text == "rainy") << answer.text;
    } else {
        EXPECT_EQ(answer.reason, job::FinishReason::tool_calls);
    }
}

TEST(NativeStructured, AFormatThatCannotBeReadIsRefused) {
    const auto lane = open();
    job::Request request = chat("Hello.");
    request.format = {.kind = job::Format::Kind::gbnf,
                      .source = "root ::= (",
                      .name = "",
                      .strict = false,
                      .choices = {}};
    const NativeAnswer answer = ask_native(*lane, request);
    ASSERT_TRUE(answer.error.has_value());
    EXPECT_EQ(answer.error->fault, Fault::invalid);
}

TEST(NativeStructured, AnAnswerThatWasBegunGoesOn) {
    const auto lane = open();
    job::Request request = chat("Tell me a short story about a dog and a red ball.", 30);
    const NativeAnswer whole = ask_native(*lane, request);
    auto& messages = std::get<job::Chat>(request.ask).messages;
    const std::string begun = "Once upon a time, there was a";
    ASSERT_TRUE(whole.text.starts_with(begun));
    messages.push_back(message(job::Role::assistant, begun));
    std::get<job::Chat>(request.ask).continue_last = true;
    const NativeAnswer rest = ask_native(*lane, request);
    EXPECT_TRUE((begun + rest.text).starts_with(whole.text)) << rest.text;
}

TEST(NativeStructured, TheStopTextIsNamed) {
    const auto lane = open();
    job::Request request = completion("Once upon a time", 40);
    request.stop = {"zzzz", "was"};
    const NativeAnswer answer = ask_native(*lane, request);
    EXPECT_EQ(answer.stop_text, "was");
    EXPECT_EQ(answer.text.find("was"), std::string::npos);
    request.stop = {"zzzz"};
    EXPECT_EQ(ask_native(*lane, request).stop_text, "");
}

TEST(NativeStructured, TokensAreToldWithoutASlot) {
    const auto lane = open(1);
    Collector running;
    job::Request busy = chat("Tell me a long story.", 900);
    busy.ignore_end = true;
    const CancelToken cancel;
    lane->submit(busy, running.sink(), cancel);
    running.wait_for_text();  // the only slot is taken
    job::Request request;
    request.ask = job::Tokenize{
        .text = "Once upon a time<|end|>", .add_special = true, .parse_special = true};
    const NativeAnswer tokens = ask_native(*lane, request);
    ASSERT_TRUE(tokens.done.has_value());
    ASSERT_EQ(tokens.events.size(), 2U);
    const auto told = std::get<job::Tokens>(tokens.events[0]);
    EXPECT_EQ(told.ids.back(), 2);  // <|end|>
    EXPECT_EQ(told.ids.size(), told.pieces.size());
    EXPECT_EQ(tokens.done->usage.prompt_tokens, told.ids.size());
    request.ask = job::Detokenize{.ids = told.ids};
    EXPECT_TRUE(ask_native(*lane, request).text.ends_with("Once upon a time<|end|>"));
    request.ask = job::Detokenize{.ids = {70000}};
    EXPECT_EQ(ask_native(*lane, request).error->fault, Fault::invalid);
    cancel.cancel();
    running.answer();
}

TEST(NativeStructured, CountingSaysWhatAnsweringUses) {
    const auto lane = open();
    const job::Request request =
        asking_for_tools({.kind = job::ToolChoice::Kind::automatic, .name = ""});
    job::Request count;
    count.ask = job::CountTokens{std::get<job::Chat>(request.ask)};
    const NativeAnswer counted = ask_native(*lane, count);
    ASSERT_TRUE(counted.done.has_value());
    EXPECT_GT(counted.done->usage.prompt_tokens, 50U);
    EXPECT_EQ(counted.done->usage.prompt_tokens,
              ask_native(*lane, request).done->usage.prompt_tokens);
    EXPECT_EQ(counted.done->usage.completion_tokens, 0U);
}

TEST(NativeStructured, SaysWhatItCanDo) {
    const auto lane = open();
    const job::Abilities& can = lane->card().abilities;
    EXPECT_TRUE(can.chat && can.complete && can.tools);
    EXPECT_FALSE(can.insert || can.thinking || can.vision || can.hearing);
    job::Request request;
    request.ask = job::Completion{.prompt = "int x", .echo = false, .suffix = "; }"};
    EXPECT_EQ(ask_native(*lane, request).error->fault, Fault::invalid);
    job::Request picture = chat("What is this?");
    std::get<job::Chat>(picture.ask)
        .messages[0]
        .media.push_back({.kind = job::Media::Kind::image,
                          .type = "image/png",
                          .bytes = "x",
                          .url = "",
                          .at = 0});
    EXPECT_EQ(ask_native(*lane, picture).error->fault, Fault::invalid);
}

}  // namespace
}  // namespace trilane::lane
