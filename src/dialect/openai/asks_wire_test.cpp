// Runs the data files of tests/wire/openai/asks: a body and the job it becomes, events and the
// answer they become, for the endpoints beside conversations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "dialect/openai/asks.h"
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

std::vector<Case> load_cases() {
    std::vector<Case> cases;
    for (const auto& entry :
         std::filesystem::directory_iterator(TRILANE_SOURCE_DIR "/tests/wire/openai/asks")) {
        std::ostringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        const auto file = json::parse(text.str());
        EXPECT_TRUE(file) << entry.path() << file.error().message;
        for (const Value& one : file.value_or(Value::array())) {
            std::string id = entry.path().stem().string() + "_" + one.value("name", "unnamed");
            std::replace_if(
                id.begin(), id.end(),
                [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
            cases.push_back({std::move(id), one});
        }
    }
    std::ranges::sort(cases, {}, &Case::id);
    return cases;
}

Value facts_of(const job::Embed& embed) {
    Value facts = {{"inputs", Value::array()}};
    for (const auto& input : embed.inputs) {
        std::visit([&](const auto& value) { facts["inputs"].push_back(value); }, input);
    }
    if (embed.dimensions) {
        facts["dimensions"] = *embed.dimensions;
    }
    facts["truncate"] = embed.truncate;
    return facts;
}
Value facts_of(const job::Rerank& rerank) {
    return {{"query", rerank.query}, {"documents", rerank.documents}};
}
Value facts_of(const job::Tokenize& tokenize) {
    return {{"text", tokenize.text},
            {"add_special", tokenize.add_special},
            {"parse_special", tokenize.parse_special}};
}
Value facts_of(const job::Detokenize& detokenize) {
    return {{"ids", detokenize.ids}};
}
template <class Other>
Value facts_of(const Other& /*ask*/) {
    return "another ask";
}

Value job_facts(const job::Request& request) {
    Value facts = {{"id", request.id}, {"model", request.model}};
    facts.update(std::visit([](const auto& ask) { return facts_of(ask); }, request.ask));
    if (!request.client.empty()) {
        facts["client"] = request.client;
    }
    for (const auto& [name, text] : request.extra) {
        facts["extra"][name] = text;
    }
    return facts;
}

float float_of(const Value& value) {
    if (value.is_string()) {
        return value == "inf" ? std::numeric_limits<float>::infinity()
                              : std::numeric_limits<float>::quiet_NaN();
    }
    return value.get<float>();
}

std::vector<float> floats_of(const Value& list) {
    std::vector<float> floats;
    for (const Value& value : list) {
        floats.push_back(float_of(value));
    }
    return floats;
}

/// A text, or bytes.
std::string bytes_of(const Value& value) {
    if (value.is_string()) {
        return value.get<std::string>();
    }
    std::string bytes;
    for (const Value& byte : value) {
        bytes += static_cast<char>(byte.get<int>());
    }
    return bytes;
}

/// {"vectors": [[…]]}, {"scores": […]}, {"tokens": [ids], "pieces": […]}, {"text": "…"},
/// {"done": prompt tokens}, {"failed": "a sentence"}
job::Event event_of(const Value& event) {
    if (event.contains("vectors")) {
        job::Vectors vectors;
        for (const Value& vector : event["vectors"]) {
            vectors.vectors.push_back(floats_of(vector));
        }
        return vectors;
    }
    if (event.contains("scores")) {
        return job::Scores{floats_of(event["scores"])};
    }
    if (event.contains("tokens")) {
        job::Tokens tokens{event["tokens"].get<std::vector<std::int32_t>>(), {}};
        for (const Value& piece : event.value("pieces", Value::array())) {
            tokens.pieces.push_back(bytes_of(piece));
        }
        return tokens;
    }
    if (event.contains("text")) {
        return job::Text{0, event["text"].get<std::string>(), false, {}};
    }
    if (event.contains("done")) {
        job::Done done;
        done.usage.prompt_tokens = event["done"].get<std::uint32_t>();
        return done;
    }
    EXPECT_TRUE(event.contains("failed")) << "an event of an unknown kind: " << event.dump();
    return job::Failed{{Fault::unavailable, event.value("failed", "")}};
}

class AsksWire : public testing::TestWithParam<Case> {
protected:
    const Value& data() const { return GetParam().data; }
    const Value& expected() const { return GetParam().data["expected"]; }

    Result<Asked> ask() const {
        const Context context{"t", 1700000000, "fp"};
        const std::string body = data()["request"].is_string()
                                     ? data()["request"].get<std::string>()
                                     : json::dump(data()["request"]);
        const std::string endpoint = data()["endpoint"];
        if (endpoint == "embeddings") {
            return ask_embeddings(body, context);
        }
        if (endpoint == "rerank") {
            return ask_rerank(body, context);
        }
        if (endpoint == "tokenize") {
            return ask_tokens(body, context);
        }
        EXPECT_EQ(endpoint, "detokenize");
        return ask_text_of_tokens(body, context);
    }

    void check_refusal(const Result<Asked>& asked) const {
        ASSERT_FALSE(asked) << "the request was taken";
        EXPECT_EQ(asked.error().fault, Fault::invalid);
        const Value error = json::parse(error_body(asked.error())).value()["error"];
        EXPECT_EQ(error["param"], expected()["error"]["param"]) << error.dump();
        EXPECT_THAT(error["message"].get<std::string>(),
                    testing::HasSubstr(expected()["error"]["message"].get<std::string>()));
    }

    void check_answer(AnswerWriter& writer) const {
        for (const Value& event : data()["events"]) {
            EXPECT_FALSE(writer.finished());
            EXPECT_EQ(writer.on_event(0, event_of(event)), "");
        }
        ASSERT_TRUE(writer.finished());
        if (expected().contains("failure")) {
            ASSERT_NE(writer.error(), nullptr);
            EXPECT_THAT(writer.error()->message,
                        testing::HasSubstr(expected()["failure"].get<std::string>()));
            return;
        }
        ASSERT_EQ(writer.error(), nullptr) << writer.error()->message;
        EXPECT_EQ(writer.content_type(), expected().value("type", "application/json"));
        if (expected().contains("text")) {
            EXPECT_EQ(writer.body(), expected()["text"].get<std::string>());
            return;
        }
        const auto body = json::parse(writer.body());
        ASSERT_TRUE(body) << writer.body();
        EXPECT_EQ(*body, expected()["body"]) << body->dump(2);
    }
};

TEST_P(AsksWire, Case) {
    const auto asked = ask();
    if (expected().contains("error")) {
        check_refusal(asked);
        return;
    }
    ASSERT_TRUE(asked) << asked.error().message;
    ASSERT_EQ(asked->jobs.size(), 1U);
    EXPECT_EQ(asked->model, asked->jobs[0].model);
    EXPECT_TRUE(expected().contains("job") || data().contains("events")) << "nothing is expected";
    if (expected().contains("job")) {
        const Value facts = job_facts(asked->jobs[0]);
        EXPECT_EQ(Value::parse(facts.dump()), expected()["job"]) << facts.dump(2);
    }
    if (data().contains("events")) {
        check_answer(*asked->writer);
    }
}

INSTANTIATE_TEST_SUITE_P(Openai, AsksWire, testing::ValuesIn(load_cases()),
                         [](const auto& one) { return one.param.id; });

TEST(AsksWireFiles, AreThere) {
    EXPECT_GE(load_cases().size(), 40U);
}

}  // namespace
}  // namespace trilane::dialect::openai
