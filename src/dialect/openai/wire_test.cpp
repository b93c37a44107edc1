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

#include <cmath>

#include "dialect/openai/openai.h"
#include "dialect/openai/wire_cases.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

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

INSTANTIATE_TEST_SUITE_P(Openai, Wire, testing::ValuesIn(load_cases("openai")),
                         [](const auto& one) { return one.param.id; });

/// The files must be found and hold what they claim to.
TEST(WireFiles, AreThere) {
    EXPECT_GE(load_cases("openai").size(), 80U);
}

}  // namespace
}  // namespace trilane::dialect::openai
