// How HttpResident looks after its server: hangs, losses, stopping, health and sanity.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "json/json.h"
#include "lane/http_resident.h"
#include "lane/http_resident_rig.h"

namespace trilane::lane {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using HttpResidentWatchTest = HttpResidentRig;

/// Short times for what is long in service.
void hurry(HttpResidentOptions& options) {
    options.hang_timeout = 200ms;
    options.health_interval = 50ms;
    options.health_timeout = 100ms;
    options.silence_timeout = 60s;
}

TEST_F(HttpResidentWatchTest, LosesAServerThatHangs) {
    hurry(options_);
    std::atomic<int> lost = 0;
    std::string reason;
    options_.on_lost = [&](const Error& error) {
        reason = error.message;
        ++lost;
    };
    const auto hold = [&](const net::Request&, auto exchange, std::size_t) {
        server_.hold(exchange);
    };
    server_.on(kChatPath, hold);
    server_.on("/health", hold);
    options_.slots = 1;
    Heard heard;
    ask(heard);
    Heard waiting;
    ask(waiting);
    EXPECT_EQ(heard.error().fault, Fault::unavailable);
    EXPECT_THAT(heard.error().message, HasSubstr("no sign of life"));
    EXPECT_THAT(waiting.error().message, HasSubstr("no sign of life"));
    Heard late;
    ask(late);
    EXPECT_THAT(late.error().message, HasSubstr("no sign of life"));
    resident().stop(0);
    EXPECT_EQ(lost, 1);
    EXPECT_THAT(reason, HasSubstr("no sign of life"));
    EXPECT_GE(server_.seen("/health").size(), 1U);
}

TEST_F(HttpResidentWatchTest, LosesAServerThatHangsWhileClientsComeAndGo) {
    hurry(options_);
    std::atomic<int> lost = 0;
    options_.on_lost = [&](const Error&) { ++lost; };
    server_.on(kChatPath,
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    server_.on("/health",
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    const auto until = std::chrono::steady_clock::now() + kScriptPatience;
    while (lost == 0 && std::chrono::steady_clock::now() < until) {
        job::Request request = upstream::chat_request();
        request.deadline = std::chrono::steady_clock::now() + 60ms;
        Heard heard;
        ask(heard, request);
        heard.error();
    }
    EXPECT_EQ(lost, 1);
}

TEST_F(HttpResidentWatchTest, WaitsForAServerThatIsBusyButWell) {
    hurry(options_);
    options_.hang_timeout = 800ms;
    options_.health_timeout = 700ms;
    std::atomic<int> lost = 0;
    options_.on_lost = [&](const Error&) { ++lost; };
    server_.on("/health", responds(200, R"({"status":"ok"})"));
    server_.on(kChatPath,
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    Heard heard;
    ask(heard);
    // Longer than the hang timeout.
    ASSERT_TRUE(server_.wait_for_requests("/health", 20));
    EXPECT_FALSE(heard.over());
    EXPECT_EQ(lost, 0);
    for (const auto& exchange : server_.take_held()) {
        stream(exchange, stream_of({"a"}));
    }
    EXPECT_EQ(heard.text(), "a");
}

TEST_F(HttpResidentWatchTest, LosesAServerThatStaysSilentWhateverItsHealth) {
    hurry(options_);
    options_.silence_timeout = 400ms;
    std::atomic<int> lost = 0;
    options_.on_lost = [&](const Error&) { ++lost; };
    server_.on("/health", responds(200, "{}"));
    server_.on(kChatPath, [&](const net::Request&, auto exchange, std::size_t) {
        net::StreamHead head;
        head.heartbeat = ": ping\n\n";  // as a llama-server sends beside a GPU that hangs
        head.heartbeat_interval = 20ms;
        exchange->start_stream(head);
        server_.hold(exchange);
    });
    Heard heard;
    ask(heard);
    EXPECT_THAT(heard.error().message, HasSubstr("no piece of an answer"));
    resident().stop(0);
    EXPECT_EQ(lost, 1);
}

TEST_F(HttpResidentWatchTest, GivesUpAtOnceWhenItIsTold) {
    std::atomic<int> lost = 0;
    options_.on_lost = [&](const Error&) { ++lost; };
    options_.slots = 1;
    server_.on(kChatPath,
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    Heard running;
    ask(running);
    Heard waiting;
    ask(waiting);
    ASSERT_TRUE(server_.wait_for_held(1));
    resident().give_up({Fault::unavailable, "process 7 was killed"});
    resident().give_up({Fault::unavailable, "again"});
    Heard late;
    ask(late);
    for (Heard* heard : {&running, &waiting, &late}) {
        EXPECT_EQ(heard->error().message, "process 7 was killed");
    }
    EXPECT_EQ(lost, 0);
}

TEST_F(HttpResidentWatchTest, StopsWithAndWithoutPatience) {
    server_.on(kChatPath,
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    Heard patient;
    ask(patient);
    ASSERT_TRUE(server_.wait_for_held(1));
    std::thread stopping([&] { resident().stop(20'000); });
    // Nothing new while it waits; what runs may end.
    while (true) {
        Heard probe;
        const CancelToken cancel = ask(probe);
        cancel.cancel();
        resident().notice_cancel();
        if (probe.error().fault == Fault::unavailable) {
            break;
        }
    }
    EXPECT_FALSE(patient.over());
    for (const auto& exchange : server_.take_held()) {
        stream(exchange, stream_of({"a"}));
    }
    stopping.join();
    EXPECT_EQ(patient.text(), "a");

    resident_.reset();
    Heard impatient;
    ask(impatient);
    ASSERT_TRUE(server_.wait_for_held(1));
    resident().stop(0);
    EXPECT_TRUE(impatient.over());
    EXPECT_EQ(impatient.error().fault, Fault::unavailable);
    EXPECT_EQ(resident().check_health(1s).error().fault, Fault::unavailable);
    resident().stop(0);
}

TEST_F(HttpResidentWatchTest, EndsWhatRunsWhenItGoes) {
    server_.on(kChatPath,
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    Heard heard;
    ask(heard);
    resident_.reset();
    EXPECT_TRUE(heard.over());
    EXPECT_EQ(heard.error().fault, Fault::unavailable);
}

TEST_F(HttpResidentWatchTest, ClosesCallsThatAreKeptOpenForNothing) {
    server_.on(kChatPath, [&](const net::Request&, auto exchange, std::size_t number) {
        exchange->start_stream({});
        exchange->send(number == 1 ? stream_of({"a"})
                                   : "data: {\"choices\":[{\"delta\":{\"content\":\"b\"},"
                                     "\"finish_reason\":\"stop\"}]}\n\n");
        server_.hold(exchange);
    });
    options_.slots = 1;
    options_.rules.end_may_be_missing = true;
    Heard done;
    ask(done);
    EXPECT_EQ(done.text(), "a");  // at once, though the server goes on
    Heard unmarked;
    ask(unmarked);
    EXPECT_EQ(unmarked.text(), "b");
    EXPECT_TRUE(server_.wait_for_gone(2));
}

TEST_F(HttpResidentWatchTest, ChecksHealth) {
    using Row = std::pair<UpstreamRules, std::string>;
    UpstreamRules tags;
    tags.health_at_tags = true;
    UpstreamRules models;
    models.no_health = true;
    for (const auto& [rules, path] :
         {Row{UpstreamRules(), "/health"}, Row{tags, "/api/tags"}, Row{models, "/v1/models"}}) {
        SCOPED_TRACE(path);
        options_.rules = rules;
        resident_.reset();
        server_.on(path, responds(200, "{}"));
        EXPECT_TRUE(resident().check_health(10s));
        server_.on(path, responds(503, R"({"error":{"message":"Loading model"}})"));
        EXPECT_EQ(resident().check_health(10s).error().fault, Fault::exhausted);
        server_.on(path, responds(401, "{}"));
        EXPECT_EQ(resident().check_health(10s).error().fault, Fault::unavailable);
        server_.on(
            path, [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
        EXPECT_EQ(resident().check_health(30ms).error().fault, Fault::timeout);
        const CancelToken cancel;
        cancel.cancel();
        EXPECT_EQ(resident().check_health(10s, cancel).error().fault, Fault::cancelled);
        server_.on(path, nullptr);
    }
}

TEST_F(HttpResidentWatchTest, ChecksSanity) {
    server_.on(kChatPath, streams(stream_of({"re", "ady"})));
    EXPECT_TRUE(resident().check_sanity(10s));
    const auto body = json::parse(server_.seen(kChatPath)[0].body);
    EXPECT_EQ((*body)["max_tokens"], 8);
    EXPECT_EQ((*body)["temperature"], 0);
    server_.on(kChatPath, streams(stream_of({"GG", "GGGG"})));
    EXPECT_EQ(resident().check_sanity(10s).error().fault, Fault::corrupt);
    server_.on(kChatPath, streams(stream_of({" ", "\\n"})));
    EXPECT_EQ(resident().check_sanity(10s).error().fault, Fault::corrupt);
    server_.on(kChatPath, responds(500, "{}"));
    EXPECT_EQ(resident().check_sanity(10s).error().fault, Fault::unavailable);
    server_.on(kChatPath,
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    EXPECT_EQ(resident().check_sanity(50ms).error().fault, Fault::timeout);
    EXPECT_TRUE(server_.wait_for_gone(1));
    EXPECT_EQ(resident().snapshot().requests_total, 0U);

    options_.rules.check_model = true;
    resident_.reset();
    server_.on(kChatPath, streams(std::string(upstream::kFlmChat)));
    EXPECT_EQ(resident().check_sanity(10s).error().fault, Fault::corrupt);
}

TEST_F(HttpResidentWatchTest, ListsModels) {
    net::Client client(loops_, server_.target());
    const auto list = [&] { return list_upstream_models(client, "sk-secret", 10s); };
    server_.on("/v1/models",
               responds(200, R"({"object":"list","data":[{"id":"a"},{"id":"b/c"}]})"));
    EXPECT_THAT(*list(), ElementsAre("a", "b/c"));
    EXPECT_EQ(*server_.seen("/v1/models")[0].header("authorization"), "Bearer sk-secret");
    server_.on("/v1/models", responds(401, R"({"error":"bad key sk-secret"})"));
    EXPECT_EQ(list().error().fault, Fault::invalid);
    EXPECT_THAT(list().error().message, Not(HasSubstr("sk-secret")));
    for (const char* body : {"", "[]", "{}", R"({"data":{}})", R"({"data":[{"id":7}]})",
                             R"({"data":["a"],"key":"sk-secret"})"}) {
        server_.on("/v1/models", responds(200, body));
        EXPECT_EQ(list().error().fault, Fault::corrupt) << body;
        EXPECT_THAT(list().error().message, Not(HasSubstr("sk-secret")));
    }
    server_.on("/v1/models", responds(502, "no"));
    EXPECT_EQ(list().error().fault, Fault::unavailable);
}

}  // namespace
}  // namespace trilane::lane
