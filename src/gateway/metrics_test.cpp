// The Prometheus text: buckets that add up, counters by endpoint and status, and names that parse.
#include "gateway/metrics.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace trilane::gateway {
namespace {

bool has_line(const std::string& text, std::string_view line) {
    return ("\n" + text).find("\n" + std::string(line) + "\n") != std::string::npos;
}

TEST(Histogram, PutsEachObservationInItsBuckets) {
    Histogram histogram;
    histogram.observe(0.0005);
    histogram.observe(0.001);  // "le" is at most
    histogram.observe(0.04);
    histogram.observe(1000);
    histogram.observe(-1);  // a clock that went back counts as 0
    std::string text;
    histogram.write(text, "x_seconds", "About x.");
    EXPECT_TRUE(has_line(text, "# HELP x_seconds About x."));
    EXPECT_TRUE(has_line(text, "# TYPE x_seconds histogram"));
    EXPECT_TRUE(has_line(text, "x_seconds_bucket{le=\"0.001\"} 3"));
    EXPECT_TRUE(has_line(text, "x_seconds_bucket{le=\"0.03\"} 3"));
    EXPECT_TRUE(has_line(text, "x_seconds_bucket{le=\"0.05\"} 4"));
    EXPECT_TRUE(has_line(text, "x_seconds_bucket{le=\"300\"} 4"));
    EXPECT_TRUE(has_line(text, "x_seconds_bucket{le=\"+Inf\"} 5"));
    EXPECT_TRUE(has_line(text, "x_seconds_sum 1000.0415"));
    EXPECT_TRUE(has_line(text, "x_seconds_count 5"));
}

TEST(Histogram, LosesNothingBetweenThreads) {
    Histogram histogram;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&histogram] {
            for (int n = 0; n < 1000; ++n) {
                histogram.observe(0.5);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    std::string text;
    histogram.write(text, "x", "x");
    EXPECT_TRUE(has_line(text, "x_sum 2000"));
    EXPECT_TRUE(has_line(text, "x_count 4000"));
}

TEST(Metrics, CountsByEndpointAndStatus) {
    Metrics metrics({"GET /live", "GET /health", "POST /v1/completions", "GET /v1/models/{id}"});
    metrics.count(1, 200);
    metrics.count(1, 200);
    metrics.count(2, 499);
    metrics.count(3, 418);
    metrics.count(99, 404);
    const std::string text = metrics.text({}, {});
    EXPECT_TRUE(has_line(
        text, "trilane_http_requests_total{endpoint=\"/health\",method=\"GET\",status=\"200\"} 2"));
    EXPECT_TRUE(has_line(text,
                         "trilane_http_requests_total{endpoint=\"/v1/"
                         "completions\",method=\"POST\",status=\"499\"} 1"));
    EXPECT_TRUE(has_line(text,
                         "trilane_http_requests_total{endpoint=\"/v1/models/"
                         "{id}\",method=\"GET\",status=\"other\"} 1"));
    EXPECT_TRUE(has_line(
        text, "trilane_http_requests_total{endpoint=\"other\",method=\"\",status=\"404\"} 1"));
    EXPECT_EQ(text.find("endpoint=\"/live\""), std::string::npos) << "only what happened";
}

TEST(Metrics, EscapesLabels) {
    plane::View view;
    view.lanes.emplace_back().name = "a\"b\\c\nd";
    const std::string text = Metrics({}).text(view, {});
    EXPECT_TRUE(has_line(text, "trilane_lane_slots{lane=\"a\\\"b\\\\c d\"} 0"));
}

TEST(Metrics, ShowsStatesAndPools) {
    plane::View view;
    plane::LaneView& lane = view.lanes.emplace_back();
    lane.name = "gpu";
    lane.evictions_total = 3;
    lane.residents.emplace_back().model = "coder";
    lane.residents.back().state = lane::State::warming;
    lane.residents.back().predicted_bytes = 100;
    lane.residents.back().planned_bytes = 120;
    lane.residents.back().load.observed.own_bytes = 119;
    view.pools.push_back({"system", 1000, 10, 20, 30});
    const std::string text = Metrics({}).text(view, {});
    EXPECT_TRUE(
        has_line(text, "trilane_model_state{lane=\"gpu\",model=\"coder\",state=\"warming\"} 1"));
    for (const char* line : {"trilane_model_predicted_bytes{lane=\"gpu\",model=\"coder\"} 100",
                             "trilane_model_planned_bytes{lane=\"gpu\",model=\"coder\"} 120",
                             "trilane_model_observed_bytes{lane=\"gpu\",model=\"coder\"} 119"}) {
        EXPECT_TRUE(has_line(text, line)) << line;
    }
    EXPECT_TRUE(has_line(text, "trilane_lane_evictions_total{lane=\"gpu\"} 3"));
    EXPECT_TRUE(has_line(text, "trilane_memory_planned_bytes{pool=\"system\"} 30"));
}

}  // namespace
}  // namespace trilane::gateway
