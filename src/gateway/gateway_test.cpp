// The endpoint table over a real socket: paths, methods, access, and errors in OpenAI's shape.
#include "gateway/gateway.h"

#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gateway/fake_service.h"
#include "gateway/parsed_test.h"
#include "json/json.h"
#include "net/loopback_test_client.h"

namespace trilane::gateway {
namespace {

using net::TestClient;
using net::TestReply;

std::unique_ptr<Gateway> started(GatewayOptions options = {},
                                 std::vector<std::string> models = {"tiny"}) {
    options.port = 0;
    options.version = "9.9";
    auto lane = std::make_shared<FakeService>(std::move(models), [](FakeService::Job& job) {
        answer_with(job, {"Hel", "lo"});
    });
    auto gateway = Gateway::start(std::move(options), std::move(lane));
    EXPECT_TRUE(gateway) << gateway.error().message;
    return gateway ? std::move(*gateway) : nullptr;
}

TestReply ask(const Gateway& gateway, const std::string& request_line,
              const std::string& headers = "") {
    TestClient client(gateway.port());
    EXPECT_TRUE(client.send(request_line + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n"));
    return client.reply(request_line.starts_with("HEAD"));
}

TestReply post(const Gateway& gateway, std::string_view path, std::string_view body,
               std::string_view headers = "") {
    TestClient client(gateway.port());
    EXPECT_TRUE(client.post(path, body, headers));
    return client.reply();
}

/// {"error": {…}} with a sentence, a type, param and code; returns it.
json::Value error_of(const TestReply& reply) {
    const json::Value body = parsed(reply);
    EXPECT_TRUE(reply.has("Content-Type: application/json\r\n")) << reply.head;
    const bool shaped = body.contains("error") && body["error"].contains("message") &&
                        body["error"].contains("type") && body["error"].contains("param") &&
                        body["error"].contains("code");
    EXPECT_TRUE(shaped) << reply.body;
    return shaped ? body["error"] : json::Value::object();
}

constexpr std::string_view kChat =
    R"({"model":"tiny","messages":[{"role":"user","content":"Say hello"}]})";

TEST(Gateway, TellsThatItLives) {
    const auto gateway = started();
    EXPECT_EQ(ask(*gateway, "GET /live").body, R"({"status":"ok"})");
    EXPECT_EQ(ask(*gateway, "HEAD /live").status, 200U);
    const json::Value health = parsed(ask(*gateway, "GET /health"));
    EXPECT_EQ(health["status"], "ok");
    EXPECT_EQ(health["version"], "9.9");
    EXPECT_EQ(health["lanes"][0]["name"], "fake");
    EXPECT_EQ(health["lanes"][0]["slots"], 4);
    EXPECT_EQ(health["lanes"][0]["slots_busy"], 1);
    EXPECT_NE(ask(*gateway, "GET /").body.find("/v1/chat/completions"), std::string::npos);
}

TEST(Gateway, ListsModels) {
    const auto gateway = started({}, {"tiny", "org/big"});
    const json::Value list = parsed(ask(*gateway, "GET /v1/models"));
    EXPECT_EQ(list["object"], "list");
    ASSERT_EQ(list["data"].size(), 2U);
    EXPECT_EQ(list["data"][1]["id"], "org/big");
    EXPECT_EQ(parsed(ask(*gateway, "GET /v1/models/tiny"))["id"], "tiny");
    EXPECT_EQ(parsed(ask(*gateway, "GET /v1/models/org/big"))["id"], "org/big");
    EXPECT_EQ(parsed(ask(*gateway, "GET /v1/models/org%2Fbig"))["id"], "org/big");
    const TestReply missing = ask(*gateway, "GET /v1/models/none");
    EXPECT_EQ(missing.status, 404U);
    EXPECT_EQ(error_of(missing)["code"], "model_not_found");
    // Bytes that are no UTF-8 do not get into an answer's JSON.
    error_of(ask(*gateway, "GET /v1/models/%FF%zz%"));
    error_of(ask(*gateway, "GET /\xff"));
}

TEST(Gateway, RefusesUnknownPathsAndMethods) {
    const auto gateway = started();
    const TestReply nowhere = ask(*gateway, "GET /v1/nothing");
    EXPECT_EQ(nowhere.status, 404U);
    EXPECT_EQ(error_of(nowhere)["code"], "unknown_url");
    EXPECT_EQ(ask(*gateway, "GET /v1/models/").status, 404U);
    const TestReply wrong = ask(*gateway, "GET /v1/chat/completions");
    EXPECT_EQ(wrong.status, 405U);
    EXPECT_TRUE(wrong.has("Allow: POST, OPTIONS\r\n"));
    EXPECT_NE(error_of(wrong)["message"].get<std::string>().find("use POST"), std::string::npos);
    const TestReply removed = ask(*gateway, "DELETE /v1/models");
    EXPECT_EQ(removed.status, 405U);
    EXPECT_TRUE(removed.has("Allow: GET, HEAD, OPTIONS\r\n"));
    const TestReply options = ask(*gateway, "OPTIONS /v1/models");
    EXPECT_EQ(options.status, 204U);
    EXPECT_TRUE(options.has("Allow: GET, HEAD, OPTIONS\r\n"));
}

TEST(Gateway, RefusesBadBodies) {
    GatewayOptions options;
    options.limits.body_bytes_max = 2000;
    const auto gateway = started(options);
    const auto refused = [&](std::string_view body) {
        const TestReply reply = post(*gateway, "/v1/chat/completions", body);
        EXPECT_FALSE(error_of(reply)["message"].get<std::string>().empty());
        return reply.status;
    };
    EXPECT_EQ(refused(""), 400U);
    EXPECT_EQ(refused("{"), 400U);
    EXPECT_EQ(refused("[]"), 400U);
    EXPECT_EQ(
        refused("{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}"),
        400U);
    EXPECT_EQ(refused(R"({"model":"tiny","messages":"hello"})"), 400U);
    EXPECT_EQ(refused(R"({"model":"tiny","messages":[{"role":"user","content":"a"}],"n":-1})"),
              400U);
    EXPECT_EQ(refused(std::string(3000, ' ')), 413U);
}

TEST(Gateway, SaysWhenToTryAgain) {
    GatewayOptions options;
    options.limits.reading_bytes_max = 100;
    const auto gateway = started(options);
    const TestReply full = post(*gateway, "/v1/chat/completions", std::string(200, ' '));
    EXPECT_EQ(full.status, 503U);
    EXPECT_EQ(error_of(full)["code"], "unavailable");
    EXPECT_TRUE(full.has("Retry-After: 1\r\n"));
    EXPECT_EQ(post(*gateway, "/v1/chat/completions", kChat).status, 200U);
    EXPECT_FALSE(ask(*gateway, "GET /v1/nothing").has("Retry-After"));
    EXPECT_FALSE(ask(*gateway, "GET /live").has("Retry-After"));
}

TEST(Gateway, NamesTheModelsThereAre) {
    const auto gateway = started({}, {"tiny", "big"});
    const auto reply = post(*gateway, "/v1/chat/completions",
                            R"({"model":"gpt-9","messages":[{"role":"user","content":"a"}]})");
    EXPECT_EQ(reply.status, 404U);
    const json::Value error = error_of(reply);
    EXPECT_EQ(error["code"], "model_not_found");
    EXPECT_NE(error["message"].get<std::string>().find("tiny, big"), std::string::npos);
    const auto no_default =
        post(*gateway, "/v1/chat/completions",
             R"({"model":"default","messages":[{"role":"user","content":"a"}]})");
    EXPECT_EQ(no_default.status, 404U) << "two models: none of them is the default";
}

TEST(Gateway, KnowsTheOnlyModelAsDefault) {
    const auto gateway = started();
    const auto reply = post(*gateway, "/v1/chat/completions",
                            R"({"model":"default","messages":[{"role":"user","content":"a"}]})");
    EXPECT_EQ(reply.status, 200U) << reply.body;
    EXPECT_EQ(parsed(reply)["model"], "tiny");
}

TEST(Gateway, AsksForItsKey) {
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("secret");
    const auto gateway = started(options);
    for (const std::string line : {"GET /v1/models", "GET /v1/models/tiny", "GET /metrics",
                                   "POST /v1/chat/completions", "POST /v1/completions"}) {
        const TestReply reply = ask(*gateway, line);
        EXPECT_EQ(reply.status, 401U) << line;
        EXPECT_EQ(error_of(reply)["code"], "invalid_api_key");
        EXPECT_TRUE(reply.has("WWW-Authenticate: Bearer"));
    }
    for (const std::string value :
         {"secret", "Bearer Secret", "Bearer secret2", "Bearer ", "Basic secret"}) {
        EXPECT_EQ(ask(*gateway, "GET /v1/models", "Authorization: " + value + "\r\n").status, 401U)
            << value;
    }
    EXPECT_EQ(ask(*gateway, "GET /v1/models", "Authorization: Bearer secret\r\n").status, 200U);
    EXPECT_EQ(
        post(*gateway, "/v1/chat/completions", kChat, "authorization: bearer secret\r\n").status,
        200U);
    EXPECT_EQ(ask(*gateway, "GET /live").status, 200U);
    EXPECT_EQ(ask(*gateway, "GET /health").status, 200U);
}

access::Key key_for(std::string name, std::string_view text) {
    access::Key key;
    key.name = std::move(name);
    key.digest = access::digest_of(text);
    return key;
}

TEST(Gateway, KeysHaveTheirLimits) {
    access::KeyRing ring;
    access::Key narrow = key_for("narrow", "n");
    narrow.models = {"big*"};
    access::Key slow = key_for("slow", "s");
    slow.requests_per_minute = 1;
    access::Key boss = key_for("boss", "b");
    boss.admin = true;
    for (const access::Key& key : {narrow, slow, boss}) {
        ASSERT_TRUE(ring.add(key));
    }
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("", ring);
    std::mutex mutex;
    std::vector<Record> records;
    options.recorder = [&](const Record& record) {
        const std::scoped_lock lock(mutex);
        records.push_back(record);
    };
    const auto gateway = started(options);
    const auto chat = [&](const std::string& key) {
        return post(*gateway, "/v1/chat/completions", kChat, "x-api-key: " + key + "\r\n");
    };
    const TestReply forbidden = chat("n");
    EXPECT_EQ(forbidden.status, 403U);
    EXPECT_NE(error_of(forbidden)["message"].get<std::string>().find("'narrow'"),
              std::string::npos);
    EXPECT_EQ(chat("s").status, 200U);
    const TestReply limited = chat("s");
    EXPECT_EQ(limited.status, 429U);
    EXPECT_TRUE(limited.has("Retry-After: 60")) << limited.head;
    EXPECT_EQ(ask(*gateway, "GET /v1/models", "x-api-key: s\r\n").status, 200U);
    EXPECT_EQ(ask(*gateway, "GET /trilane/v1/state", "x-api-key: s\r\n").status, 403U);
    EXPECT_EQ(ask(*gateway, "GET /trilane/v1/state", "x-api-key: b\r\n").status, 200U);

    const std::scoped_lock lock(mutex);
    ASSERT_EQ(records.size(), 6U);
    EXPECT_EQ(records[0].status, 403U);
    EXPECT_EQ(records[0].key, "narrow");
    EXPECT_EQ(records[1].key, "slow");
    EXPECT_EQ(records[1].endpoint, "POST /v1/chat/completions");
    EXPECT_EQ(records[1].subject, "chat");
    EXPECT_EQ(records[1].model, "tiny");
    EXPECT_EQ(records[1].usage.prompt_tokens, 5U);
    EXPECT_EQ(records[1].usage.completion_tokens, 2U);
    EXPECT_GT(records[1].duration_s, 0.0);
    EXPECT_EQ(records[2].status, 429U);
}

TEST(Gateway, DoesNotAnswerUnderForeignNames) {
    const auto gateway = started();
    const auto under = [&](const std::string& host) {
        TestClient client(gateway->port());
        EXPECT_TRUE(client.send("GET /v1/models HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
        return client.reply().status;
    };
    for (const std::string foreign :
         {"a.example", "localhost.a.example", "127.0.0.1.a.example:80", "localhost:a.example",
          "localhost:80:a.example", "[a.example]", "[::1]a.example", "[::1",
          "127.0.0.1:80.a.example", ":80"}) {
        EXPECT_EQ(under(foreign), 403U) << foreign;
    }
    for (const std::string own : {"localhost", "LOCALHOST:13305", "192.168.1.5:1", "[::1]:80"}) {
        EXPECT_EQ(under(own), 200U) << own;
    }
    TestClient absolute(gateway->port());
    ASSERT_TRUE(
        absolute.send("GET http://a.example/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    EXPECT_EQ(absolute.reply().status, 403U);
    GatewayOptions options;
    options.access.hosts = {"box.lan"};
    const auto named = started(options);
    TestClient client(named->port());
    ASSERT_TRUE(client.send("GET /v1/models HTTP/1.1\r\nHost: Box.lan:1\r\n\r\n"));
    EXPECT_EQ(client.reply().status, 200U);
}

TEST(Gateway, DoesNotWorkForForeignPages) {
    const auto gateway = started();
    const auto from = [&](const std::string& origin) {
        return post(*gateway, "/v1/chat/completions", kChat, "Origin: " + origin + "\r\n").status;
    };
    for (const std::string foreign :
         {"http://a.example", "https://localhost.a.example", "http://127.0.0.1.a.example", "null",
          "http://[::1", "file://"}) {
        EXPECT_EQ(from(foreign), 403U) << foreign;
    }
    for (const std::string near :
         {"http://localhost:3000", "http://127.0.0.1", "http://[::1]:80", "http://app.localhost"}) {
        EXPECT_EQ(from(near), 200U) << near;
    }
    EXPECT_EQ(ask(*gateway, "GET /live", "Origin: http://a.example\r\n").status, 200U);
}

TEST(Gateway, KeepsBrowsersOutUnlessTold) {
    const auto closed = started();
    EXPECT_FALSE(
        ask(*closed, "GET /v1/models", "Origin: http://a.example\r\n").has("Access-Control"));
    GatewayOptions options;
    options.access.allowed_origins = {"http://a.example"};
    options.access.door = std::make_shared<access::Door>("secret");
    const auto open = started(options);
    const TestReply allowed = ask(*open, "GET /v1/models",
                                  "Origin: http://a.example\r\nAuthorization: Bearer secret\r\n");
    EXPECT_TRUE(allowed.has("Access-Control-Allow-Origin: http://a.example\r\n"));
    EXPECT_TRUE(allowed.has("Vary: Origin\r\n"));
    EXPECT_FALSE(ask(*open, "GET /v1/models", "Origin: http://b.example\r\n").has("Allow-Origin"));
    const TestReply preflight = ask(*open, "OPTIONS /v1/chat/completions",
                                    "Origin: http://a.example\r\n"
                                    "Access-Control-Request-Method: POST\r\n"
                                    "Access-Control-Request-Headers: x-stainless-os\r\n");
    EXPECT_EQ(preflight.status, 204U) << "a browser asks without the key";
    EXPECT_TRUE(preflight.has("Access-Control-Allow-Origin: http://a.example\r\n"));
    EXPECT_TRUE(preflight.has("Access-Control-Allow-Methods: POST, OPTIONS\r\n"));
    EXPECT_TRUE(preflight.has("Access-Control-Allow-Headers: x-stainless-os\r\n"));
    const TestReply failed = ask(*open, "GET /v1/models", "Origin: http://a.example\r\n");
    EXPECT_EQ(failed.status, 401U);
    EXPECT_TRUE(failed.has("Access-Control-Allow-Origin")) << "a page may read its errors";
}

TEST(Gateway, NamesEveryRequest) {
    const auto gateway = started();
    EXPECT_TRUE(post(*gateway, "/v1/chat/completions", kChat, "X-Request-Id: mine-1\r\n")
                    .has("x-request-id: mine-1\r\n"));
    const TestReply first = post(*gateway, "/v1/chat/completions", kChat);
    const TestReply second = post(*gateway, "/v1/chat/completions", kChat);
    const auto id_of = [](const TestReply& reply) {
        const auto at = reply.head.find("x-request-id: req-");
        EXPECT_NE(at, std::string::npos) << reply.head;
        return reply.head.substr(at, reply.head.find('\r', at) - at);
    };
    EXPECT_NE(id_of(first), id_of(second));
    EXPECT_NE(parsed(first)["id"], parsed(second)["id"]);
    EXPECT_TRUE(ask(*gateway, "GET /v1/models", "X-Request-Id: " + std::string(200, 'x') + "\r\n")
                    .has("x-request-id: req-"));
}

TEST(Gateway, TakesADeadlineFromAnyApi) {
    std::mutex mutex;
    std::vector<std::chrono::steady_clock::time_point> deadlines;
    auto service =
        std::make_shared<FakeService>(std::vector<std::string>{"tiny"}, [&](FakeService::Job& job) {
            {
                const std::scoped_lock lock(mutex);
                deadlines.push_back(job.request.deadline);
            }
            answer_with(job, {"Hello"});
        });
    GatewayOptions options;
    options.port = 0;
    const auto gateway = Gateway::start(std::move(options), service);
    ASSERT_TRUE(gateway);
    const auto before = std::chrono::steady_clock::now();
    constexpr std::string_view kHeader = "x-trilane-deadline-ms: 60000\r\n";
    EXPECT_EQ(post(**gateway, "/v1/chat/completions", kChat, kHeader).status, 200U);
    EXPECT_EQ(post(**gateway, "/v1/messages",
                   R"({"model":"tiny","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]})",
                   kHeader)
                  .status,
              200U);
    EXPECT_EQ(post(**gateway, "/api/generate", R"({"model":"tiny","prompt":"Hi","stream":false})",
                   kHeader)
                  .status,
              200U);
    EXPECT_EQ(post(**gateway, "/v1/chat/completions", kChat).status, 200U);
    const auto after = std::chrono::steady_clock::now();
    {
        const std::scoped_lock lock(mutex);
        ASSERT_EQ(deadlines.size(), 4U);
        for (std::size_t i = 0; i < 3; ++i) {
            EXPECT_GE(deadlines[i], before + std::chrono::seconds(60));
            EXPECT_LE(deadlines[i], after + std::chrono::seconds(60));
        }
        EXPECT_EQ(deadlines[3], std::chrono::steady_clock::time_point()) << "whenever";
    }
    for (const std::string_view bad : {"0", "soon", "-1", "1.5", "86400001", ""}) {
        const TestReply reply = post(**gateway, "/v1/chat/completions", kChat,
                                     fmt::format("x-trilane-deadline-ms: {}\r\n", bad));
        EXPECT_EQ(reply.status, 400U) << bad;
        EXPECT_NE(std::string(error_of(reply)["message"]).find("x-trilane-deadline-ms"),
                  std::string::npos);
    }
}

TEST(Gateway, CountsWhatItDid) {
    const auto gateway = started();
    ask(*gateway, "GET /live");
    ask(*gateway, "GET /live");
    ask(*gateway, "GET /nothing");
    ask(*gateway, "what is this\r\n\r\n");
    post(*gateway, "/v1/chat/completions", kChat);
    const TestReply reply = ask(*gateway, "GET /metrics");
    EXPECT_TRUE(reply.has("Content-Type: text/plain; version=0.0.4"));
    const auto has = [&](std::string_view line) {
        return reply.body.find("\n" + std::string(line) + "\n") != std::string::npos;
    };
    EXPECT_TRUE(
        has("trilane_http_requests_total{endpoint=\"/live\",method=\"GET\",status=\"200\"} 2"));
    EXPECT_TRUE(
        has("trilane_http_requests_total{endpoint=\"other\",method=\"\",status=\"404\"} 1"));
    EXPECT_TRUE(
        has("trilane_http_requests_total{endpoint=\"other\",method=\"\",status=\"400\"} 1"));
    EXPECT_TRUE(
        has("trilane_http_requests_total{endpoint=\"/v1/chat/"
            "completions\",method=\"POST\",status=\"200\"} 1"));
    EXPECT_TRUE(has("trilane_prompt_tokens_total 5"));
    EXPECT_TRUE(has("trilane_cached_tokens_total 2"));
    EXPECT_TRUE(has("trilane_completion_tokens_total 2"));
    EXPECT_TRUE(has("trilane_time_to_first_token_seconds_count 1"));
    EXPECT_TRUE(has("trilane_inter_token_seconds_count 1"));
    EXPECT_TRUE(has("trilane_queue_wait_seconds_sum 0.003"));
    EXPECT_TRUE(has("trilane_request_duration_seconds_count 1"));
    EXPECT_TRUE(has("trilane_lane_slots_busy{lane=\"fake\"} 1"));
    EXPECT_TRUE(has("trilane_lane_requests_total{lane=\"fake\"} 7"));
}

TEST(Gateway, ServesWithoutAnyModel) {
    const auto gateway = started({}, {});
    EXPECT_EQ(ask(*gateway, "GET /health").status, 200U);
    const TestReply reply = post(*gateway, "/v1/chat/completions", kChat);
    EXPECT_EQ(reply.status, 404U);
    EXPECT_NE(error_of(reply)["message"].get<std::string>().find("no model is loaded"),
              std::string::npos);
}

TEST(Admin, ShowsTheState) {
    const auto gateway = started();
    const json::Value state = parsed(ask(*gateway, "GET /trilane/v1/state"));
    EXPECT_EQ(state["lanes"][0]["name"], "fake");
    const json::Value& model = state["lanes"][0]["models"][0];
    EXPECT_EQ(model["state"], "ready");
    EXPECT_EQ(model["predicted_bytes"], 100);
    EXPECT_EQ(model["planned_bytes"], 123);
    EXPECT_EQ(model["correction"]["bytes"], 23);
    EXPECT_EQ(model["correction"]["observed_bytes"], 122);
    EXPECT_EQ(state["pools"][0]["planned_bytes"], 30);
    EXPECT_FALSE(state.contains("model"));
    const auto meant = [&](std::string_view name) {
        return parsed(ask(*gateway, fmt::format("GET /trilane/v1/state?model={}", name)))["model"];
    };
    EXPECT_EQ(meant("%64efault"), "tiny");
    EXPECT_EQ(meant("nobody"), json::Value());
}

TEST(Admin, LoadsAndUnloads) {
    const auto gateway = started();
    const json::Value ready = parsed(post(*gateway, "/trilane/v1/load", R"({"model":"default"})"));
    EXPECT_EQ(ready["status"], "ready");
    EXPECT_EQ(ready["model"], "tiny") << "what the name means";
    EXPECT_EQ(ready["lane"], "fake");
    EXPECT_EQ(ready["planned_bytes"], 123);
    EXPECT_TRUE(ready.contains("context_tokens") && ready.contains("load_ms"));
    EXPECT_FALSE(ready.contains("note"));
    EXPECT_EQ(parsed(post(*gateway, "/trilane/v1/unload", R"({"model":"tiny"})"))["status"],
              "unloading");
    EXPECT_EQ(post(*gateway, "/trilane/v1/load", R"({"model":"huge"})").status, 404U);
    EXPECT_EQ(post(*gateway, "/trilane/v1/load", R"({"model":5})").status, 400U);
    EXPECT_EQ(post(*gateway, "/trilane/v1/load", "{").status, 400U);
    EXPECT_EQ(post(*gateway, "/trilane/v1/load", R"({"model":"tiny","context_tokens":-1})").status,
              400U);
}

TEST(Admin, ShowsLogs) {
    const auto gateway = started();
    const json::Value none = parsed(ask(*gateway, "GET /trilane/v1/logs?lane=fake&after=3"));
    EXPECT_TRUE(none["lines"].empty());
    EXPECT_EQ(ask(*gateway, "GET /trilane/v1/logs?lane=gpu").status, 404U);
    EXPECT_EQ(ask(*gateway, "GET /trilane/v1/logs").status, 404U);
}

TEST(Admin, AsksForTheKey) {
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("secret");
    const auto gateway = started(std::move(options));
    EXPECT_EQ(ask(*gateway, "GET /trilane/v1/state").status, 401U);
    EXPECT_EQ(post(*gateway, "/trilane/v1/unload", R"({"model":"tiny"})").status, 401U);
}

}  // namespace
}  // namespace trilane::gateway
