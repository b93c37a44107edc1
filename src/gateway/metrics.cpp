#include "gateway/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace trilane::gateway {
namespace {

/// From a fast token to a long request; seconds.
constexpr std::array<double, Histogram::kBuckets - 1> kBounds = {
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15,
    0.25,  0.5,    1,     2.5,  5,    10,   30,   60,    300};

constexpr double kNanosecondsPerSecond = 1e9;

void write_kind(std::string& out, std::string_view name, std::string_view help,
                std::string_view kind) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, kind);
}

/// A label's value: Prometheus escapes backslash, quote and line feed.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') {
            out += '\\';
        }
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

template <class Field>
void write_lanes(std::string& out, const std::vector<plane::LaneView>& lanes, std::string_view name,
                 std::string_view help, Field field) {
    write_kind(out, name, help, name.ends_with("_total") ? "counter" : "gauge");
    for (const plane::LaneView& lane : lanes) {
        fmt::format_to(std::back_inserter(out), "{}{{lane=\"{}\"}} {}\n", name, escaped(lane.name),
                       lane.*field);
    }
}

void write_value(std::string& out, std::string_view name, std::string_view help,
                 std::uint64_t value) {
    write_kind(out, name, help, name.ends_with("_total") ? "counter" : "gauge");
    fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

void write_pools(std::string& out, const plane::View& view, std::string_view name,
                 std::string_view help, std::uint64_t plane::PoolView::*field) {
    write_kind(out, name, help, "gauge");
    for (const plane::PoolView& pool : view.pools) {
        fmt::format_to(std::back_inserter(out), "{}{{pool=\"{}\"}} {}\n", name, escaped(pool.name),
                       pool.*field);
    }
}

template <class Bytes>
void write_models(std::string& out, const std::vector<plane::LaneView>& lanes,
                  std::string_view name, std::string_view help, const Bytes& bytes) {
    write_kind(out, name, help, "gauge");
    for (const plane::LaneView& lane : lanes) {
        for (const plane::Residency& one : lane.residents) {
            fmt::format_to(std::back_inserter(out), "{}{{lane=\"{}\",model=\"{}\"}} {}\n", name,
                           escaped(lane.name), escaped(one.model), bytes(one));
        }
    }
}

void write_plane(std::string& out, const plane::View& view) {
    using plane::LaneView;
    const std::vector<LaneView>& lanes = view.lanes;
    write_lanes(out, lanes, "trilane_lane_slots", "Requests a lane works on at once.",
                &LaneView::slots);
    write_lanes(out, lanes, "trilane_lane_slots_busy", "Slots in use.", &LaneView::slots_busy);
    write_lanes(out, lanes, "trilane_lane_queued", "Waiting requests.", &LaneView::queued);
    write_lanes(out, lanes, "trilane_lane_queued_max", "Bound of the queue.",
                &LaneView::queued_max);
    write_lanes(out, lanes, "trilane_lane_requests_total", "Requests taken by the lane.",
                &LaneView::requests_total);
    write_lanes(out, lanes, "trilane_lane_prompt_tokens_total", "Prompt tokens of the lane.",
                &LaneView::prompt_tokens_total);
    write_lanes(out, lanes, "trilane_lane_cached_tokens_total", "Of these, cached ones.",
                &LaneView::cached_tokens_total);
    write_lanes(out, lanes, "trilane_lane_predicted_tokens_total", "Tokens the lane generated.",
                &LaneView::predicted_tokens_total);
    write_lanes(out, lanes, "trilane_lane_cancelled_total", "Requests cancelled.",
                &LaneView::cancelled_total);
    write_lanes(out, lanes, "trilane_lane_failed_total", "Requests failed.",
                &LaneView::failed_total);
    write_lanes(out, lanes, "trilane_lane_loads_total", "Models loaded.", &LaneView::loads_total);
    write_lanes(out, lanes, "trilane_lane_load_failures_total", "Loads that failed.",
                &LaneView::load_failures_total);
    write_lanes(out, lanes, "trilane_lane_evictions_total", "Models that made room for others.",
                &LaneView::evictions_total);
    write_lanes(out, lanes, "trilane_lane_lost_total", "Models whose server crashed or hung.",
                &LaneView::lost_total);
    write_kind(out, "trilane_model_state", "1 for the state a model is in.", "gauge");
    for (const LaneView& lane : lanes) {
        for (const plane::Residency& one : lane.residents) {
            fmt::format_to(std::back_inserter(out),
                           "trilane_model_state{{lane=\"{}\",model=\"{}\",state=\"{}\"}} 1\n",
                           escaped(lane.name), escaped(one.model), lane::state_name(one.state));
        }
    }
    write_models(out, lanes, "trilane_model_predicted_bytes", "Memory by formula.",
                 [](const plane::Residency& one) { return one.predicted_bytes; });
    write_models(out, lanes, "trilane_model_planned_bytes", "Memory claimed, after correction.",
                 [](const plane::Residency& one) { return one.planned_bytes; });
    write_models(out, lanes, "trilane_model_observed_bytes",
                 "Memory it is seen to hold; 0 = unseen.",
                 [](const plane::Residency& one) { return one.load.observed.bytes(); });
    write_pools(out, view, "trilane_memory_pool_bytes", "Size of a memory pool.",
                &plane::PoolView::total_bytes);
    write_pools(out, view, "trilane_memory_planned_bytes", "Claimed by what is loaded.",
                &plane::PoolView::planned_bytes);
    write_pools(out, view, "trilane_memory_foreign_bytes", "Held by others, as last seen.",
                &plane::PoolView::foreign_bytes);
}

}  // namespace

void Histogram::observe(double seconds) {
    const double bounded = std::max(seconds, 0.0);
    const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), bounded) - kBounds.begin();
    counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(static_cast<std::uint64_t>(bounded * kNanosecondsPerSecond),
                      std::memory_order_relaxed);
}

void Histogram::write(std::string& out, std::string_view name, std::string_view help) const {
    write_kind(out, name, help, "histogram");
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
        below += counts_[i].load(std::memory_order_relaxed);
        const std::string bound = i < kBounds.size() ? fmt::format("{}", kBounds[i]) : "+Inf";
        fmt::format_to(std::back_inserter(out), "{}_bucket{{le=\"{}\"}} {}\n", name, bound, below);
    }
    // The count is the last bucket's by construction, so that the two never disagree.
    fmt::format_to(
        std::back_inserter(out), "{0}_sum {1}\n{0}_count {2}\n", name,
        static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) / kNanosecondsPerSecond,
        below);
}

Metrics::Metrics(std::vector<std::string> endpoints)
    : endpoints_(std::move(endpoints)), requests_(endpoints_.size() + 1) {
    endpoints_.emplace_back(" other");
}

void Metrics::count(std::size_t row, unsigned status) {
    const auto known = std::find(kStatuses.begin(), kStatuses.end() - 1, status);
    requests_[std::min(row, requests_.size() - 1)]
             [static_cast<std::size_t>(known - kStatuses.begin())]
                 .fetch_add(1, std::memory_order_relaxed);
}

void Metrics::count_tokens(const job::Usage& usage) {
    prompt_tokens_.fetch_add(usage.prompt_tokens, std::memory_order_relaxed);
    cached_tokens_.fetch_add(usage.cached_tokens, std::memory_order_relaxed);
    completion_tokens_.fetch_add(usage.completion_tokens, std::memory_order_relaxed);
}

std::string Metrics::text(const plane::View& view, const net::ServerSnapshot& server) const {
    std::string out;
    write_kind(out, "trilane_http_requests_total", "Answered requests.", "counter");
    for (std::size_t row = 0; row < requests_.size(); ++row) {
        for (std::size_t i = 0; i < kStatuses.size(); ++i) {
            const auto count = requests_[row][i].load(std::memory_order_relaxed);
            if (count > 0) {
                const std::string status =
                    kStatuses[i] == 0 ? "other" : fmt::format("{}", kStatuses[i]);
                const std::string_view label = endpoints_[row];
                const std::size_t space = label.find(' ');
                fmt::format_to(std::back_inserter(out),
                               "trilane_http_requests_total{{endpoint=\"{}\",method=\"{}\","
                               "status=\"{}\"}} {}\n",
                               label.substr(space + 1), label.substr(0, space), status, count);
            }
        }
    }
    write_value(out, "trilane_http_connections", "Open connections.", server.connections);
    write_value(out, "trilane_http_connections_total", "Accepted connections.",
                server.accepted_total);
    write_value(out, "trilane_http_connections_refused_total",
                "Connections answered 503 because too many were open.", server.refused_total);
    write_value(out, "trilane_prompt_tokens_total", "Prompt tokens, cached ones included.",
                prompt_tokens_.load(std::memory_order_relaxed));
    write_value(out, "trilane_cached_tokens_total", "Prompt tokens already in the KV cache.",
                cached_tokens_.load(std::memory_order_relaxed));
    write_value(out, "trilane_completion_tokens_total", "Generated tokens.",
                completion_tokens_.load(std::memory_order_relaxed));
    time_to_first_token.write(out, "trilane_time_to_first_token_seconds",
                              "From the request to its first text.");
    inter_token.write(out, "trilane_inter_token_seconds",
                      "Between two pieces of text of one choice.");
    queue_wait.write(out, "trilane_queue_wait_seconds", "Before a lane began with the prompt.");
    request_duration.write(out, "trilane_request_duration_seconds",
                           "Of a generation, from the request to its end.");
    write_plane(out, view);
    return out;
}

}  // namespace trilane::gateway
