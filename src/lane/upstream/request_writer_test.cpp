#include "lane/upstream/request_writer.h"

#include <gtest/gtest.h>

#include "json/json.h"
#include "lane/upstream/test_transcripts.h"

namespace trilane::lane::upstream {
namespace {

json::Value body_of(const job::Request& request, const Upstream& server = {"up", "", 0, {}},
                    std::uint32_t choice = 0) {
    const WrittenRequest written = write_request(request, server, choice).value();
    auto body = json::parse(written.body);
    EXPECT_TRUE(body) << written.body;
    return body ? *body : json::Value();
}

TEST(RequestWriterTest, WritesAChatWithEveryParameterSpeltOut) {
    const WrittenRequest written =
        write_request(chat_request("say \"hi\"\n"), {"up", "", 0, {}}).value();
    EXPECT_EQ(written.path, "/chat/completions");
    EXPECT_EQ(
        written.body,
        R"({"model":"up","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"say \"hi\"\n"}],"cache_prompt":true,"temperature":1,"top_k":0,"top_p":1,"min_p":0,"presence_penalty":0,"frequency_penalty":0,"repeat_penalty":1,"repetition_penalty":1})");
    EXPECT_EQ(written.choices, 1U);
    EXPECT_FALSE(written.max_tokens);
}

TEST(RequestWriterTest, WritesTurnsOfToolsAndThoughts) {
    job::Request request;
    job::Chat chat;
    chat.messages.resize(4);
    chat.messages[0] = {job::Role::system, "be brief", "", {}, ""};
    chat.messages[1] = {job::Role::user, "weather?", "", {}, ""};
    chat.messages[2] = {job::Role::assistant,
                        "",
                        "I must look",
                        {{"c1", "weather", R"({"city":"Ulm"})"}, {"c2", "time", "{}"}},
                        ""};
    chat.messages[3] = {job::Role::tool, "sunny", "", {}, "c1"};
    chat.tools = {{"weather", "of a city", R"({"type":"object"})"}, {"time", "", ""}};
    chat.template_variables = {{"enable_thinking", "false"}, {"x", ""}};
    request.ask = chat;
    Upstream server{"up", "", 0, {}};
    json::Value body = body_of(request, server);
    EXPECT_EQ(body["messages"][2], *json::parse(R"({"role":"assistant","content":"",
        "reasoning_content":"I must look","tool_calls":[
        {"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Ulm\"}"}},
        {"id":"c2","type":"function","function":{"name":"time","arguments":"{}"}}]})"));
    EXPECT_EQ(body["messages"][3],
              *json::parse(R"({"role":"tool","content":"sunny","tool_call_id":"c1"})"));
    EXPECT_EQ(body["tools"], *json::parse(R"([{"type":"function","function":{"name":"weather",
        "description":"of a city","parameters":{"type":"object"}}},
        {"type":"function","function":{"name":"time"}}])"));
    EXPECT_EQ(body["chat_template_kwargs"], *json::parse(R"({"enable_thinking":false,"x":null})"));
    EXPECT_FALSE(body.contains("think"));
    server.rules.think_is_a_parameter = true;
    EXPECT_EQ(body_of(request, server)["think"], false);
}

TEST(RequestWriterTest, WritesCompletionsOfTextAndOfIds) {
    job::Request request;
    request.ask = job::Completion{"Once\tupon", true};
    EXPECT_EQ(write_request(request, {})->path, "/completions");
    json::Value body = body_of(request);
    EXPECT_EQ(body["prompt"], "Once\tupon");
    EXPECT_FALSE(body.contains("echo"));  // the shaper's
    request.ask = job::Completion{std::vector<std::int32_t>{1, 22, 333}, true};
    body = body_of(request);
    EXPECT_EQ(body["prompt"], *json::parse("[1,22,333]"));
    EXPECT_EQ(body["echo"], true);
}

job::Request tuned_request() {
    job::Request request = chat_request();
    request.sampling = {0.25F,
                        40,
                        0.9F,
                        0.05F,
                        1.1F,
                        -0.5F,
                        0.5F,
                        {{7, -100.F}, {42, 1.5F}},
                        18'446'744'073'709'551'615U};
    request.choices = 3;
    request.max_tokens = 1;
    request.stop = {"\n", "END"};
    request.top_logprobs = 0;
    request.ignore_end = true;
    return request;
}

TEST(RequestWriterTest, WritesWhatWasTuned) {
    const json::Value body = body_of(tuned_request());
    EXPECT_EQ(body["temperature"], 0.25);
    EXPECT_EQ(body["top_k"], 40);
    EXPECT_EQ(body["top_p"], 0.9);
    EXPECT_EQ(body["min_p"], 0.05);
    EXPECT_EQ(body["repeat_penalty"], 1.1);
    EXPECT_EQ(body["repetition_penalty"], 1.1);
    EXPECT_EQ(body["presence_penalty"], -0.5);
    EXPECT_EQ(body["frequency_penalty"], 0.5);
    EXPECT_EQ(body["logit_bias"], *json::parse(R"({"7":-100,"42":1.5})"));
    EXPECT_EQ(body["seed"], 9'223'372'036'854'775'807);
    EXPECT_EQ(body["n"], 3);
    EXPECT_EQ(body["max_tokens"], 1);
    EXPECT_EQ(body["stop"], *json::parse(R"(["\n","END"])"));
    EXPECT_EQ(body["ignore_eos"], true);
    EXPECT_EQ(body["logprobs"], true);
    EXPECT_EQ(body["top_logprobs"], 1);
    job::Request completion = tuned_request();
    completion.ask = job::Completion{"x", false};
    completion.top_logprobs = 5;
    EXPECT_EQ(body_of(completion)["logprobs"], 5);
}

TEST(RequestWriterTest, KeepsTheRulesOfTheNpuServer) {
    Upstream server{"qwen3:0.6b", "", 4096, {}};
    server.rules.max_tokens_min = 2;
    server.rules.single_choice = true;
    server.rules.stops_ignored = true;
    server.rules.integer_min_p = true;
    server.rules.never_says_length = true;
    job::Request request = tuned_request();
    request.sampling.seed = 5;
    const WrittenRequest written = write_request(request, server, 2).value();
    EXPECT_EQ(written.choices, 1U);
    EXPECT_EQ(written.max_tokens, 2U);
    const json::Value body = body_of(request, server, 2);
    EXPECT_FALSE(body.contains("n"));
    EXPECT_FALSE(body.contains("stop"));
    EXPECT_EQ(body["max_tokens"], 2);
    EXPECT_EQ(body["seed"], 7);
    EXPECT_TRUE(body["min_p"].is_number_integer());
    EXPECT_EQ(body["min_p"], 0);
    request.max_tokens.reset();
    EXPECT_EQ(body_of(request, server)["max_tokens"], 4096);
}

TEST(RequestWriterTest, SendsStrangersOnlyWhatDiffers) {
    Upstream server{"gpt", "", 0, {}};
    server.rules.sparse_parameters = true;
    EXPECT_EQ(
        write_request(chat_request("x"), server)->body,
        R"({"model":"gpt","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]})");
    job::Request request = chat_request("x");
    request.sampling.top_p = 0.5F;
    const json::Value body = body_of(request, server);
    EXPECT_EQ(body["top_p"], 0.5);
    EXPECT_FALSE(body.contains("temperature"));
}

TEST(RequestWriterTest, PassesExtraFieldsThatAreNotItsOwn) {
    job::Request request = chat_request("x");
    request.extra = {{"response_format", R"({"type":"json_object"})"},
                     {"model", "\"other\""},
                     {"stream", "false"},
                     {"tool_choice", "\"auto\""},
                     {"empty", ""},
                     {"chat_template_kwargs", R"({"a":1})"}};
    json::Value body = body_of(request);
    EXPECT_EQ(body["response_format"], *json::parse(R"({"type":"json_object"})"));
    EXPECT_EQ(body["tool_choice"], "auto");
    EXPECT_EQ(body["model"], "up");
    EXPECT_EQ(body["stream"], true);
    EXPECT_FALSE(body.contains("empty"));
    EXPECT_EQ(body["chat_template_kwargs"], *json::parse(R"({"a":1})"));
    std::get<job::Chat>(request.ask).template_variables = {{"b", "2"}};
    body = body_of(request);
    EXPECT_EQ(body["chat_template_kwargs"], *json::parse(R"({"b":2})"));
}

Upstream llama() {
    Upstream server{"up", "", 0, {}};
    server.rules.formats = UpstreamFormats::grammars;
    server.rules.tool_choice = UpstreamToolChoice::words;
    server.rules.continuing = UpstreamContinuing::by_last_message;
    server.rules.infill = true;
    return server;
}

Upstream npu() {
    Upstream server{"up", "", 0, {}};
    server.rules.formats = UpstreamFormats::none;
    server.rules.tool_choice = UpstreamToolChoice::none;
    server.rules.continuing = UpstreamContinuing::never;
    return server;
}

std::string refusal(const job::Request& request, const Upstream& server) {
    const auto written = write_request(request, server);
    EXPECT_FALSE(written) << written->body;
    return written ? "" : written.error().message;
}

TEST(RequestWriterTest, WritesFormatsAsTheServerTakesThem) {
    job::Request request = chat_request("x");
    request.format = {job::Format::Kind::json_schema, R"({"type":"array"})", "list", true, {}};
    request.extra = {{"response_format", R"({"type":"text"})"}};
    const json::Value schema = *json::parse(
        R"({"type":"json_schema","json_schema":{"name":"list","strict":true,"schema":{"type":"array"}}})");
    EXPECT_EQ(body_of(request)["response_format"], schema);
    EXPECT_EQ(body_of(request, llama())["response_format"], schema);
    EXPECT_NE(refusal(request, npu()).find("cannot be held to a format"), std::string::npos);
    job::Request completion = request;
    completion.ask = job::Completion{"x", false};
    EXPECT_EQ(body_of(completion, llama())["json_schema"], *json::parse(R"({"type":"array"})"));
    request.format = {job::Format::Kind::json_object, "", "", false, {}};
    EXPECT_EQ(body_of(request)["response_format"], *json::parse(R"({"type":"json_object"})"));
    request.format = {job::Format::Kind::gbnf, "root ::= \"a\"", "", false, {}};
    EXPECT_EQ(body_of(request, llama())["grammar"], "root ::= \"a\"");
    EXPECT_NE(refusal(request, {"up", "", 0, {}}).find("JSON schemas only"), std::string::npos);
    request.format = {job::Format::Kind::choice, "", "", false, {"yes", "no"}};
    EXPECT_EQ(body_of(request, llama())["grammar"], R"(root ::= "yes" | "no")");
    request.format = {job::Format::Kind::regex, "a+", "", false, {}};
    EXPECT_EQ(body_of(request, llama())["grammar"], R"(root ::= "a"+)");
    request.format.source = "(?<=a)";
    EXPECT_NE(refusal(request, llama()).find("regex: "), std::string::npos);
}

TEST(RequestWriterTest, WritesWhichToolsMayBeCalled) {
    using Kind = job::ToolChoice::Kind;
    job::Request request = chat_request("x");
    auto& chat = std::get<job::Chat>(request.ask);
    chat.tools = {{"a", "", ""}, {"b", "", ""}};
    EXPECT_FALSE(body_of(request).contains("tool_choice"));
    EXPECT_EQ(body_of(request)["parallel_tool_calls"], true);
    chat.parallel_tool_calls = false;
    chat.tool_choice = {Kind::named, "b"};
    json::Value body = body_of(request);
    EXPECT_EQ(body["tool_choice"], *json::parse(R"({"type":"function","function":{"name":"b"}})"));
    EXPECT_EQ(body["tools"].size(), 2U);
    EXPECT_EQ(body["parallel_tool_calls"], false);
    body = body_of(request, llama());
    EXPECT_EQ(body["tool_choice"], "required");
    EXPECT_EQ(body["tools"], *json::parse(R"([{"type":"function","function":{"name":"b"}}])"));
    EXPECT_NE(refusal(request, npu()).find("cannot be made to call a tool"), std::string::npos);
    chat.tool_choice = {Kind::none, ""};
    EXPECT_EQ(body_of(request)["tool_choice"], "none");
    EXPECT_FALSE(body_of(request, npu()).contains("tools"));
    chat.tool_choice = {Kind::required, ""};
    EXPECT_EQ(body_of(request)["tool_choice"], "required");
}

TEST(RequestWriterTest, WritesPicturesAndSoundsWhereTheyStand) {
    job::Request request = chat_request("see this, hear that");
    auto& message = std::get<job::Chat>(request.ask).messages[0];
    message.media = {{job::Media::Kind::image, "image/jpeg", "abc", "", 9},
                     {job::Media::Kind::audio, "audio/mpeg", "d", "", 19}};
    EXPECT_EQ(body_of(request)["messages"][0]["content"], *json::parse(R"([
        {"type":"text","text":"see this,"},
        {"type":"image_url","image_url":{"url":"data:image/jpeg;base64,YWJj"}},
        {"type":"text","text":" hear that"},
        {"type":"input_audio","input_audio":{"data":"ZA==","format":"mp3"}}])"));
    message.media = {{job::Media::Kind::image, "", "", "https://example.org/a.png", 0}};
    EXPECT_NE(refusal(request, llama()).find("send the picture itself"), std::string::npos);
    Upstream remote{"up", "", 0, {}};
    remote.rules.fetches_urls = true;
    EXPECT_EQ(body_of(request, remote)["messages"][0]["content"][0]["image_url"]["url"],
              "https://example.org/a.png");
}

TEST(RequestWriterTest, WritesWhatStandsAfterwards) {
    job::Request request;
    job::Completion completion{"def f(", false};
    completion.suffix = "return 1";
    request.ask = completion;
    request.max_tokens = 5;
    WrittenRequest written = write_request(request, llama()).value();
    EXPECT_EQ(written.path, "/infill");
    EXPECT_TRUE(written.at_root);
    json::Value body = *json::parse(written.body);
    EXPECT_EQ(body["input_prefix"], "def f(");
    EXPECT_EQ(body["input_suffix"], "return 1");
    EXPECT_EQ(body["n_predict"], 5);
    written = write_request(request, {"up", "", 0, {}}).value();
    EXPECT_EQ(written.path, "/completions");
    body = *json::parse(written.body);
    EXPECT_EQ(body["prompt"], "def f(");
    EXPECT_EQ(body["suffix"], "return 1");
    completion.prompt = std::vector<std::int32_t>{1};
    request.ask = completion;
    EXPECT_NE(refusal(request, llama()).find("must be a text"), std::string::npos);
}

TEST(RequestWriterTest, GoesOnWithTheLastMessage) {
    job::Request request = chat_request("x");
    auto& chat = std::get<job::Chat>(request.ask);
    chat.messages.push_back({job::Role::assistant, "I th", "", {}, ""});
    chat.continue_last = true;
    const json::Value body = body_of(request);
    EXPECT_EQ(body["continue_final_message"], true);
    EXPECT_EQ(body["add_generation_prompt"], false);
    EXPECT_FALSE(body_of(request, llama()).contains("continue_final_message"));
    EXPECT_NE(refusal(request, npu()).find("cannot go on"), std::string::npos);
}

}  // namespace
}  // namespace trilane::lane::upstream
