// Runs the cases of tests/wire/ollama: a request body in, job facts or an error out; events in,
// lines of a stream and a whole body out. A new case is a new entry in a data file, not code.
//
// A file holds one case or an array of them:
//   name, endpoint ("chat" | "generate" | "embed" | "embeddings"), request (an object, or a string
//   sent as it stands), preset ({system, parameters, complete_only}), events,
//   expected: {job, delivery} or {error: a part of the message}, and {stream, body}.
// `job` lists every fact that differs from an Ollama request's defaults. The clock stands still at
// 2023-11-14T22:13:20.000000001Z; the steady one goes on by a millisecond whenever it is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "dialect/ollama/ollama.h"
#include "json/json.h"

namespace trilane::dialect::ollama {
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
         std::filesystem::directory_iterator(TRILANE_SOURCE_DIR "/tests/wire/ollama")) {
        paths.push_back(entry.path());
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
        for (const Value& one : file->is_array() ? *file : Value::array({*file})) {
            cases.push_back(
                {alphanumeric(path.stem().string() + " " + one.value("name", "unnamed")), one});
        }
    }
    return cases;
}

std::int64_t steady_ms = 0;

Clock test_clock() {
    steady_ms = 0;
    return {[] { return std::int64_t{1'700'000'000'000'000'001}; },
            [] { return ++steady_ms * 1'000'000; }};
}

/// Without the order of fields, which the facts here and in a data file need not share.
nlohmann::json sorted(const Value& value) {
    return nlohmann::json::parse(json::dump(value));
}

/// The shortest decimal that is this float, so that 0.7 in a data file is 0.7 here.
Value short_float(float value) {
    return std::stod(fmt::format("{}", value));
}

template <class T>
Value fact(const T& value) {
    if constexpr (std::is_same_v<T, float>) {
        return short_float(value);
    } else {
        return value;
    }
}
template <class T>
Value fact(const std::optional<T>& value) {
    return value ? Value(*value) : Value();
}

template <class T>
void add_fact(Value& facts, const char* name, const T& value, const T& usual) {
    if (value != usual) {
        facts[name] = fact(value);
    }
}

Value message_facts(const job::Message& message) {
    Value facts = {{"role", job::role_name(message.role)}, {"content", message.content}};
    add_fact(facts, "reasoning", message.reasoning, {});
    add_fact(facts, "tool_call_id", message.tool_call_id, {});
    for (const job::ToolCall& call : message.tool_calls) {
        facts["tool_calls"].push_back(Value::array({call.id, call.name, call.arguments}));
    }
    for (const job::Media& media : message.media) {
        const bool audio = media.kind == job::Media::Kind::audio;
        facts["media"].push_back(
            Value::array({audio ? "audio" : "image", media.type, media.bytes.size(), media.at}));
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
    add_fact(facts, "continue_last", chat.continue_last, false);
    for (const auto& [name, text] : chat.template_variables) {
        facts["template_variables"][name] = text;
    }
}

void add_ask(Value& facts, const job::Request& request) {
    if (const auto* chat = std::get_if<job::Chat>(&request.ask)) {
        add_chat(facts, *chat);
    } else if (const auto* completion = std::get_if<job::Completion>(&request.ask)) {
        facts["prompt"] = std::get<std::string>(completion->prompt);
        add_fact(facts, "suffix", completion->suffix, {});
    } else {
        const auto& embed = std::get<job::Embed>(request.ask);
        for (const auto& input : embed.inputs) {
            facts["inputs"].push_back(std::get<std::string>(input));
        }
        add_fact(facts, "dimensions", embed.dimensions, {});
        add_fact(facts, "truncate", embed.truncate, true);
    }
}

Value job_facts(const job::Request& request) {
    constexpr const char* kKinds[] = {"text", "json_object", "json_schema"};
    const job::Request usual;
    const job::Sampling& draw = request.sampling;
    const bool embed = std::holds_alternative<job::Embed>(request.ask);
    Value facts = {{"model", request.model}};
    add_ask(facts, request);
    add_fact(facts, "temperature", draw.temperature, embed ? 1.0F : kTemperature);
    add_fact(facts, "top_k", draw.top_k, embed ? 0 : kTopK);
    add_fact(facts, "top_p", draw.top_p, embed ? 1.0F : kTopP);
    add_fact(facts, "min_p", draw.min_p, usual.sampling.min_p);
    add_fact(facts, "repeat_penalty", draw.repeat_penalty, usual.sampling.repeat_penalty);
    add_fact(facts, "presence_penalty", draw.presence_penalty, usual.sampling.presence_penalty);
    add_fact(facts, "frequency_penalty", draw.frequency_penalty, usual.sampling.frequency_penalty);
    add_fact(facts, "seed", draw.seed, usual.sampling.seed);
    add_fact(facts, "max_tokens", request.max_tokens, usual.max_tokens);
    add_fact(facts, "stop", request.stop, usual.stop);
    add_fact(facts, "top_logprobs", request.top_logprobs, usual.top_logprobs);
    for (const auto& [name, text] : request.extra) {
        facts["extra"][name] = text;
    }
    if (request.format.kind != job::Format::Kind::text) {
        facts["format"] =
            Value::array({kKinds[static_cast<int>(request.format.kind)], request.format.source});
    }
    return facts;
}

job::TokenLogprob logprob_of(const Value& token) {
    return {0, token[0].get<std::string>(), token[1].get<float>()};
}

job::Event text_of(const Value& event) {
    job::Text text;
    text.text = event["text"].get<std::string>();
    text.reasoning = event.value("reasoning", false);
    for (const Value& entry : event.value("logprobs", Value::array())) {
        job::LogprobEntry logprobs{logprob_of(entry["chosen"]), {}};
        for (const Value& rival : entry.value("top", Value::array())) {
            logprobs.top.push_back(logprob_of(rival));
        }
        text.logprobs.push_back(std::move(logprobs));
    }
    return text;
}

/// Events as the data files write them: {"started": 3}, {"text": "a", "reasoning": true}, {"call":
/// [index, "id", "name", "arguments"]}, {"end": "stop"}, {"done": {…}}, {"vectors": [[…]]},
/// {"failed": "…"}.
job::Event event_of(const Value& event) {
    if (event.contains("started")) {
        return job::Started{event["started"].get<std::uint32_t>()};
    }
    if (event.contains("text")) {
        return text_of(event);
    }
    if (event.contains("call")) {
        const Value& call = event["call"];
        return job::ToolCallPiece{0, call[0].get<std::uint32_t>(), call[1].get<std::string>(),
                                  call[2].get<std::string>(), call[3].get<std::string>()};
    }
    if (event.contains("end")) {
        const bool length = event["end"] == "length";
        const bool calls = event["end"] == "tool_calls";
        return job::ChoiceEnd{0,
                              length  ? job::FinishReason::length
                              : calls ? job::FinishReason::tool_calls
                                      : job::FinishReason::stop,
                              {}};
    }
    if (event.contains("vectors")) {
        return job::Vectors{event["vectors"].get<std::vector<std::vector<float>>>()};
    }
    if (event.contains("done")) {
        const Value& facts = event["done"];
        job::Done done;
        done.usage.prompt_tokens = facts.value("prompt", 0U);
        done.usage.completion_tokens = facts.value("completion", 0U);
        done.timings.prompt_ms = facts.value("prompt_ms", 0.0);
        done.timings.predicted_ms = facts.value("predicted_ms", 0.0);
        return done;
    }
    return job::Failed{{Fault::unavailable, event["failed"].get<std::string>()}};
}

class OllamaWire : public testing::TestWithParam<Case> {
protected:
    const Value& data() const { return GetParam().data; }
    const Value& expected() const { return GetParam().data["expected"]; }
    Endpoint endpoint() const {
        const std::string name = data()["endpoint"];
        return name == "chat"       ? Endpoint::chat
               : name == "generate" ? Endpoint::generate
               : name == "embed"    ? Endpoint::embed
                                    : Endpoint::embeddings;
    }

    Result<Asking> parse(bool stream) const {
        Value request = data()["request"];
        if (request.is_object() && !request.contains("stream") && !stream) {
            request["stream"] = false;
        }
        const Value preset = data().value("preset", Value::object());
        const Lookup lookup = [&](const std::string& model) -> Result<Preset> {
            if (model == "absent") {
                return fail(Fault::not_found, "model: there is none called 'absent' here");
            }
            Preset found;
            found.abilities.complete = true;
            found.abilities.chat = !preset.value("complete_only", false);
            found.system = preset.value("system", "");
            found.parameters =
                preset.contains("parameters") ? json::dump(preset["parameters"]) : "";
            return found;
        };
        return ask(endpoint(),
                   request.is_string() ? request.get<std::string>() : json::dump(request),
                   Context{"t", 1700000000, "fp"}, lookup, test_clock());
    }

    void check_job(const Asking& asking) const {
        if (expected().contains("job")) {
            ASSERT_EQ(asking.asked.jobs.size(), 1U);
            const Value facts = job_facts(asking.asked.jobs[0]);
            EXPECT_EQ(sorted(facts), sorted(expected()["job"])) << facts.dump(2);
        }
        Value delivery = Value::object();
        add_fact(delivery, "stream", asking.asked.stream, true);
        add_fact(delivery, "load_only", asking.load_only, false);
        add_fact(delivery, "num_ctx", asking.context_tokens, {});
        if (asking.keep_alive) {
            delivery["keep_alive_ms"] = asking.keep_alive->count();
        }
        const Value usual = endpoint() == Endpoint::chat || endpoint() == Endpoint::generate
                                ? Value::object()
                                : Value({{"stream", false}});
        EXPECT_EQ(sorted(delivery), sorted(expected().value("delivery", usual)));
    }

    void check_stream() const {
        Result<Asking> asking = parse(true);
        ASSERT_TRUE(asking && asking->asked.writer);
        AnswerWriter& writer = *asking->asked.writer;
        EXPECT_EQ(writer.content_type(), kNdjsonType);
        writer.name_model("its-id");
        std::string stream;
        for (const Value& event : data()["events"]) {
            EXPECT_FALSE(writer.finished());
            stream += writer.on_event(0, event_of(event));
        }
        EXPECT_TRUE(writer.finished());
        Value lines = Value::array();
        std::istringstream in(stream);
        for (std::string line; std::getline(in, line);) {
            const auto value = json::parse(line);
            ASSERT_TRUE(value) << line;
            lines.push_back(*value);
        }
        EXPECT_EQ(lines, expected()["stream"]) << lines.dump(2);
    }

    void check_body() const {
        Result<Asking> asking = parse(false);
        ASSERT_TRUE(asking && asking->asked.writer);
        AnswerWriter& writer = *asking->asked.writer;
        EXPECT_EQ(writer.content_type(), kJsonType);
        for (const Value& event : data()["events"]) {
            EXPECT_FALSE(writer.finished());
            EXPECT_EQ(writer.on_event(0, event_of(event)), "");
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

TEST_P(OllamaWire, Case) {
    ASSERT_TRUE(data().is_object()) << GetParam().id;
    const Result<Asking> asking = parse(true);
    if (expected().contains("error")) {
        ASSERT_FALSE(asking) << "the request was taken";
        const std::string body = error_body(asking.error());
        EXPECT_THAT(json::parse(body).value()["error"].get<std::string>(),
                    testing::HasSubstr(expected()["error"].get<std::string>()));
        return;
    }
    ASSERT_TRUE(asking) << asking.error().message;
    ASSERT_TRUE(expected().contains("job") || expected().contains("delivery") ||
                data().contains("events"))
        << "nothing is expected";
    if (!data().contains("events")) {
        check_job(*asking);
        return;
    }
    ASSERT_TRUE(expected().contains("stream") || expected().contains("body"));
    if (expected().contains("stream")) {
        check_stream();
    }
    if (expected().contains("body") || expected().contains("body_error")) {
        check_body();
    }
}

INSTANTIATE_TEST_SUITE_P(Ollama, OllamaWire, testing::ValuesIn(load_cases()),
                         [](const auto& one) { return one.param.id; });

/// The files must be found and hold what they claim to.
TEST(OllamaWireFiles, AreThere) {
    EXPECT_GE(load_cases().size(), 60U);
}

/// What an answer's "context" holds, the next request brings back.
TEST(OllamaContext, GoesOnWithTheConversation) {
    const auto lookup = [](const std::string&) -> Result<Preset> {
        Preset preset;
        preset.abilities.chat = true;
        preset.system = "Be brief.";
        return preset;
    };
    const auto asking = [&](const Value& body) {
        return ask(Endpoint::generate, json::dump(body), Context{"t", 0, "fp"}, lookup);
    };
    auto first = asking({{"model", "m"}, {"prompt", "Hüh?"}, {"stream", false}});
    ASSERT_TRUE(first);
    AnswerWriter& writer = *first->asked.writer;
    job::Text text;
    text.text = "Hott \"…\"";
    writer.on_event(0, job::Started{1});
    writer.on_event(0, text);
    writer.on_event(0, job::ChoiceEnd{});
    writer.on_event(0, job::Done{});
    const Value context = json::parse(writer.body()).value()["context"];
    ASSERT_TRUE(context.is_array());
    const auto second = asking({{"model", "m"}, {"prompt", "And?"}, {"context", context}});
    ASSERT_TRUE(second) << second.error().message;
    const auto& messages = std::get<job::Chat>(second->asked.jobs[0].ask).messages;
    ASSERT_EQ(messages.size(), 4U);
    EXPECT_EQ(messages[0].role, job::Role::system);
    EXPECT_EQ(messages[0].content, "Be brief.");
    EXPECT_EQ(messages[1].content, "Hüh?");
    EXPECT_EQ(messages[2].role, job::Role::assistant);
    EXPECT_EQ(messages[2].content, "Hott \"…\"");
    EXPECT_EQ(messages[3].content, "And?");
}

TEST(OllamaNames, HaveATag) {
    EXPECT_EQ(tagged_name("m"), "m:latest");
    EXPECT_EQ(tagged_name("qwen3:0.6b"), "qwen3:0.6b");
    EXPECT_EQ(tagged_name("hf.co/a/b"), "hf.co/a/b:latest");
    EXPECT_EQ(tagged_name("hub:1/a/b"), "hub:1/a/b:latest");
    EXPECT_EQ(bare_name("m:latest"), "m");
    EXPECT_EQ(bare_name(":latest"), ":latest");
    EXPECT_EQ(bare_name("qwen3:0.6b"), "qwen3:0.6b");
}

TEST(OllamaTimes, AreRfc3339) {
    EXPECT_EQ(time_text(0), "1970-01-01T00:00:00.000000000Z");
    EXPECT_EQ(time_text(1'700'000'000'000'000'001), "2023-11-14T22:13:20.000000001Z");
    EXPECT_EQ(time_text(-1), "1969-12-31T23:59:59.999999999Z");
}

TEST(OllamaDurations, AreReadAsGoWritesThem) {
    const auto ms = [](const char* text) {
        const auto duration = parse_duration(text);
        return duration ? duration->count() : -99;
    };
    EXPECT_EQ(ms("5m"), 300'000);
    EXPECT_EQ(ms("1h30m"), 5'400'000);
    EXPECT_EQ(ms("1.5s"), 1500);
    EXPECT_EQ(ms("100ms"), 100);
    EXPECT_EQ(ms("1us"), 1);
    EXPECT_EQ(ms("0"), 0);
    EXPECT_EQ(ms("300"), 300'000);
    EXPECT_EQ(ms("-1"), -1);
    EXPECT_EQ(ms("-5m"), -1);
    EXPECT_EQ(ms("99999999999h"), -1);
    for (const char* bad : {"", "m", "5x", "5m!", "1h-3m", "nan", "inf", "five"}) {
        EXPECT_EQ(ms(bad), -99) << bad;
    }
}

}  // namespace
}  // namespace trilane::dialect::ollama
