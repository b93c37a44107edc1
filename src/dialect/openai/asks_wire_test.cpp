// Runs the data files of tests/wire/openai/asks: a body and the job it becomes, events and the
// answer they become, for the endpoints beside conversations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "dialect/openai/asks.h"
#include "dialect/openai/openai.h"
#include "dialect/openai/wire_cases.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

template <class T>
void add_unusual(Value& facts, const char* name, const T& value, const T& usual) {
    if (value != usual) {
        facts[name] = value;
    }
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
Value media_facts(const job::Media& media) {
    return Value::array({media.type, media.url.empty() ? media.bytes : media.url});
}
Value facts_of(const job::Transcribe& ask) {
    Value facts = {{"sound", media_facts(ask.sound)}, {"file_name", ask.file_name}};
    add_unusual(facts, "language", ask.language, {});
    add_unusual(facts, "prompt", ask.prompt, {});
    add_unusual(facts, "translate", ask.translate, false);
    add_unusual(facts, "word_times", ask.word_times, false);
    if (ask.temperature) {
        facts["temperature"] = *ask.temperature;
    }
    return facts;
}
Value facts_of(const job::Speak& ask) {
    Value facts = {{"text", ask.text}, {"format", ask.format}};
    add_unusual(facts, "voice", ask.voice, {});
    add_unusual(facts, "speed", ask.speed, 1.0F);
    add_unusual(facts, "instructions", ask.instructions, {});
    return facts;
}
Value facts_of(const job::Draw& ask) {
    Value facts = {{"prompt", ask.prompt}};
    add_unusual(facts, "negative_prompt", ask.negative_prompt, {});
    for (const job::Media& image : ask.images) {
        facts["images"].push_back(media_facts(image));
    }
    if (ask.mask) {
        facts["mask"] = media_facts(*ask.mask);
    }
    add_unusual(facts, "count", ask.count, 1U);
    add_unusual(facts, "width", ask.width, 0U);
    add_unusual(facts, "height", ask.height, 0U);
    if (ask.steps) {
        facts["steps"] = *ask.steps;
    }
    if (ask.guidance) {
        facts["guidance"] = *ask.guidance;
    }
    if (ask.seed) {
        facts["seed"] = *ask.seed;
    }
    return facts;
}
template <class Other>
Value facts_of(const Other& /*ask*/) {
    return "another ask";
}

Value ask_facts(const job::Request& request) {
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
job::Event ask_event(const Value& event) {
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
    if (event.contains("segment")) {  // [start, end, text, [[word, start, end]…]]
        const Value& facts = event["segment"];
        job::Segment segment{facts[0], facts[1], facts[2], {}};
        for (const Value& word : facts.size() > 3 ? facts[3] : Value::array()) {
            segment.words.push_back({word[0], word[1], word[2]});
        }
        return segment;
    }
    if (event.contains("transcript")) {
        const Value& facts = event["transcript"];
        return job::Transcript{facts[0], facts[1], facts[2]};
    }
    if (event.contains("sound")) {
        return job::Sound{event["sound"][0], event["sound"][1]};
    }
    if (event.contains("picture")) {  // [index, type, bytes, revised prompt]
        const Value& facts = event["picture"];
        return job::Picture{facts[0], facts[1], facts[2], facts[3]};
    }
    EXPECT_TRUE(event.contains("failed")) << "an event of an unknown kind: " << event.dump();
    return job::Failed{{Fault::unavailable, event.value("failed", "")}};
}

/// [[name, value]…] and, for files, [name, value, file name, type].
std::string form_of(const Value& fields) {
    std::string form;
    for (const Value& field : fields) {
        form += "------b\r\nContent-Disposition: form-data; name=\"" + field[0].get<std::string>() +
                '"';
        if (field.size() > 2) {
            form += "; filename=\"" + field[2].get<std::string>() +
                    "\"\r\nContent-Type: " + field[3].get<std::string>();
        }
        form += "\r\n\r\n" + bytes_of(field[1]) + "\r\n";
    }
    return form + "------b--\r\n";
}

class AsksWire : public testing::TestWithParam<Case> {
protected:
    const Value& data() const { return GetParam().data; }
    const Value& expected() const { return GetParam().data["expected"]; }

    Result<Asked> ask() const {
        const Context context{"t", 1700000000, "fp"};
        const Value request = data().value("request", Value::object());
        const std::string body =
            request.is_string() ? request.get<std::string>() : json::dump(request);
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
        if (endpoint == "detokenize") {
            return ask_text_of_tokens(body, context);
        }
        if (endpoint == "speech") {
            return ask_speech(body, context);
        }
        const std::string type =
            data().contains("form") ? "multipart/form-data; boundary=----b" : "application/json";
        form_ = data().contains("form") ? form_of(data()["form"]) : body;
        if (endpoint == "transcriptions" || endpoint == "translations") {
            return ask_transcription(type, form_, context, endpoint == "translations");
        }
        const PictureAsk kind = endpoint == "generations" ? PictureAsk::generation
                                : endpoint == "edits"     ? PictureAsk::edit
                                                          : PictureAsk::variation;
        EXPECT_TRUE(kind != PictureAsk::variation || endpoint == "variations") << endpoint;
        return ask_pictures(kind, type, form_, context);
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
        std::string stream;
        for (const Value& event : data()["events"]) {
            EXPECT_FALSE(writer.finished());
            stream += writer.on_event(0, ask_event(event));
        }
        ASSERT_TRUE(writer.finished());
        if (expected().contains("stream")) {
            EXPECT_EQ(stream, expected()["stream"].get<std::string>());
            EXPECT_EQ(writer.content_type(), expected()["type"].get<std::string>());
            return;
        }
        EXPECT_EQ(stream, "");
        if (expected().contains("failure")) {
            ASSERT_NE(writer.error(), nullptr);
            EXPECT_THAT(writer.error()->message,
                        testing::HasSubstr(expected()["failure"].get<std::string>()));
            return;
        }
        const auto* error = writer.error();
        ASSERT_EQ(error, nullptr) << (error != nullptr ? error->message : "");
        EXPECT_EQ(writer.content_type(), expected().value("type", "application/json"));
        if (expected().contains("text")) {
            EXPECT_EQ(writer.body(), expected()["text"].get<std::string>());
            return;
        }
        const auto body = json::parse(writer.body());
        ASSERT_TRUE(body) << writer.body();
        EXPECT_EQ(*body, expected()["body"]) << body->dump(2);
    }

    mutable std::string form_;  // outlives what was read from it
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
    EXPECT_EQ(asked->stream, expected().contains("stream"));
    EXPECT_TRUE(expected().contains("job") || data().contains("events")) << "nothing is expected";
    if (expected().contains("job")) {
        const Value facts = ask_facts(asked->jobs[0]);
        EXPECT_EQ(Value::parse(facts.dump()), expected()["job"]) << facts.dump(2);
    }
    if (data().contains("events")) {
        check_answer(*asked->writer);
    }
}

INSTANTIATE_TEST_SUITE_P(Openai, AsksWire, testing::ValuesIn(load_cases("openai/asks")),
                         [](const auto& one) { return one.param.id; });

TEST(AsksWireFiles, AreThere) {
    EXPECT_GE(load_cases("openai/asks").size(), 90U);
}

}  // namespace
}  // namespace trilane::dialect::openai
