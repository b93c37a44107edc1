// Anthropic's endpoints over a real socket: shapes, headers, keys, and the paths that two APIs
// share.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "gateway/fake_service.h"
#include "gateway/gateway.h"
#include "gateway/parsed_test.h"
#include "gateway/query.h"
#include "json/json.h"
#include "net/loopback_test_client.h"

namespace trilane::gateway {
namespace {

using net::TestClient;
using net::TestReply;
using testing::HasSubstr;

/// A gateway over a service that answers "Hello", and remembers what it was asked.
struct AnthropicRig {
    explicit AnthropicRig(GatewayOptions options = {}) {
        options.port = 0;
        auto service =
            std::make_shared<FakeService>(std::vector<std::string>{"tiny", "big"},
                                          [this](FakeService::Job& job) { answer(job); });
        auto begun = Gateway::start(std::move(options), service);
        EXPECT_TRUE(begun) << begun.error().message;
        gateway = std::move(*begun);
    }

    void answer(FakeService::Job& job) {
        const bool counts = std::holds_alternative<job::CountTokens>(job.request.ask);
        const bool fails = job.request.client == "fails";
        asked = job.request;
        if (fails) {
            job.sink(job::Failed{{Fault::unavailable, "no lane"}});
        } else if (counts) {
            job::Done done;
            done.usage.prompt_tokens = 17;
            job.sink(done);
        } else {
            answer_with(job, {"Hel", "lo"});
        }
    }

    TestReply get(const std::string& target, const std::string& headers = "") const {
        TestClient client(gateway->port());
        EXPECT_TRUE(
            client.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n"));
        return client.reply();
    }

    TestReply post(std::string_view path, std::string_view body,
                   std::string_view headers = "") const {
        TestClient client(gateway->port());
        EXPECT_TRUE(client.post(path, body, headers));
        return client.reply();
    }

    job::Request asked;
    std::unique_ptr<Gateway> gateway;
};

/// The error's type, where the body is such a body and names its request as the header does.
std::string error_type(const TestReply& reply) {
    const json::Value body = parsed(reply);
    EXPECT_EQ(body.value("type", ""), "error") << reply.body;
    const std::string id = body.value("request_id", "");
    EXPECT_TRUE(reply.has("request-id: " + id + "\r\n")) << reply.head << reply.body;
    return body.contains("error") ? body["error"].value("type", "") : "";
}

constexpr std::string_view kAsk =
    R"({"model":"tiny","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]})";
constexpr const char* kVersion = "anthropic-version: 2023-06-01\r\n";

TEST(AnthropicGateway, AnswersWholeAndStreamed) {
    const AnthropicRig rig;
    const TestReply whole = rig.post("/v1/messages?beta=true", kAsk);
    EXPECT_EQ(whole.status, 200U);
    const json::Value message = parsed(whole);
    EXPECT_EQ(message["type"], "message");
    EXPECT_EQ(message["content"][0]["text"], "Hello");
    EXPECT_EQ(message["usage"]["input_tokens"], 3);
    EXPECT_EQ(message["usage"]["cache_read_input_tokens"], 2);
    EXPECT_THAT(whole.head, HasSubstr("request-id: req-"));
    std::string body(kAsk);
    body.insert(1, "\"stream\":true,");
    const TestReply stream = rig.post("/v1/messages", body);
    EXPECT_TRUE(stream.has("Content-Type: text/event-stream\r\n"));
    EXPECT_THAT(stream.body, HasSubstr("event: message_start\n"));
    EXPECT_THAT(stream.body, HasSubstr("event: message_stop\n"));
}

TEST(AnthropicGateway, CountsTokens) {
    const AnthropicRig rig;
    const TestReply reply =
        rig.post("/v1/messages/count_tokens",
                 R"({"model":"tiny","messages":[{"role":"user","content":"Hi"}]})");
    EXPECT_EQ(reply.status, 200U);
    EXPECT_EQ(reply.body, R"({"input_tokens":17})");
    EXPECT_TRUE(std::holds_alternative<job::CountTokens>(rig.asked.ask));
}

TEST(AnthropicGateway, ErrorsAreItsOwn) {
    const AnthropicRig rig;
    EXPECT_EQ(error_type(rig.post("/v1/messages", "{")), "invalid_request_error");
    const TestReply unknown = rig.post(
        "/v1/messages",
        R"({"model":"claude-x","max_tokens":1,"messages":[{"role":"user","content":"a"}]})");
    EXPECT_EQ(unknown.status, 404U);
    EXPECT_EQ(error_type(unknown), "not_found_error");
    EXPECT_THAT(unknown.body, HasSubstr("claude-x"));
    EXPECT_THAT(unknown.body, HasSubstr("aliases"));
    const TestReply failed =
        rig.post("/v1/messages",
                 R"({"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"a"}],)"
                 R"("metadata":{"user_id":"fails"}})");
    EXPECT_EQ(failed.status, 503U);
    EXPECT_EQ(error_type(failed), "overloaded_error");
    const TestReply wrong = rig.get("/v1/messages");
    EXPECT_EQ(wrong.status, 405U);
    EXPECT_EQ(parsed(wrong)["error"]["type"], "invalid_request_error");
    EXPECT_EQ(error_type(rig.get("/v1/files", kVersion)), "not_found_error");
    EXPECT_FALSE(parsed(rig.get("/v1/files")).contains("type")) << "nobody said Anthropic";
}

TEST(AnthropicGateway, ModelsComeInTheShapeOfWhoAsks) {
    const AnthropicRig rig;
    EXPECT_EQ(parsed(rig.get("/v1/models"))["object"], "list");
    const json::Value list = parsed(rig.get("/v1/models?limit=1", kVersion));
    EXPECT_EQ(list["data"].size(), 1U);
    EXPECT_EQ(list["data"][0]["type"], "model");
    EXPECT_EQ(list["has_more"], true);
    EXPECT_EQ(parsed(rig.get("/v1/models?after_id=tiny", kVersion))["first_id"], "big");
    EXPECT_EQ(parsed(rig.get("/v1/models?before_id=b%69g", kVersion))["last_id"], "tiny");
    EXPECT_EQ(error_type(rig.get("/v1/models?limit=0", kVersion)), "invalid_request_error");
    EXPECT_EQ(error_type(rig.get("/v1/models?after_id=x", kVersion)), "invalid_request_error");
    EXPECT_EQ(parsed(rig.get("/v1/models/tiny", kVersion))["type"], "model");
    EXPECT_EQ(error_type(rig.get("/v1/models/none", kVersion)), "not_found_error");
    EXPECT_EQ(parsed(rig.get("/v1/models/tiny", "x-api-key: k\r\n"))["type"], "model");
    EXPECT_EQ(
        parsed(rig.get("/v1/models/tiny", "Authorization: Bearer k\r\nx-api-key: k\r\n"))["object"],
        "model");
}

TEST(AnthropicGateway, QueriesAreRead) {
    EXPECT_EQ(query_text("/a?b=c&d=e%2Ff", "d"), "e/f");
    EXPECT_EQ(query_text("/a?dd=1&d=2", "d"), "2");
    EXPECT_EQ(query_text("/a?d", "d"), "");
    EXPECT_EQ(query_text("/a", "d"), "");
    EXPECT_EQ(query_text("/a?&&d=&", "d"), "");
}

}  // namespace
}  // namespace trilane::gateway
