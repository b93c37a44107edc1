// HttpResident against a real process that plays llama-server and FLM, faults of every kind
// included. How lanes start and lose such processes is tested beside ChildLane.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <charconv>
#include <thread>

#include "json/json.h"
#include "lane/flm/flm.h"
#include "lane/http_resident.h"
#include "lane/scripted_server.h"
#include "net/loops.h"
#include "os/child.h"

namespace trilane::lane {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::HasSubstr;

/// The resident of one fake process.
class FakeServed {
public:
    FakeServed(os::ChildWatch& children, net::Loops& loops, std::vector<std::string> arguments,
               std::string script, HttpResidentOptions options = {}) {
        arguments.insert(arguments.begin(), TRILANE_FAKE_LANE);
        arguments.insert(arguments.end(), {"--port", "0", "--fake", std::move(script)});
        os::ChildOptions child_options;
        child_options.argv = std::move(arguments);
        child_options.log = log_;
        auto child = children.start(std::move(child_options), [](const os::ChildExit&) {});
        EXPECT_TRUE(child) << child.error().message;
        child_ = *std::move(child);
        options.target.host = "127.0.0.1";
        options.target.port = port();
        options.card.abilities.chat = options.card.abilities.complete = true;
        resident_ = std::make_unique<HttpResident>(loops, options);
        client_ = std::make_unique<net::Client>(loops, options.target);
        await_ready();
    }

    HttpResident& resident() { return *resident_; }

    CancelToken ask(Heard& heard, std::string_view words,
                    const std::function<void(job::Request&)>& change = {}) {
        job::Request request = upstream::chat_request(words);
        if (change) {
            change(request);
        }
        CancelToken cancel;
        resident_->submit(std::move(request), heard.sink(), cancel);
        return cancel;
    }

    /// A counter of the process's own, of its "requests" unless it says otherwise.
    std::int64_t counter(const std::string& group, const std::string& name) {
        net::Outgoing request;
        request.target = "/fake/stats";
        const auto answer = client_->fetch(std::move(request));
        EXPECT_TRUE(answer) << answer.error().message;
        const auto stats = json::parse(answer ? answer->body : "");
        return stats ? (*stats)[group].value(name, std::int64_t{-1}) : -1;
    }
    bool wait_for_counter(const std::string& name, std::int64_t wanted) {
        const auto until = std::chrono::steady_clock::now() + kScriptPatience;
        while (std::chrono::steady_clock::now() < until) {
            if (counter("requests", name) == wanted) {
                return true;
            }
        }
        return false;
    }

private:
    void await_ready() {
        const auto until = std::chrono::steady_clock::now() + kScriptPatience;
        Status ready = resident_->check_health(kScriptPatience);
        while (!ready && std::chrono::steady_clock::now() < until) {
            ready = resident_->check_health(kScriptPatience);
        }
        EXPECT_TRUE(ready) << ready.error().message;
    }

    std::uint16_t port() {
        constexpr std::string_view kWord = "port ";
        const auto until = std::chrono::steady_clock::now() + kScriptPatience;
        while (std::chrono::steady_clock::now() < until) {
            for (const os::LogLine& line : log_->lines()) {
                std::uint16_t port = 0;
                if (line.text.starts_with(kWord)) {
                    std::from_chars(line.text.data() + kWord.size(),
                                    line.text.data() + line.text.size(), port);
                    return port;
                }
            }
            std::this_thread::yield();
        }
        ADD_FAILURE() << "it printed no port: " << log_->tail(5);
        return 0;
    }

    const std::shared_ptr<os::LogRing> log_ = std::make_shared<os::LogRing>();
    std::shared_ptr<os::Child> child_;
    std::unique_ptr<HttpResident> resident_;
    std::unique_ptr<net::Client> client_;
};

class HttpFakeLaneTest : public testing::Test {
protected:
    std::unique_ptr<FakeServed> llama(std::string script, HttpResidentOptions options = {}) {
        options.upstream_model = "tiny";
        options.slots = 4;
        return std::make_unique<FakeServed>(
            children_, loops_,
            std::vector<std::string>{"llama-server", "-m", "tiny.gguf", "--alias", "tiny", "-np",
                                     "4"},
            std::move(script), options);
    }
    std::unique_ptr<FakeServed> flm(std::string script) {
        HttpResidentOptions options;
        options.upstream_model = "qwen3:0.6b";
        options.card.context_tokens = 4096;
        options.slots = 1;
        options.rules = flm_rules();
        return std::make_unique<FakeServed>(children_, loops_,
                                            std::vector<std::string>{"flm", "serve", "qwen3:0.6b"},
                                            std::move(script), options);
    }

    os::ChildWatch children_;
    net::Loops loops_{2};
};

TEST_F(HttpFakeLaneTest, EveryClientGetsItsOwnAnswer) {
    const auto served = llama(R"({"write_each":true})");
    ASSERT_TRUE(served->resident().check_health(60s));
    ASSERT_TRUE(served->resident().check_sanity(60s));
    constexpr int kThreads = 8;
    constexpr int kEach = 25;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kEach; ++i) {
                const std::string id = fmt::format("t{}i{}", t, i);
                Heard heard;
                served->ask(heard, fmt::format("[[id:{}]] [[tokens:3]]", id));
                EXPECT_EQ(heard.text(), fmt::format("{0}.0 {0}.1 {0}.2", id));
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_LE(served->counter("requests", "in_flight_max"), 4 + 1);  // and who asks
    EXPECT_GE(served->counter("requests", "reused"), kThreads * kEach / 2);
    EXPECT_EQ(served->resident().snapshot().failed_total, 0U);
}

TEST_F(HttpFakeLaneTest, CutsOfTheStreamMakeNoDifference) {
    for (const int bytes : {1, 7, 100}) {
        const auto served = llama(fmt::format(R"({{"write_bytes_max":{}}})", bytes));
        Heard heard;
        served->ask(heard, "[[id:x]] [[tokens:3]]");
        EXPECT_EQ(heard.text(), "x.0 x.1 x.2");
        const auto events = heard.events();
        EXPECT_THAT(events.back(), HasSubstr("completion=3"));
    }
}

TEST_F(HttpFakeLaneTest, ThoughtsAndToolsArrive) {
    const auto served = llama("{}");
    Heard heard;
    served->ask(heard, "[[think]] [[tool:2]] [[id:x]]", [](job::Request& request) {
        std::get<job::Chat>(request.ask).tools = {{"look", "looks", R"({"type":"object"})"}};
    });
    ASSERT_TRUE(heard.wait_for_last());
    const auto events = heard.events();
    EXPECT_THAT(events, testing::Contains(HasSubstr("thought 0 ")));
    EXPECT_THAT(events, testing::Contains(HasSubstr("call 0.0 id=")));
    EXPECT_THAT(events, testing::Contains(HasSubstr("call 0.1 id=")));
    EXPECT_THAT(events, testing::Contains("end 0 tool_calls"));
}

TEST_F(HttpFakeLaneTest, ACancelReachesTheProcess) {
    const auto served = llama(R"({"decode_tps":20,"tokens":2000,"write_each":true})");
    Heard heard;
    const CancelToken cancel = served->ask(heard, "x");
    ASSERT_TRUE(heard.wait_for_events(3));
    cancel.cancel();
    served->resident().notice_cancel();
    EXPECT_EQ(heard.error().fault, Fault::cancelled);
    EXPECT_TRUE(served->wait_for_counter("cancelled", 1));
    Heard reading;  // its head has not come yet
    const CancelToken early = served->ask(
        reading, "[[tokens:9]]", [](job::Request& request) { request.extra["slow"] = "1"; });
    early.cancel();
    EXPECT_EQ(reading.error().fault, Fault::cancelled);
}

TEST_F(HttpFakeLaneTest, WaitsForASlotThatIsNotGivenBack) {
    HttpResidentOptions options;
    options.rules.cancel_may_linger = true;
    const auto served =
        llama(R"({"decode_tps":40,"tokens":20,"write_each":true,"slots":1,"refuse_cancel":true})",
              options);
    std::vector<std::unique_ptr<Heard>> left;
    for (int i = 0; i < 4; ++i) {
        left.push_back(std::make_unique<Heard>());
    }
    // One slot there, four here: whatever lingers, everybody gets an answer of his own.
    const CancelToken cancel = served->ask(*left[0], "[[id:a]]");
    ASSERT_TRUE(left[0]->wait_for_events(2));
    cancel.cancel();
    served->resident().notice_cancel();
    EXPECT_EQ(left[0]->error().fault, Fault::cancelled);
    for (std::size_t i = 1; i < left.size(); ++i) {
        served->ask(*left[i], fmt::format("[[id:n{}]] [[tokens:2]]", i));
    }
    for (std::size_t i = 1; i < left.size(); ++i) {
        EXPECT_EQ(left[i]->text(), fmt::format("n{0}.0 n{0}.1", i));
    }
}

TEST_F(HttpFakeLaneTest, GarbageEndsInOneClearError) {
    for (const std::string_view garbage : {"bytes", "json", "truncated", "bad_chunk", "huge_head",
                                           "second_response", "endless_line"}) {
        SCOPED_TRACE(garbage);
        const auto served = llama(fmt::format(R"({{"garbage":"{}"}})", garbage));
        Heard heard;
        served->ask(heard, "x");
        ASSERT_TRUE(heard.wait_for_last());
        if (garbage == "second_response" && heard.events().back().starts_with("done")) {
            continue;  // behind a whole answer it does no harm
        }
        EXPECT_THAT(heard.error().fault, AnyOf(Fault::unavailable, Fault::corrupt));
        EXPECT_FALSE(heard.error().message.empty());
    }
    for (const std::string_view garbage : {"text", "empty"}) {
        SCOPED_TRACE(garbage);
        const auto served = llama(fmt::format(R"({{"garbage":"{}"}})", garbage));
        EXPECT_EQ(served->resident().check_sanity(60s).error().fault, Fault::corrupt);
    }
}

TEST_F(HttpFakeLaneTest, StreamsThatEndBadly) {
    for (const std::string_view end : {"no_done", "eof", "reset"}) {
        SCOPED_TRACE(end);
        const auto served = llama(fmt::format(R"({{"stream_end":"{}"}})", end));
        Heard heard;
        served->ask(heard, "[[id:x]] [[tokens:2]]");
        EXPECT_EQ(heard.error().fault, Fault::unavailable);
    }
    for (const std::int64_t bytes : {0, 10, 100, 700, 1500}) {
        const auto served =
            llama(fmt::format(R"({{"close_after_bytes":{},"close_with_reset":true}})", bytes));
        Heard heard;
        served->ask(heard, "[[id:x]]");
        EXPECT_EQ(heard.error().fault, Fault::unavailable) << bytes;
    }
    const auto served = flm(R"({"stream_end":"no_done","cooldown_ms":0})");
    Heard heard;
    served->ask(heard, "[[id:x]] [[tokens:2]]");
    EXPECT_EQ(heard.text(), "x.0 x.1");
}

TEST_F(HttpFakeLaneTest, ErrorsKeepTheirMeaning) {
    const std::pair<int, Fault> rows[] = {{400, Fault::invalid},
                                          {429, Fault::exhausted},
                                          {500, Fault::unavailable},
                                          {503, Fault::unavailable}};
    for (const auto& [status, fault] : rows) {
        const auto served = llama(fmt::format(R"({{"error_status":{}}})", status));
        Heard heard;
        served->ask(heard, "x");
        EXPECT_EQ(heard.error().fault, fault) << status;
        EXPECT_THAT(heard.error().message, HasSubstr("scripted error"));
        const auto npu = flm(fmt::format(R"({{"error_status":{},"cooldown_ms":0}})", status));
        Heard from_npu;
        npu->ask(from_npu, "x");
        EXPECT_EQ(from_npu.error().fault, fault) << status;
    }
}

TEST_F(HttpFakeLaneTest, TheNpuServerNeverSeesTwoRequestsAtOnce) {
    const auto served = flm(R"({"decode_tps":500,"write_each":true,"cooldown_ms":0})");
    ASSERT_TRUE(served->resident().check_health(60s));
    ASSERT_TRUE(served->resident().check_sanity(60s));
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 6; ++i) {
                Heard heard;
                const CancelToken cancel =
                    served->ask(heard, fmt::format("[[id:t{}]] [[tokens:8]]", t));
                if (i % 2 == 1) {
                    heard.wait_for_events(3, 30ms);
                    cancel.cancel();
                    served->resident().notice_cancel();
                }
                ASSERT_TRUE(heard.wait_for_last());
                const std::string last = heard.events().back();
                EXPECT_TRUE(last.starts_with("done") || last.starts_with("failed cancelled"))
                    << last;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_TRUE(served->resident().check_health(60s)) << "two at once end the process";
}

TEST_F(HttpFakeLaneTest, TheNpuServersAnswersAreRepaired) {
    const auto served = flm(R"({"cooldown_ms":0})");
    Heard one;
    served->ask(one, "[[id:x]] [[tokens:9]]", [](job::Request& r) { r.max_tokens = 1; });
    EXPECT_EQ(one.text(), "x.0");
    EXPECT_THAT(one.events(), testing::Contains("end 0 length"));
    Heard choices;
    served->ask(choices, "[[id:x]] [[tokens:5]]", [](job::Request& r) {
        r.choices = 2;
        r.stop = {" x.2"};
    });
    EXPECT_EQ(choices.text(), "x.0 x.1x.0 x.1");
    EXPECT_THAT(choices.events(),
                testing::IsSupersetOf({"end 0 stop at  x.2", "end 1 stop at  x.2"}));
}

TEST_F(HttpFakeLaneTest, AnotherModelsAnswerIsNone) {
    HttpResidentOptions options;
    options.upstream_model = "no-such-model:1b";
    options.slots = 1;
    options.rules = flm_rules();
    FakeServed served(children_, loops_, {"flm", "serve", "qwen3:0.6b"},
                      R"({"cooldown_ms":0,"switch_ms":0})", options);
    Heard heard;
    served.ask(heard, "x");
    EXPECT_EQ(heard.error().fault, Fault::corrupt);
    EXPECT_THAT(heard.error().message, HasSubstr("llama3.2:1b"));
}

}  // namespace
}  // namespace trilane::lane
