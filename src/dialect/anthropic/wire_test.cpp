// The wire of Anthropic's API as data: every file of tests/wire/anthropic is a list of cases with a
// request, and what it becomes or why it is refused; some have the events of its answer, and the
// stream and the body that these become.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/base64.h"
#include "dialect/anthropic/anthropic.h"
#include "json/json.h"

namespace trilane::dialect::anthropic {
namespace {

using json::Value;

struct Case {
    std::string id;  // file and name, as GoogleTest wants it
    Value data;
};

void PrintTo(const Case& one, std::ostream* out) {
    *out << one.id;
}

std::string alphanumeric(std::string text) {
    std::replace_if(
        text.begin(), text.end(),
        [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    return text;
}

std::vector<Case> load_cases() {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry :
         std::filesystem::directory_iterator(TRILANE_SOURCE_DIR "/tests/wire/anthropic")) {
        if (entry.path().extension() == ".json") {
            paths.push_back(entry.path());
        }
    }
    std::sort(paths.begin(), paths.end());
    std::vector<Case> cases;
    for (const auto& path : paths) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        const auto file = json::parse(text.str());
        if (!file || !file->is_array()) {
            cases.push_back({alphanumeric(path.stem().string() + " is no list"), nullptr});
            continue;
        }
        for (const Value& one : *file) {
            cases.push_back(
                {alphanumeric(path.stem().string() + " " + one.value("name", "unnamed")), one});
        }
    }
    return cases;
}

/// The shortest decimal that is this float, so that 0.7 in a data file is 0.7 here.
Value short_float(float value) {
    return std::stod(fmt::format("{}", value));
}

Value media_facts(const job::Media& media) {
    return Value::array(
        {media.at, media.type, media.url.empty() ? base64_encoded(media.bytes) : media.url});
}

/// {"user": "text"}, and what else the message has.
Value message_facts(const job::Message& message) {
    Value facts = {{std::string(job::role_name(message.role)), message.content}};
    if (!message.reasoning.empty()) {
        facts["reasoning"] = message.reasoning;
    }
    if (!message.tool_call_id.empty()) {
        facts["of"] = message.tool_call_id;
    }
    for (const job::ToolCall& call : message.tool_calls) {
        facts["calls"].push_back(Value::array({call.id, call.name, call.arguments}));
    }
    for (const job::Media& media : message.media) {
        facts["media"].push_back(media_facts(media));
    }
    return facts;
}

void add_chat(Value& facts, const job::Chat& chat) {
    for (const job::Message& message : chat.messages) {
        facts["messages"].push_back(message_facts(message));
    }
    for (const job::Tool& tool : chat.tools) {
        facts["tools"].push_back(Value::array({tool.name, tool.description, tool.parameters}));
    }
    constexpr const char* kChoices[] = {"automatic", "none", "required", "named"};
    if (chat.tool_choice.kind != job::ToolChoice::Kind::automatic) {
        facts["tool_choice"] = kChoices[static_cast<int>(chat.tool_choice.kind)];
    }
    if (!chat.tool_choice.name.empty()) {
        facts["tool_choice"] = chat.tool_choice.name;
    }
    if (!chat.parallel_tool_calls) {
        facts["parallel_tool_calls"] = false;
    }
    if (chat.continue_last) {
        facts["continue_last"] = true;
    }
    // What everything has that says nothing of thinking.
    auto variables = chat.template_variables;
    if (variables["enable_thinking"] == "false") {
        variables.erase("enable_thinking");
    }
    std::erase_if(variables, [](const auto& one) { return one.second.empty(); });
    for (const auto& [name, text] : variables) {
        facts["variables"][name] = text;
    }
    if (!chat.template_variables.contains("enable_thinking")) {
        facts["variables"]["enable_thinking"] = nullptr;
    }
}

Value job_facts(const Parsed& parsed) {
    const job::Request& request = parsed.job;
    const job::Request usual;
    Value facts = Value::object();
    add_chat(facts, std::get<job::Chat>(request.ask));
    const auto add = [&](const char* name, bool given, const Value& value) {
        if (given) {
            facts[name] = value;
        }
    };
    const job::Sampling& draw = request.sampling;
    add("temperature", draw.temperature != usual.sampling.temperature,
        short_float(draw.temperature));
    add("top_p", draw.top_p != usual.sampling.top_p, short_float(draw.top_p));
    add("top_k", draw.top_k != usual.sampling.top_k, draw.top_k);
    add("stop", !request.stop.empty(), request.stop);
    add("client", !request.client.empty(), request.client);
    add("extra", !request.extra.empty(), request.extra);
    add("schema", request.format.kind == job::Format::Kind::json_schema, request.format.source);
    add("stream", parsed.stream, true);
    constexpr const char* kThinking[] = {"hidden", "shown", "sealed"};
    add("thinking", parsed.thinking != Thinking::hidden,
        kThinking[static_cast<int>(parsed.thinking)]);
    return facts;
}

// Events as the data files write them: {"started": 3}, {"text": "a"}, {"thought": "a"},
// {"call": [index, "id", "name", "arguments"]}, {"end": "stop", "stop_text": "x"},
// {"done": [prompt, cached, completion]}, {"failed": ["timeout", "…"]}.

template <class Enum>
Enum named(const std::string& name, std::initializer_list<std::pair<const char*, Enum>> names) {
    for (const auto& [known, value] : names) {
        if (name == known) {
            return value;
        }
    }
    ADD_FAILURE() << "the data file names " << name;
    return names.begin()->second;
}

job::Event event_of(const Value& event) {
    using job::FinishReason;
    const Value& what = event.front();
    if (event.contains("started")) {
        return job::Started{what.get<std::uint32_t>()};
    }
    if (event.contains("text") || event.contains("thought")) {
        return job::Text{0, what.get<std::string>(), event.contains("thought"), {}};
    }
    if (event.contains("call")) {
        return job::ToolCallPiece{0, what[0].get<std::uint32_t>(), what[1].get<std::string>(),
                                  what[2].get<std::string>(), what[3].get<std::string>()};
    }
    if (event.contains("end")) {
        return job::ChoiceEnd{0,
                              named<FinishReason>(what, {{"stop", FinishReason::stop},
                                                         {"length", FinishReason::length},
                                                         {"tool_calls", FinishReason::tool_calls},
                                                         {"cancelled", FinishReason::cancelled}}),
                              event.value("stop_text", "")};
    }
    if (event.contains("done")) {
        job::Done done;
        done.usage = {what[0].get<std::uint32_t>(), what[1].get<std::uint32_t>(),
                      what[2].get<std::uint32_t>()};
        return done;
    }
    return job::Failed{{named<Fault>(what[0], {{"invalid", Fault::invalid},
                                               {"not_found", Fault::not_found},
                                               {"exhausted", Fault::exhausted},
                                               {"unavailable", Fault::unavailable},
                                               {"timeout", Fault::timeout},
                                               {"internal", Fault::internal}}),
                        what[1]}};
}

/// Splits "event: …\ndata: …\n\n" frames into their data; fails the test on anything else, and
/// where the name is not the data's type.
Value frames_of(std::string_view stream) {
    Value frames = Value::array();
    while (!stream.empty()) {
        const auto end = stream.find("\n\n");
        const auto line = stream.find("\ndata: ");
        EXPECT_TRUE(stream.starts_with("event: ") && end != std::string_view::npos && line < end)
            << stream;
        if (end == std::string_view::npos || line >= end) {
            break;
        }
        const auto data = json::parse(stream.substr(line + 7, end - line - 7));
        EXPECT_TRUE(data) << stream;
        EXPECT_EQ(stream.substr(7, line - 7), data.value_or(Value())["type"].get<std::string>());
        frames.push_back(data.value_or(Value()));
        stream.remove_prefix(end + 2);
    }
    return frames;
}

class AnthropicWire : public testing::TestWithParam<Case> {
protected:
    const Value& data() const { return GetParam().data; }
    const Value& expected() const { return GetParam().data["expected"]; }

    /// The case's request with what all of them need, unless it says otherwise.
    std::string request() const {
        Value request = data().value("request", Value::object());
        if (request.is_string()) {
            return request.get<std::string>();
        }
        const Value usual = {{"model", "m"},
                             {"max_tokens", 9},
                             {"messages", {{{"role", "user"}, {"content", "Hi"}}}}};
        for (const auto& [name, value] : usual.items()) {
            if (!request.contains(name)) {
                request[name] = value;
            }
        }
        return json::dump(request);
    }

    void check_error(const Result<Parsed>& result) const {
        ASSERT_FALSE(result) << "the request was taken";
        EXPECT_EQ(result.error().fault, Fault::invalid);
        const Value body = json::parse(error_body(result.error())).value();
        EXPECT_EQ(body["type"], "error");
        EXPECT_EQ(body["error"]["type"], "invalid_request_error");
        EXPECT_THAT(body["error"]["message"].get<std::string>(),
                    testing::HasSubstr(expected()["error"].get<std::string>()));
    }

    void check_stream(const Parsed& parsed) const {
        StreamWriter writer(parsed);
        std::string stream;
        for (const Value& event : data()["events"]) {
            EXPECT_FALSE(writer.finished());
            stream += writer.on_event(0, event_of(event));
        }
        EXPECT_TRUE(writer.finished());
        EXPECT_EQ(writer.on_event(0, job::Done{}), "");
        EXPECT_EQ(frames_of(stream), expected()["stream"]) << frames_of(stream).dump(1);
    }

    void check_body(const Parsed& parsed) const {
        BodyWriter writer(parsed);
        for (const Value& event : data()["events"]) {
            EXPECT_FALSE(writer.finished());
            EXPECT_EQ(writer.on_event(0, event_of(event)), "");
        }
        ASSERT_TRUE(writer.finished());
        if (writer.error() != nullptr) {
            EXPECT_EQ(json::parse(error_body(*writer.error())).value(), expected()["body"]);
            return;
        }
        const auto body = json::parse(writer.body());
        ASSERT_TRUE(body) << writer.body();
        EXPECT_EQ(*body, expected()["body"]) << body->dump(1);
    }
};

TEST_P(AnthropicWire, Case) {
    ASSERT_TRUE(data().is_object()) << GetParam().id;
    const Result<Parsed> result = parse(request(), {"t", 1700000000, "fp"});
    if (expected().contains("error")) {
        check_error(result);
        return;
    }
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->response_id, "msg_t");
    EXPECT_EQ(result->job.id, "msg_t");
    ASSERT_TRUE(expected().contains("job") || data().contains("events")) << "nothing is expected";
    if (expected().contains("job")) {
        const Value facts = Value::parse(job_facts(*result).dump());
        for (const auto& [name, value] : expected()["job"].items()) {
            EXPECT_EQ(facts.value(name, Value()), value) << name << " in " << facts.dump(1);
        }
        for (const auto& [name, value] : facts.items()) {
            // The usual ones need not be said.
            EXPECT_TRUE(expected()["job"].contains(name) || name == "messages")
                << name << " is " << value;
        }
    }
    if (data().contains("events")) {
        ASSERT_TRUE(expected().contains("stream") && expected().contains("body"));
        check_stream(*result);
        check_body(*result);
    }
}

INSTANTIATE_TEST_SUITE_P(Anthropic, AnthropicWire, testing::ValuesIn(load_cases()),
                         [](const auto& one) { return one.param.id; });

/// The files must be found and hold what they claim to.
TEST(AnthropicWireFiles, AreThere) {
    EXPECT_GE(load_cases().size(), 80U);
}

}  // namespace
}  // namespace trilane::dialect::anthropic
