// From a lane's events to the client's bytes and from a client's leaving to the lane, with a lane
// that runs on its own thread.
#include "gateway/generation.h"

#include <gtest/gtest.h>

#include <array>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "gateway/fake_service.h"
#include "gateway/gateway.h"
#include "json/json.h"
#include "net/loopback_test_client.h"

namespace trilane::gateway {
namespace {

using net::TestClient;
using net::TestReply;
using std::chrono::milliseconds;
constexpr auto kPatience = std::chrono::seconds(30);

/// A gateway over one fake lane.
struct Rig {
    explicit Rig(FakeService::Script script, GatewayOptions options = {})
        : lane(std::make_shared<FakeService>(std::vector<std::string>{"tiny"}, std::move(script))) {
        options.port = 0;
        auto started = Gateway::start(std::move(options), lane);
        EXPECT_TRUE(started) << started.error().message;
        gateway = started ? std::move(*started) : nullptr;
    }

    std::shared_ptr<FakeService> lane;
    std::unique_ptr<Gateway> gateway;
};

std::string chat(bool stream, std::string_view more = "") {
    return std::string(R"({"model":"tiny","messages":[{"role":"user","content":"Hi"}],"stream":)") +
           (stream ? "true" : "false") + std::string(more) + "}";
}

json::Value parsed_text(const std::string& text) {
    auto value = json::parse(text);
    EXPECT_TRUE(value) << text;
    return value ? *value : json::Value::object();
}

/// The payloads of a stream's "data:" lines.
std::vector<std::string> events_of(const std::string& stream) {
    std::vector<std::string> events;
    for (std::size_t at = 0; (at = stream.find("data: ", at)) != std::string::npos;) {
        at += 6;
        events.push_back(stream.substr(at, stream.find("\n\n", at) - at));
    }
    return events;
}

/// The text of choice `index` that a stream's chunks add up to.
std::string streamed_text(const std::vector<std::string>& events, std::size_t index = 0) {
    std::string text;
    for (const std::string& event : events) {
        if (event == "[DONE]") {
            continue;
        }
        const json::Value chunk = parsed_text(event);
        for (const auto& choice : chunk.value("choices", json::Value::array())) {
            if (choice["index"] == index && choice["delta"].contains("content") &&
                choice["delta"]["content"].is_string()) {
                text += choice["delta"]["content"].get<std::string>();
            }
        }
    }
    return text;
}

/// Runs until the job is cancelled; false when that takes too long.
bool wait_for_cancel(const FakeService::Job& job) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!job.cancel.cancelled()) {
        if (std::chrono::steady_clock::now() > until) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

job::Text text_of(std::string text) {
    job::Text event;
    event.text = std::move(text);
    return event;
}

job::Failed failure(Fault fault, std::string message) {
    return job::Failed{Error{fault, std::move(message)}};
}

TEST(Generation, AnswersWhole) {
    Rig rig([](FakeService::Job& job) {
        EXPECT_EQ(job.request.model, "tiny");
        answer_with(job, {"Hel", "lo"});
    });
    TestClient client(rig.gateway->port());
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(client.post("/v1/chat/completions", chat(false)));
        const TestReply reply = client.reply();
        EXPECT_EQ(reply.status, 200U);
        const json::Value body = parsed_text(reply.body);
        EXPECT_EQ(body["choices"][0]["message"]["content"], "Hello");
        EXPECT_EQ(body["usage"]["prompt_tokens"], 5);
    }
}

TEST(Generation, StreamsAndKeepsTheConnection) {
    Rig rig([](FakeService::Job& job) { answer_with(job, {"Hel", "lo", " you"}); });
    TestClient client(rig.gateway->port());
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(client.post("/v1/chat/completions", chat(true)));
        const TestReply reply = client.reply();
        EXPECT_EQ(reply.status, 200U);
        EXPECT_TRUE(reply.complete);
        EXPECT_TRUE(reply.has("Content-Type: text/event-stream\r\n"));
        EXPECT_TRUE(reply.has("Cache-Control: no-cache\r\n"));
        EXPECT_TRUE(reply.has("x-request-id: "));
        const auto events = events_of(reply.body);
        EXPECT_EQ(streamed_text(events), "Hello you");
        EXPECT_EQ(events.back(), "[DONE]");
    }
}

TEST(Generation, AnswersSeveralPrompts) {
    Rig rig([](FakeService::Job& job) {
        const auto& prompt = std::get<job::Completion>(job.request.ask).prompt;
        answer_with(job, {"[" + std::get<std::string>(prompt) + "]"});
    });
    TestClient client(rig.gateway->port());
    ASSERT_TRUE(client.post("/v1/completions", R"({"model":"tiny","prompt":["a","b","c"]})"));
    const json::Value body = parsed_text(client.reply().body);
    ASSERT_EQ(body["choices"].size(), 3U);
    EXPECT_EQ(body["choices"][2]["text"], "[c]");
    EXPECT_EQ(body["usage"]["completion_tokens"], 3);
}

TEST(Generation, GivesAnEarlyFailureItsOwnStatus) {
    Rig rig(
        [](FakeService::Job& job) { job.sink(failure(Fault::exhausted, "the queue is full")); });
    for (const bool stream : {false, true}) {
        TestClient client(rig.gateway->port());
        ASSERT_TRUE(client.post("/v1/chat/completions", chat(stream)));
        const TestReply reply = client.reply();
        EXPECT_EQ(reply.status, 429U);
        EXPECT_TRUE(reply.has("Retry-After: 1\r\n"));
        EXPECT_TRUE(reply.has("x-request-id: "));
        EXPECT_TRUE(reply.has("Content-Type: application/json"));
        EXPECT_EQ(parsed_text(reply.body)["error"]["message"], "the queue is full");
    }
}

TEST(Generation, SaysWhenAModelThatFailsAgainAndAgainIsTriedNext) {
    Rig rig([](FakeService::Job& job) { job.sink(failure(Fault::unavailable, "it crashed")); });
    rig.lane->pause_for(37);
    for (const bool stream : {false, true}) {
        TestClient client(rig.gateway->port());
        ASSERT_TRUE(client.post("/v1/chat/completions", chat(stream)));
        const TestReply reply = client.reply();
        EXPECT_EQ(reply.status, 503U);
        EXPECT_TRUE(reply.has("Retry-After: 37\r\n")) << reply.head;
    }
    rig.lane->pause_for(0);
    TestClient client(rig.gateway->port());
    ASSERT_TRUE(client.post("/v1/chat/completions", chat(false)));
    EXPECT_TRUE(client.reply().has("Retry-After: 1\r\n"));
}

TEST(Generation, ReportsAFailureInsideAStream) {
    Rig rig([](FakeService::Job& job) {
        job.sink(job::Started{1});
        job.sink(text_of("so far"));
        job.sink(failure(Fault::internal, "the lane fell over"));
    });
    TestClient client(rig.gateway->port());
    for (int i = 0; i < 2; ++i) {  // the connection goes on
        ASSERT_TRUE(client.post("/v1/chat/completions", chat(true)));
        const TestReply reply = client.reply();
        EXPECT_EQ(reply.status, 200U);
        EXPECT_TRUE(reply.complete);
        const auto events = events_of(reply.body);
        ASSERT_FALSE(events.empty());
        EXPECT_EQ(parsed_text(events.back())["error"]["message"], "the lane fell over");
    }
}

// One job of several fails: the client hears of it once, and the others are told to stop.
TEST(Generation, CancelsTheOtherJobsOfAFailedRequest) {
    std::promise<bool> cancelled;
    std::vector<FakeService::Job> held;
    Rig rig([&](FakeService::Job& job) {
        if (held.empty()) {
            held.push_back(std::move(job));
            return;
        }
        job.sink(failure(Fault::invalid, "prompt: too long"));
        cancelled.set_value(wait_for_cancel(held.front()));
        held.front().sink(failure(Fault::cancelled, "cancelled"));
        held.clear();
    });
    TestClient client(rig.gateway->port());
    ASSERT_TRUE(client.post("/v1/completions", R"({"model":"tiny","prompt":["a","b"]})"));
    const TestReply reply = client.reply();
    EXPECT_EQ(reply.status, 400U);
    EXPECT_EQ(parsed_text(reply.body)["error"]["message"], "prompt: too long");
    EXPECT_TRUE(cancelled.get_future().get());
}

/// The shortest of several times from a client's leaving to the job's cancel token.
milliseconds cancelled_after(bool stream) {
    struct Round {
        std::promise<std::chrono::steady_clock::time_point> seen;
        std::promise<void> started;
    };
    // All of them outlive the lane's thread, which may still be inside of set_value() when the
    // next round begins.
    std::array<Round, 5> rounds;
    std::size_t next_job = 0;  // of the lane's thread
    Rig rig([&](FakeService::Job& job) {
        Round& round = rounds.at(next_job++);
        job.sink(job::Started{1});
        job.sink(text_of("x"));
        round.started.set_value();
        EXPECT_TRUE(wait_for_cancel(job));
        round.seen.set_value(std::chrono::steady_clock::now());
        job.sink(failure(Fault::cancelled, "the client left"));
    });
    auto shortest = milliseconds::max();
    for (Round& round : rounds) {
        TestClient client(rig.gateway->port());
        EXPECT_TRUE(client.post("/v1/chat/completions", chat(stream)));
        round.started.get_future().wait();
        if (stream) {
            EXPECT_TRUE(client.receive_until("data: "));
        }
        const auto left = std::chrono::steady_clock::now();
        client.close();
        shortest = std::min(shortest, std::chrono::duration_cast<milliseconds>(
                                          round.seen.get_future().get() - left));
    }
    return shortest;
}

TEST(Generation, StopsWhenTheClientLeaves) {
    EXPECT_LE(cancelled_after(false), net::kNoticedMax);
    EXPECT_LE(cancelled_after(true), net::kNoticedMax);
}

TEST(Generation, CancelsForAClientThatDoesNotRead) {
    GatewayOptions options;
    options.limits.pending_bytes_max = 100'000;
    std::promise<bool> cancelled;
    Rig rig(
        [&](FakeService::Job& job) {
            job.sink(job::Started{1});
            const std::string piece(10'000, 'x');
            constexpr int kPiecesMax = 10'000;  // far above what two sockets hold
            for (int i = 0; i < kPiecesMax && !job.cancel.cancelled(); ++i) {
                job.sink(text_of(piece));
            }
            cancelled.set_value(job.cancel.cancelled());
            job.sink(failure(Fault::cancelled, "cancelled"));
        },
        options);
    TestClient client(rig.gateway->port());
    ASSERT_TRUE(client.post("/v1/chat/completions", chat(true)));
    EXPECT_TRUE(cancelled.get_future().get());
}

TEST(Generation, BeatsWhileThePromptIsRead) {
    GatewayOptions options;
    options.heartbeat_interval = milliseconds(10);
    options.limits.linger_timeout = milliseconds(20);
    std::promise<void> beaten;
    Rig rig(
        [&](FakeService::Job& job) {
            job.sink(job::Started{1});
            beaten.get_future().wait();
            job.sink(text_of("at last"));
            job.sink(job::ChoiceEnd{});
            job.sink(job::Done{});
        },
        options);
    TestClient client(rig.gateway->port());
    ASSERT_TRUE(client.post("/v1/chat/completions", chat(true)));
    EXPECT_TRUE(client.receive_until(": ping\n\n"));
    beaten.set_value();
    const TestReply reply = client.reply();
    EXPECT_TRUE(reply.complete);
    EXPECT_EQ(streamed_text(events_of(reply.body)), "at last");
}

TEST(Generation, AnswersForALaneThatDropsAJob) {
    Rig rig([](FakeService::Job& /*job*/) {});
    TestClient client(rig.gateway->port());
    ASSERT_TRUE(client.post("/v1/chat/completions", chat(true)));
    const TestReply reply = client.reply();
    EXPECT_EQ(reply.status, 500U);
    EXPECT_TRUE(parsed_text(reply.body).contains("error"));
}

TEST(Generation, EndsBeforeAGracefulStop) {
    std::promise<void> started;
    std::promise<void> go_on;
    Rig rig([&](FakeService::Job& job) {
        job.sink(job::Started{1});
        started.set_value();
        go_on.get_future().wait();
        job.sink(text_of("whole"));
        job.sink(job::ChoiceEnd{});
        job.sink(job::Done{});
    });
    TestClient client(rig.gateway->port());
    ASSERT_TRUE(client.post("/v1/chat/completions", chat(true)));
    started.get_future().wait();
    std::thread stopping([&] { rig.gateway->stop(kPatience); });
    while (TestClient(rig.gateway->port()).connected()) {
        std::this_thread::yield();
    }
    go_on.set_value();
    const TestReply reply = client.reply();
    EXPECT_TRUE(reply.complete);
    EXPECT_EQ(streamed_text(events_of(reply.body)), "whole");
    client.close();
    stopping.join();
}

TEST(Generation, IsCancelledByAStopWithoutPatience) {
    std::promise<void> started;
    std::promise<bool> cancelled;
    Rig rig([&](FakeService::Job& job) {
        job.sink(job::Started{1});
        started.set_value();
        cancelled.set_value(wait_for_cancel(job));
        job.sink(failure(Fault::cancelled, "cancelled"));
    });
    TestClient client(rig.gateway->port());
    ASSERT_TRUE(client.post("/v1/chat/completions", chat(false)));
    started.get_future().wait();
    rig.gateway->stop(milliseconds(0));
    EXPECT_TRUE(cancelled.get_future().get());
}

TEST(Generation, ServesManyAtOnce) {
    std::mutex mutex;
    std::vector<std::thread> threads;
    Rig rig([&](FakeService::Job& job) {
        const std::scoped_lock lock(mutex);
        threads.emplace_back([held = std::move(job)] {
            answer_with(held, {"a", "b", "c", "d", "e", "f", "g", "h"});
        });
    });
    std::vector<std::unique_ptr<TestClient>> clients;
    for (int i = 0; i < 32; ++i) {
        clients.push_back(std::make_unique<TestClient>(rig.gateway->port()));
        ASSERT_TRUE(clients.back()->post("/v1/chat/completions", chat(true)));
    }
    for (auto& client : clients) {
        const TestReply reply = client->reply();
        EXPECT_TRUE(reply.complete);
        EXPECT_EQ(streamed_text(events_of(reply.body)), "abcdefgh");
    }
    rig.lane->stop();
    for (std::thread& thread : threads) {
        thread.join();
    }
}

}  // namespace
}  // namespace trilane::gateway
