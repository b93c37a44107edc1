#include "telemetry/exporter.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "json/json.h"
#include "net/server.h"

namespace trilane::telemetry {
namespace {

constexpr std::string_view kParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

Span chat() {
    Span span;
    span.name = "chat tiny";
    span.began = std::chrono::system_clock::time_point(std::chrono::seconds(5));
    span.lasted = std::chrono::milliseconds(7);
    span.texts = {{"gen_ai.request.model", "tiny"}};
    span.numbers = {{"gen_ai.usage.input_tokens", 12}};
    return span;
}

TEST(Telemetry, ReadsTraceContext) {
    EXPECT_EQ(parse_traceparent(kParent), std::pair(std::string("0af7651916cd43dd8448eb211c80319c"),
                                                    std::string("b7ad6b7169203331")));
    for (const std::string& bad :
         {std::string(), std::string("00-"), std::string(kParent) + "x",
          "ff" + std::string(kParent.substr(2)), "0A" + std::string(kParent.substr(2)),
          std::string("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
          std::string("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),
          std::string("00-0af7651916cd43dd8448eb211c80319C-b7ad6b7169203331-01")}) {
        EXPECT_EQ(parse_traceparent(bad).first, "") << bad;
    }
    EXPECT_NE(parse_traceparent("01" + std::string(kParent.substr(2)) + "-more").first, "");
}

TEST(Telemetry, WritesOtlpJson) {
    Span failed = chat();
    failed.error = "unavailable";
    failed.traceparent = kParent;
    std::uint64_t id = 0;
    const auto body = json::parse(export_body({chat(), failed}, "9.9", [&] { return ++id; }));
    ASSERT_TRUE(body);
    const json::Value& resource = (*body)["resourceSpans"][0];
    EXPECT_EQ(resource["resource"]["attributes"][0]["value"]["stringValue"], "trilane");
    const json::Value& spans = resource["scopeSpans"][0]["spans"];
    ASSERT_EQ(spans.size(), 2U);
    EXPECT_EQ(spans[0]["traceId"].get<std::string>().size(), 32U);
    EXPECT_EQ(spans[0]["spanId"].get<std::string>().size(), 16U);
    EXPECT_FALSE(spans[0].contains("parentSpanId"));
    EXPECT_EQ(spans[0]["startTimeUnixNano"], "5000000000");
    EXPECT_EQ(spans[0]["endTimeUnixNano"], "5007000000");
    EXPECT_EQ(spans[0]["attributes"][1]["value"]["intValue"], "12");
    EXPECT_TRUE(spans[0]["status"].empty());
    EXPECT_EQ(spans[1]["traceId"], "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(spans[1]["parentSpanId"], "b7ad6b7169203331");
    EXPECT_EQ(spans[1]["status"]["code"], 2);
}

TEST(Telemetry, SendsWhatItHeardBeforeItEnds) {
    std::mutex mutex;
    std::vector<std::string> bodies;
    auto server = net::Server::start(
        {}, [&](net::Request request, const std::shared_ptr<net::Exchange>& exchange) {
            EXPECT_EQ(request.target, "/otel/v1/traces");
            {
                const std::scoped_lock lock(mutex);
                bodies.push_back(std::move(request.body));
            }
            exchange->respond({});
        });
    ASSERT_TRUE(server);
    net::Loops loops(1);
    Options options;
    options.url = "http://127.0.0.1:" + std::to_string((*server)->port()) + "/otel";
    options.interval = std::chrono::hours(1);
    {
        auto exporter = Exporter::start(loops, options);
        ASSERT_TRUE(exporter);
        (*exporter)->note(chat());
        (*exporter)->note(chat());
    }
    const std::scoped_lock lock(mutex);
    ASSERT_EQ(bodies.size(), 1U);
    EXPECT_EQ((*json::parse(bodies[0]))["resourceSpans"][0]["scopeSpans"][0]["spans"].size(), 2U);
}

TEST(Telemetry, ACollectorThatNeverAnswersHoldsNobodyUp) {
    std::mutex mutex;
    std::condition_variable arrived;
    std::vector<std::shared_ptr<net::Exchange>> unanswered;
    auto server =
        net::Server::start({}, [&](const net::Request&, std::shared_ptr<net::Exchange> exchange) {
            const std::scoped_lock lock(mutex);
            unanswered.push_back(std::move(exchange));
            arrived.notify_all();
        });
    ASSERT_TRUE(server);
    net::Loops loops(1);
    Options options;
    options.url = "http://127.0.0.1:" + std::to_string((*server)->port());
    options.interval = std::chrono::milliseconds(1);
    auto exporter = Exporter::start(loops, options);
    ASSERT_TRUE(exporter);
    (*exporter)->note(chat());
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(
            arrived.wait_for(lock, std::chrono::seconds(20), [&] { return !unanswered.empty(); }));
    }
    (*exporter)->note(chat());  // waits behind the one that is under way
    const auto began = std::chrono::steady_clock::now();
    exporter->reset();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1'500));
    const std::scoped_lock lock(mutex);
    unanswered.clear();
}

TEST(Telemetry, BoundsWhatWaits) {
    net::Loops loops(1);
    Options options;
    options.url = "http://127.0.0.1:1";  // nobody is there
    options.interval = std::chrono::hours(1);
    auto exporter = Exporter::start(loops, options);
    ASSERT_TRUE(exporter);
    for (std::size_t i = 0; i < 3 * kSpansWaitingMax; ++i) {
        (*exporter)->note(chat());
    }
    EXPECT_GE((*exporter)->dropped(), kSpansWaitingMax) << "waiting, or failed to be sent";
    EXPECT_FALSE(Exporter::start(loops, {.url = "nonsense", .service_version = {}, .log = {}}));
}

}  // namespace
}  // namespace trilane::telemetry
