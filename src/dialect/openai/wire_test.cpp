// Runs the cases of tests/wire/openai: a request body in, job facts or an error out; events in,
// stream chunks and a whole body out. A new case is a new entry in a data file, not code.
//
// A file holds one case or an array of them:
//   name, endpoint ("chat" | "completions"), request (an object, or a string sent as it stands),
//   events, expected: {jobs, delivery} or {error: {param, message}}, and {stream, body} or
//   {stream_error, body_error}.
// `jobs` lists every fact that differs from job::Request's defaults; `error.message` is a part of
// the message; `stream` leaves out what all chunks share (id, object, created, model, fingerprint),
// which is checked for each of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::dialect::openai {
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
         std::filesystem::directory_iterator(TRILANE_SOURCE_DIR "/tests/wire/openai")) {
        if (entry.path().extension() == ".json") {
            paths.push_back(entry.path());
        }
    }
    std::sort(paths.begin(), paths.end());
    std::vector<Case> cases;
    for (const auto& path : paths) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        auto file = json::parse(text.str());
        if (!file) {
            cases.push_back({alphanumeric(path.stem().string() + " is not JSON"), nullptr});
            continue;
        }
        const Value list = file->is_array() ? *file : Value::array({*file});
        for (const Value& one : list) {
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

Value fact(bool value) {
    return value;
}
Value fact(std::int32_t value) {
    return value;
}
Value fact(std::uint32_t value) {
    return value;
}
Value fact(float value) {
    return short_float(value);
}
Value fact(const std::string& value) {
    return value;
}
Value fact(const std::vector<std::string>& value) {
    return value;
}
template <class T>
Value fact(const std::optional<T>& value) {
    return value ? Value(*value) : Value();
}
Value fact(const std::map<std::string, std::string>& texts) {
    Value all = Value::object();
    for (const auto& [name, text] : texts) {
        all[name] = text;
    }
    return all;
}
Value fact(const std::map<std::int32_t, float>& biases) {
    Value all = Value::object();
    for (const auto& [id, bias] : biases) {
        all[std::to_string(id)] = short_float(bias);
    }
    return all;
}

template <class T>
void add_fact(Value& facts, const char* name, const T& value, const T& usual) {
    if (value != usual) {
        facts[name] = fact(value);
    }
}

Value message_facts(const job::Message& message) {
    constexpr const char* kRoles[] = {"system", "user", "assistant", "tool"};
    Value facts = {{"role", kRoles[static_cast<int>(message.role)]}, {"content", message.content}};
    add_fact(facts, "reasoning", message.reasoning, {});
    add_fact(facts, "tool_call_id", message.tool_call_id, {});
    for (const job::Media& one : message.media) {
        const bool image = one.kind == job::Media::Kind::image;
        facts["media"].push_back(Value::array(
            {image ? "image" : "audio", one.type, one.url.empty() ? one.bytes : one.url, one.at}));
    }
    for (const job::ToolCall& call : message.tool_calls) {
        facts["tool_calls"].push_back(Value::array({call.id, call.name, call.arguments}));
    }
    return facts;
}

void add_ask(Value& facts, const job::Request& request) {
    if (const auto* completion = std::get_if<job::Completion>(&request.ask)) {
        std::visit([&](const auto& prompt) { facts["prompt"] = prompt; }, completion->prompt);
        add_fact(facts, "echo", completion->echo, false);
        add_fact(facts, "suffix", completion->suffix, {});
        return;
    }
    const auto& chat = std::get<job::Chat>(request.ask);
    for (const job::Message& message : chat.messages) {
        facts["messages"].push_back(message_facts(message));
    }
    for (const job::Tool& tool : chat.tools) {
        facts["tools"].push_back(Value::array({tool.name, tool.description, tool.parameters}));
    }
    constexpr const char* kChoices[] = {"auto", "none", "required", "named"};
    if (chat.tool_choice.kind != job::ToolChoice::Kind::automatic) {
        facts["tool_choice"] = Value::array(
            {kChoices[static_cast<int>(chat.tool_choice.kind)], chat.tool_choice.name});
    }
    add_fact(facts, "parallel_tool_calls", chat.parallel_tool_calls, true);
    for (const auto& [name, text] : chat.template_variables) {
        facts["template_variables"][name] = text;
    }
}

Value format_facts(const job::Format& format) {
    constexpr const char* kKinds[] = {"text", "json_object", "json_schema",
                                      "gbnf", "regex",       "choice"};
    Value facts = {{"kind", kKinds[static_cast<int>(format.kind)]}};
    add_fact(facts, "source", format.source, {});
    add_fact(facts, "name", format.name, {});
    add_fact(facts, "strict", format.strict, false);
    add_fact(facts, "choices", format.choices, {});
    return facts;
}

Value job_facts(const job::Request& request) {
    const job::Request usual;
    const job::Sampling& draw = request.sampling;
    Value facts = {{"id", request.id}, {"model", request.model}};
    add_ask(facts, request);
    add_fact(facts, "temperature", draw.temperature, usual.sampling.temperature);
    add_fact(facts, "top_k", draw.top_k, usual.sampling.top_k);
    add_fact(facts, "top_p", draw.top_p, usual.sampling.top_p);
    add_fact(facts, "min_p", draw.min_p, usual.sampling.min_p);
    add_fact(facts, "repeat_penalty", draw.repeat_penalty, usual.sampling.repeat_penalty);
    add_fact(facts, "presence_penalty", draw.presence_penalty, usual.sampling.presence_penalty);
    add_fact(facts, "frequency_penalty", draw.frequency_penalty, usual.sampling.frequency_penalty);
    add_fact(facts, "logit_bias", draw.logit_bias, usual.sampling.logit_bias);
    add_fact(facts, "seed", draw.seed, usual.sampling.seed);
    add_fact(facts, "choices", request.choices, usual.choices);
    add_fact(facts, "max_tokens", request.max_tokens, usual.max_tokens);
    add_fact(facts, "stop", request.stop, usual.stop);
    add_fact(facts, "top_logprobs", request.top_logprobs, usual.top_logprobs);
    add_fact(facts, "ignore_end", request.ignore_end, usual.ignore_end);
    add_fact(facts, "client", request.client, usual.client);
    add_fact(facts, "extra", request.extra, usual.extra);
    if (request.format.kind != job::Format::Kind::text) {
        facts["format"] = format_facts(request.format);
    }
    return facts;
}

// Events as the data files write them: {"started": 3}, {"text": "a", "choice": 1, "reasoning":
// true, "logprobs": [...]}, {"tool_call": [index, "id", "name", "arguments"]}, {"end": "stop",
// "choice": 1}, {"done": {...}}, {"failed": ["timeout", "…"]}; each may have a "job".

job::TokenLogprob logprob_of(const Value& token) {
    job::TokenLogprob logprob;
    if (token[0].is_string()) {
        logprob.bytes = token[0].get<std::string>();
    } else {
        for (const Value& byte : token[0]) {
            logprob.bytes += static_cast<char>(byte.get<int>());
        }
    }
    logprob.logprob = token[1].is_null()     ? std::numeric_limits<float>::quiet_NaN()
                      : token[1].is_string() ? -std::numeric_limits<float>::infinity()
                                             : token[1].get<float>();
    return logprob;
}

job::Text text_of(const Value& event) {
    job::Text text{event.value("choice", 0U),
                   event["text"].get<std::string>(),
                   event.value("reasoning", false),
                   {}};
    for (const Value& entry : event.value("logprobs", Value::array())) {
        job::LogprobEntry logprobs{logprob_of(entry["chosen"]), {}};
        for (const Value& rival : entry.value("top", Value::array())) {
            logprobs.top.push_back(logprob_of(rival));
        }
        text.logprobs.push_back(std::move(logprobs));
    }
    return text;
}

job::Done done_of(const Value& facts) {
    job::Done done;
    done.usage.prompt_tokens = facts.value("prompt", 0U);
    done.usage.cached_tokens = facts.value("cached", 0U);
    done.usage.completion_tokens = facts.value("completion", 0U);
    done.timings.prompt_tokens = done.usage.prompt_tokens - done.usage.cached_tokens;
    done.timings.prompt_ms = facts.value("prompt_ms", 0.0);
    done.timings.predicted_tokens = done.usage.completion_tokens;
    done.timings.predicted_ms = facts.value("predicted_ms", 0.0);
    return done;
}

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
    if (event.contains("started")) {
        return job::Started{event["started"].get<std::uint32_t>()};
    }
    if (event.contains("text")) {
        return text_of(event);
    }
    if (event.contains("tool_call")) {
        const Value& call = event["tool_call"];
        return job::ToolCallPiece{event.value("choice", 0U), call[0].get<std::uint32_t>(),
                                  call[1].get<std::string>(), call[2].get<std::string>(),
                                  call[3].get<std::string>()};
    }
    if (event.contains("end")) {
        return job::ChoiceEnd{
            event.value("choice", 0U),
            named<FinishReason>(event["end"], {{"stop", FinishReason::stop},
                                               {"length", FinishReason::length},
                                               {"tool_calls", FinishReason::tool_calls},
                                               {"cancelled", FinishReason::cancelled}}),
            event.value("stop_text", "")};
    }
    if (event.contains("done")) {
        return done_of(event["done"]);
    }
    return job::Failed{{named<Fault>(event["failed"][0], {{"invalid", Fault::invalid},
                                                          {"exhausted", Fault::exhausted},
                                                          {"unavailable", Fault::unavailable},
                                                          {"timeout", Fault::timeout},
                                                          {"internal", Fault::internal}}),
                        event["failed"][1]}};
}

/// Splits "data: …\n\n" frames; fails the test on anything else.
std::vector<std::string> frames_of(std::string_view stream) {
    std::vector<std::string> frames;
    while (!stream.empty()) {
        const auto end = stream.find("\n\n");
        EXPECT_TRUE(stream.starts_with("data: ") && end != std::string_view::npos) << stream;
        if (end == std::string_view::npos) {
            break;
        }
        frames.emplace_back(stream.substr(6, end - 6));
        EXPECT_EQ(frames.back().find('\n'), std::string::npos) << "a line break inside a frame";
        stream.remove_prefix(end + 2);
    }
    return frames;
}

/// A frame less what all chunks share, which must be right.
Value chunk_of(const std::string& frame, const Value& envelope) {
    if (frame == "[DONE]") {
        return frame;
    }
    auto chunk = json::parse(frame);
    EXPECT_TRUE(chunk) << frame;
    if (!chunk || chunk->contains("error")) {
        return chunk.value_or(Value());
    }
    for (const auto& [name, value] : envelope.items()) {
        EXPECT_EQ((*chunk)[name], value) << name << " in " << frame;
        chunk->erase(name);
    }
    return *chunk;
}

class Wire : public testing::TestWithParam<Case> {
protected:
    const Value& data() const { return GetParam().data; }
    const Value& expected() const { return GetParam().data["expected"]; }
    bool chat() const { return data()["endpoint"] == "chat"; }

    Result<Parsed> parse_request() const {
        const Value& request = data()["request"];
        return parse(chat() ? Endpoint::chat_completions : Endpoint::completions,
                     request.is_string() ? request.get<std::string>() : json::dump(request),
                     Context{"t", 1700000000, "fp"});
    }

    void check_error(const Result<Parsed>& result) const {
        ASSERT_FALSE(result) << "the request was taken";
        EXPECT_EQ(result.error().fault, Fault::invalid);
        const Value error = json::parse(error_body(result.error())).value()["error"];
        EXPECT_EQ(error["param"], expected()["error"]["param"]);
        EXPECT_EQ(error["type"], "invalid_request_error");
        EXPECT_THAT(error["message"].get<std::string>(),
                    testing::HasSubstr(expected()["error"]["message"].get<std::string>()));
    }

    void check_jobs(const Parsed& parsed) const {
        Value jobs = Value::array();
        for (const job::Request& request : parsed.jobs) {
            jobs.push_back(job_facts(request));
        }
        EXPECT_EQ(Value::parse(jobs.dump()), expected()["jobs"]);
        const Value delivery = {{"stream", parsed.stream}, {"include_usage", parsed.include_usage}};
        EXPECT_EQ(delivery, expected().value("delivery",
                                             Value({{"stream", false}, {"include_usage", false}})));
    }

    void check_stream(const Parsed& parsed) const {
        const Value envelope = {{"id", parsed.response_id},
                                {"object", chat() ? "chat.completion.chunk" : "text_completion"},
                                {"created", 1700000000},
                                {"model", parsed.model},
                                {"system_fingerprint", "fp"}};
        StreamWriter writer(parsed);
        std::string stream;
        for (const Value& event : data()["events"]) {
            EXPECT_FALSE(writer.finished());
            stream += writer.on_event(event.value("job", 0U), event_of(event));
        }
        EXPECT_TRUE(writer.finished());
        Value chunks = Value::array();
        for (const std::string& frame : frames_of(stream)) {
            chunks.push_back(chunk_of(frame, envelope));
        }
        EXPECT_EQ(chunks, expected()["stream"]) << chunks.dump(2);
    }

    void check_body(const Parsed& parsed) const {
        BodyWriter writer(parsed);
        for (const Value& event : data()["events"]) {
            EXPECT_FALSE(writer.finished());
            writer.on_event(event.value("job", 0U), event_of(event));
        }
        ASSERT_TRUE(writer.finished());
        if (expected().contains("body_error")) {
            ASSERT_NE(writer.error(), nullptr);
            EXPECT_EQ(json::parse(error_body(*writer.error())).value(), expected()["body_error"]);
            return;
        }
        ASSERT_EQ(writer.error(), nullptr);
        const auto body = json::parse(writer.body());
        ASSERT_TRUE(body) << writer.body();
        EXPECT_EQ(*body, expected()["body"]) << body->dump(2);
    }
};

TEST_P(Wire, Case) {
    ASSERT_TRUE(data().is_object()) << GetParam().id;
    const Result<Parsed> result = parse_request();
    if (expected().contains("error")) {
        check_error(result);
        return;
    }
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->response_id, chat() ? "chatcmpl-t" : "cmpl-t");
    EXPECT_EQ(result->created_unix_s, 1700000000);
    EXPECT_TRUE(expected().contains("jobs") || data().contains("events")) << "nothing is expected";
    if (expected().contains("jobs")) {
        check_jobs(*result);
    }
    if (data().contains("events")) {
        EXPECT_TRUE(expected().contains("stream") &&
                    (expected().contains("body") || expected().contains("body_error")));
        check_stream(*result);
        check_body(*result);
    }
}

INSTANTIATE_TEST_SUITE_P(Openai, Wire, testing::ValuesIn(load_cases()),
                         [](const auto& one) { return one.param.id; });

/// The files must be found and hold what they claim to.
TEST(WireFiles, AreThere) {
    EXPECT_GE(load_cases().size(), 80U);
}

}  // namespace
}  // namespace trilane::dialect::openai
