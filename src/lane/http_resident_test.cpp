// HttpResident against a server in this process.
#include "lane/http_resident.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "json/json.h"
#include "lane/http_resident_rig.h"

namespace trilane::lane {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using HttpResidentTest = HttpResidentRig;

TEST_F(HttpResidentTest, PassesAnAnswerOn) {
    server_.on(kChatPath, streams(std::string(upstream::kLlamaChat)));
    options_.api_key = "k1";
    Heard heard;
    ask(heard);
    ASSERT_TRUE(heard.wait_for_last());
    EXPECT_THAT(
        heard.events(),
        ElementsAre("started 0", "text 0 'Hel'", "text 0 'lo \"ä😀\"\n'", "text 0 'wörld'",
                    "end 0 stop",
                    "done prompt=12 cached=8 completion=4 read=4 in 21.5 ms, 4 in 80.2 ms"));
    const auto requests = server_.seen(kChatPath);
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_EQ(*requests[0].header("content-type"), "application/json");
    EXPECT_EQ(*requests[0].header("authorization"), "Bearer k1");
    EXPECT_EQ((*json::parse(requests[0].body))["model"], "qwen3-4b");
    const ResidentSnapshot snapshot = resident().snapshot();
    EXPECT_EQ(snapshot.slots, 4U);
    EXPECT_EQ(snapshot.requests_total, 1U);
    EXPECT_EQ(snapshot.prompt_tokens_total, 12U);
    EXPECT_EQ(snapshot.cached_tokens_total, 8U);
    EXPECT_EQ(snapshot.predicted_tokens_total, 4U);
    EXPECT_EQ(snapshot.failed_total + snapshot.cancelled_total, 0U);
    EXPECT_EQ(resident().card().id, "m");
    EXPECT_EQ(resident().slots(), 4U);
}

TEST_F(HttpResidentTest, MeasuresWhereTheServerDoesNot) {
    server_.on(kChatPath, streams(stream_of({"a", "b"})));
    std::optional<job::Done> done;
    Heard heard;
    resident().submit(upstream::chat_request(),
                      [&, sink = heard.sink()](const job::Event& event) {
                          if (const auto* last = std::get_if<job::Done>(&event)) {
                              done = *last;
                          }
                          sink(event);
                      },
                      {});
    ASSERT_TRUE(heard.wait_for_last());
    EXPECT_GT(done->timings.prompt_ms, 0);
    EXPECT_GT(done->timings.predicted_ms, 0);
    EXPECT_EQ(done->timings.predicted_tokens, 2U);
}

TEST_F(HttpResidentTest, UsesConnectionsAgain) {
    server_.on(kChatPath, streams(stream_of({"a"})));
    options_.slots = 1;
    constexpr int kRequests = 50;
    for (int i = 0; i < kRequests; ++i) {
        Heard heard;
        ask(heard);
        EXPECT_EQ(heard.text(), "a");
        ASSERT_TRUE(wait_until_free());
    }
    // One for each loop at the most.
    EXPECT_LE(server_.server().snapshot().accepted_total, 2U);
}

TEST_F(HttpResidentTest, WritesThePathAsTheBaseHasIt) {
    server_.on("/v1/chat/completions", streams(stream_of({"a"})));
    server_.on("/x/v1/chat/completions", streams(stream_of({"b"})));
    server_.on("/api/v4/chat/completions", streams(stream_of({"c"})));
    const std::pair<const char*, const char*> rows[] = {
        {"", "a"}, {"/v1", "a"}, {"/x", "b"}, {"/x/v1", "b"}, {"/api/v4", "c"}};
    for (const auto& [base, expected] : rows) {
        options_.target.base_path = base;
        resident_.reset();
        Heard heard;
        ask(heard);
        EXPECT_EQ(heard.text(), expected) << base;
    }
}

TEST_F(HttpResidentTest, AnswersManyAtOnce) {
    server_.on(kChatPath, streams(stream_of({"one ", "two ", "three"})));
    options_.slots = 8;
    constexpr int kThreads = 8;
    constexpr int kEach = 50;
    resident();
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < kEach; ++i) {
                Heard heard;
                ask(heard);
                EXPECT_EQ(heard.text(), "one two three");
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(resident().snapshot().requests_total, static_cast<unsigned>(kThreads * kEach));
    EXPECT_EQ(resident().snapshot().failed_total, 0U);
}

TEST_F(HttpResidentTest, EndsACancelledAnswerAtOnce) {
    for (const bool told : {true, false}) {
        for (const bool begun : {true, false}) {
            SCOPED_TRACE(fmt::format("told={} begun={}", told, begun));
            ScriptedServer server;
            server.on(kChatPath, [&](const net::Request&, auto exchange, std::size_t) {
                if (begun) {
                    exchange->start_stream({});
                    exchange->send("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
                }
                server.hold(exchange);
            });
            options_.target = server.target();
            resident_.reset();
            Heard heard;
            const CancelToken cancel = ask(heard);
            ASSERT_TRUE(begun ? heard.wait_for_events(2) : server.wait_for_held(1));
            EXPECT_EQ(resident().snapshot().slots_busy, 1U);
            cancel.cancel();
            if (told) {
                resident().notice_cancel();
            }
            EXPECT_EQ(heard.error().fault, Fault::cancelled);
            EXPECT_TRUE(server.wait_for_gone(1));
            EXPECT_TRUE(wait_until_free());
            EXPECT_EQ(resident().snapshot().cancelled_total, 1U);
            EXPECT_EQ(resident().snapshot().failed_total, 0U);
            resident_.reset();
        }
    }
}

TEST_F(HttpResidentTest, RefusesWhatIsCancelledOrLateAlready) {
    Heard cancelled;
    const CancelToken cancel;
    cancel.cancel();
    resident().submit(upstream::chat_request(), cancelled.sink(), cancel);
    EXPECT_EQ(cancelled.error().fault, Fault::cancelled);
    job::Request late = upstream::chat_request();
    late.deadline = std::chrono::steady_clock::now() - 1ms;
    Heard too_late;
    ask(too_late, late);
    EXPECT_EQ(too_late.error().fault, Fault::timeout);
    EXPECT_TRUE(server_.seen(kChatPath).empty());
}

TEST_F(HttpResidentTest, GivesUpAnAnswerThatHasNotBegunByItsDeadline) {
    server_.on(kChatPath, [&](const net::Request&, auto exchange, std::size_t number) {
        if (number == 2) {
            exchange->start_stream({});
            exchange->send("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
        }
        server_.hold(exchange);
    });
    job::Request request = upstream::chat_request();
    request.deadline = std::chrono::steady_clock::now() + 60ms;
    Heard heard;
    ask(heard, request);
    EXPECT_EQ(heard.error().fault, Fault::timeout);
    EXPECT_TRUE(server_.wait_for_gone(1));
    // One that has begun may take its time.
    request.deadline = std::chrono::steady_clock::now() + 10s;
    Heard second;
    const CancelToken cancel = ask(second, request);
    ASSERT_TRUE(second.wait_for_events(2));
    EXPECT_FALSE(second.over());
    cancel.cancel();
    EXPECT_EQ(second.error().fault, Fault::cancelled);
}

TEST_F(HttpResidentTest, HandsTheServerNoMoreThanItsSlots) {
    server_.on(kChatPath,
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    options_.slots = 2;
    Heard heard[5];
    CancelToken cancels[5];
    for (int i = 0; i < 5; ++i) {
        cancels[i] = ask(heard[i]);
    }
    ASSERT_TRUE(server_.wait_for_held(2));
    EXPECT_EQ(resident().snapshot().slots_busy, 2U);
    EXPECT_EQ(resident().snapshot().queued, 3U);
    cancels[3].cancel();
    resident().notice_cancel();
    EXPECT_EQ(heard[3].error().fault, Fault::cancelled);
    for (int round = 0; round < 2; ++round) {
        ASSERT_TRUE(server_.wait_for_held(2));
        EXPECT_EQ(resident().snapshot().slots_busy, 2U);
        for (const auto& exchange : server_.take_held()) {
            stream(exchange, stream_of({"a"}));
        }
    }
    for (const int i : {0, 1, 2, 4}) {
        EXPECT_EQ(heard[i].text(), "a");
    }
    EXPECT_EQ(server_.seen(kChatPath).size(), 4U);
}

TEST_F(HttpResidentTest, RefusesMoreThanMayWait) {
    server_.on(kChatPath,
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    options_.slots = 1;
    std::vector<std::unique_ptr<Heard>> waiting;
    for (std::size_t i = 0; i < 1 + kHttpWaitingMax; ++i) {
        ask(*waiting.emplace_back(std::make_unique<Heard>()));
    }
    Heard heard;
    ask(heard);
    EXPECT_EQ(heard.error().fault, Fault::exhausted);
    resident().stop(0);
    for (const auto& each : waiting) {
        EXPECT_EQ(each->error().fault, Fault::unavailable);
    }
}

TEST_F(HttpResidentTest, SaysWhenNobodyListens) {
    net::Target nowhere = server_.target();
    {
        const ScriptedServer closed;
        nowhere = closed.target();
    }
    options_.target = nowhere;
    Heard heard;
    ask(heard);
    const Error error = heard.error();
    EXPECT_EQ(error.fault, Fault::unavailable);
    EXPECT_FALSE(error.message.empty());
    EXPECT_EQ(resident().snapshot().failed_total, 1U);
    EXPECT_EQ(resident().check_health(2s).error().fault, Fault::unavailable);
    EXPECT_EQ(resident().check_sanity(2s).error().fault, Fault::unavailable);
    EXPECT_EQ(resident().snapshot().requests_total, 1U) << "checks are not counted";
}

TEST_F(HttpResidentTest, SaysWhenTheServerLeavesInTheMiddle) {
    server_.on(kChatPath, [&](const net::Request&, auto exchange, std::size_t) {
        exchange->start_stream({});
        exchange->send("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
        server_.hold(exchange);
    });
    Heard heard;
    ask(heard);
    ASSERT_TRUE(heard.wait_for_events(2));
    server_.drop_held();  // breaks the stream off
    EXPECT_EQ(heard.error().fault, Fault::unavailable);
    EXPECT_THAT(heard.error().message, HasSubstr("in the middle"));
    EXPECT_THAT(heard.events(), ElementsAre("started 0", "text 0 'a'", StartsWith("failed")));
}

TEST_F(HttpResidentTest, TriesOnceMoreWhereTheRulesSay) {
    options_.rules.retry_once_on_error = true;
    const std::string error = R"({"error":"basic_string::substr"})";
    server_.on(kChatPath,
               [&](const net::Request& request, const auto& exchange, std::size_t number) {
                   if (number % 2 == 1 || request.body.find("twice") != std::string::npos) {
                       exchange->respond({200, "application/json", {}, error});
                   } else {
                       stream(exchange, stream_of({"a"}));
                   }
               });
    Heard heard;
    ask(heard);
    EXPECT_EQ(heard.text(), "a");
    EXPECT_EQ(server_.seen(kChatPath).size(), 2U);
    Heard twice;
    ask(twice, upstream::chat_request("twice"));
    EXPECT_THAT(twice.error().message, HasSubstr("basic_string::substr"));
    EXPECT_EQ(server_.seen(kChatPath).size(), 4U);
    EXPECT_EQ(resident().snapshot().requests_total, 2U);
}

TEST_F(HttpResidentTest, TriesNothingTwiceThatWouldNotHelp) {
    options_.rules.retry_once_on_error = true;
    const std::string bodies[] = {
        R"({"error":{"message":"Max length reached!","code":400}})",
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":\"late\"}\n\n"};
    for (const std::string& body : bodies) {
        server_.on(kChatPath, streams(body));
        const std::size_t before = server_.seen(kChatPath).size();
        Heard heard;
        ask(heard);
        heard.error();
        EXPECT_EQ(server_.seen(kChatPath).size(), before + 1) << body;
    }
    options_.rules.retry_once_on_error = false;
    resident_.reset();
    server_.on(kChatPath, responds(200, R"({"error":"x"})"));
    const std::size_t before = server_.seen(kChatPath).size();
    Heard heard;
    ask(heard);
    heard.error();
    EXPECT_EQ(server_.seen(kChatPath).size(), before + 1);
}

TEST_F(HttpResidentTest, AsksForChoicesOneByOne) {
    options_.rules.single_choice = true;
    options_.slots = 1;
    const auto at_once = std::make_shared<std::atomic<int>>(0);
    server_.on(kChatPath, [=](const net::Request&, const auto& exchange, std::size_t number) {
        EXPECT_EQ(++*at_once, 1);
        exchange->start_stream({});
        exchange->send(stream_of({std::to_string(number)}));
        --*at_once;
        exchange->finish();
    });
    job::Request request = upstream::chat_request();
    request.choices = 3;
    request.sampling.seed = 7;
    Heard heard;
    ask(heard, request);
    ASSERT_TRUE(heard.wait_for_last());
    EXPECT_THAT(heard.events(), ElementsAre("started 0", "text 0 '1'", "end 0 stop", "text 1 '2'",
                                            "end 1 stop", "text 2 '3'", "end 2 stop",
                                            StartsWith("done prompt=5 cached=0 "
                                                       "completion=3")));
    const auto requests = server_.seen(kChatPath);
    ASSERT_EQ(requests.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
        const auto body = json::parse(requests[i].body);
        EXPECT_FALSE(body->contains("n"));
        EXPECT_EQ((*body)["seed"], 7 + i);
    }
}

TEST_F(HttpResidentTest, CutsAtStopTextsAndBreaksTheCallOff) {
    options_.rules.stops_ignored = true;
    server_.on(kChatPath, [&](const net::Request&, auto exchange, std::size_t) {
        exchange->start_stream({});
        exchange->send("data: {\"choices\":[{\"delta\":{\"content\":\"one. E\"}}]}\n\n");
        exchange->send("data: {\"choices\":[{\"delta\":{\"content\":\"ND two\"}}]}\n\n");
        server_.hold(exchange);
    });
    job::Request request = upstream::chat_request();
    request.stop = {"END"};
    Heard heard;
    ask(heard, request);
    EXPECT_EQ(heard.text(), "one. ");
    EXPECT_TRUE(server_.wait_for_gone(1));
    EXPECT_TRUE(wait_until_free());
    EXPECT_EQ(resident().snapshot().failed_total + resident().snapshot().cancelled_total, 0U);
}

TEST_F(HttpResidentTest, AsksForTwoTokensAndPassesOne) {
    options_.rules.max_tokens_min = 2;
    options_.rules.never_says_length = true;
    server_.on(kChatPath, streams(stream_of({"a", "b"})));
    job::Request request = upstream::chat_request();
    request.max_tokens = 1;
    Heard heard;
    ask(heard, request);
    ASSERT_TRUE(heard.wait_for_last());
    EXPECT_THAT(heard.events(), ElementsAre("started 0", "text 0 'a'", "end 0 length",
                                            StartsWith("done prompt=5 cached=0 completion=1")));
    EXPECT_EQ((*json::parse(server_.seen(kChatPath)[0].body))["max_tokens"], 2);
}

TEST_F(HttpResidentTest, WaitsForTheSlotOfACancelledRequest) {
    options_.rules.cancel_may_linger = true;
    options_.slots = 1;
    server_.on(kChatPath, [&](const net::Request& request, auto exchange, std::size_t) {
        if (request.body.find("first") != std::string::npos) {
            server_.hold(exchange);
        } else {
            stream(exchange, stream_of({"a"}));
        }
    });
    // Scripts may still be called when the test is over: what they use must live longer.
    const auto at_work = std::make_shared<std::atomic<bool>>(true);
    server_.on("/slots", [=](const net::Request&, const auto& exchange, std::size_t) {
        exchange->respond({200,
                           "application/json",
                           {},
                           fmt::format(R"([{{"id":0,"is_processing":{}}}])", at_work->load())});
    });
    Heard first;
    const CancelToken cancel = ask(first, upstream::chat_request("first"));
    ASSERT_TRUE(server_.wait_for_held(1));
    cancel.cancel();
    resident().notice_cancel();
    EXPECT_EQ(first.error().fault, Fault::cancelled);
    Heard second;
    ask(second);
    ASSERT_TRUE(server_.wait_for_requests("/slots", 4));
    EXPECT_EQ(server_.seen(kChatPath).size(), 1U);
    EXPECT_EQ(resident().snapshot().queued, 1U);
    *at_work = false;
    EXPECT_EQ(second.text(), "a");
}

TEST_F(HttpResidentTest, WaitsForNoSlotWhereTheServerDoesNotTell) {
    options_.rules.cancel_may_linger = true;
    options_.slots = 1;
    for (const bool npu : {false, true}) {
        options_.rules.health_at_tags = npu;
        resident_.reset();
        server_.on("/api/npu/status", responds(200, R"({"active_requests":0})"));
        server_.on(kChatPath, [&](const net::Request&, auto exchange, std::size_t) {
            server_.hold(exchange);
        });
        Heard first;
        const CancelToken cancel = ask(first);
        ASSERT_TRUE(server_.wait_for_held(1));
        server_.on(kChatPath, streams(stream_of({"a"})));
        cancel.cancel();
        resident().notice_cancel();
        EXPECT_EQ(first.error().fault, Fault::cancelled);
        Heard second;
        ask(second);
        EXPECT_EQ(second.text(), "a");
        server_.drop_held();
    }
    EXPECT_EQ(server_.seen("/slots").size(), 1U);
    EXPECT_EQ(server_.seen("/api/npu/status").size(), 1U);
}

TEST_F(HttpResidentTest, AsksTheNextChoiceOnlyWhenTheServerIsFree) {
    options_.rules.cancel_may_linger = options_.rules.single_choice = true;
    options_.rules.stops_ignored = true;
    options_.slots = 1;
    const auto at_work = std::make_shared<std::atomic<int>>(3);
    server_.on("/slots", [=](const net::Request&, const auto& exchange, std::size_t) {
        exchange->respond({200,
                           "application/json",
                           {},
                           fmt::format(R"([{{"is_processing":{}}}])", --*at_work > 0)});
    });
    server_.on(kChatPath, [=, this](const net::Request&, auto exchange, std::size_t number) {
        EXPECT_TRUE(number == 1 || *at_work <= 0);
        exchange->start_stream({});
        exchange->send("data: {\"choices\":[{\"delta\":{\"content\":\"a.b\"}}]}\n\n");
        server_.hold(exchange);
    });
    job::Request request = upstream::chat_request();
    request.choices = 2;
    request.stop = {"."};
    Heard heard;
    ask(heard, request);
    ASSERT_TRUE(heard.wait_for_last());
    EXPECT_THAT(heard.events(), ElementsAre("started 0", "text 0 'a'", "end 0 stop at .",
                                            "text 1 'a'", "end 1 stop at .", StartsWith("done")));
}

/// Answers of every kind, clients that leave, and a resident that is stopped in the middle of it.
TEST_F(HttpResidentTest, GivesEveryRequestOneEndWhateverHappens) {
    options_.rules.retry_once_on_error = options_.rules.cancel_may_linger = true;
    options_.rules.single_choice = options_.rules.stops_ignored = true;
    server_.on("/slots", responds(200, "[]"));
    server_.on("/health", responds(200, "{}"));
    server_.on(kChatPath, [&](const net::Request&, auto exchange, std::size_t number) {
        switch (number % 7) {
            case 0:
                return exchange->respond({200, "application/json", {}, R"({"error":"x"})"});
            case 1:
                return exchange->respond({503, "application/json", {}, "{}"});
            case 2:
                exchange->start_stream({});
                exchange->send("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
                return;  // broken off
            case 3:
                return server_.hold(exchange);
            case 4:
                return stream(exchange, "garbage");
            default:
                return stream(exchange, stream_of({"a", "b. c", "d"}));
        }
    });
    constexpr int kThreads = 4;
    constexpr int kEach = 60;
    resident();
    std::atomic<int> ends = 0;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            std::minstd_rand random(t + 1);
            for (int i = 0; i < kEach; ++i) {
                job::Request request = upstream::chat_request();
                request.choices = 1 + random() % 2;
                if (random() % 2 == 0) {
                    request.stop = {"."};
                }
                Heard heard;
                const CancelToken cancel = ask(heard, request);
                if (random() % 3 != 0) {
                    heard.wait_for_events(random() % 3, 3ms);  // some never come
                }
                cancel.cancel();
                if (random() % 2 == 0) {
                    resident().notice_cancel();
                }
                ASSERT_TRUE(heard.wait_for_last());
                ++ends;
                if (t == 0 && i == kEach / 2) {
                    resident().stop(0);
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(ends, kThreads * kEach);
    const ResidentSnapshot snapshot = resident().snapshot();
    EXPECT_EQ(snapshot.slots_busy + snapshot.queued, 0U);
    EXPECT_EQ(snapshot.requests_total, static_cast<unsigned>(kThreads * kEach));
}

}  // namespace
}  // namespace trilane::lane
