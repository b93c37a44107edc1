// Metrics: what the gateway counts and times, as atomics, and their Prometheus text. Lanes count
// for themselves; their snapshots are only printed here.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "job/job.h"
#include "net/server.h"
#include "plane/service.h"

namespace trilane::gateway {

/// Counts of observations by size, in buckets that share one set of bounds.
/// **Threads:** observe() from any; never waits.
class Histogram {
public:
    static constexpr std::size_t kBuckets = 20;  // the last one is +Inf

    /// **Units:** seconds.
    void observe(double seconds);
    /// Appends "# HELP", "# TYPE" and all samples of the histogram `name`.
    void write(std::string& out, std::string_view name, std::string_view help) const;

private:
    std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
    std::atomic<std::uint64_t> sum_ns_ = 0;
};

class Metrics {
public:
    /// `endpoints` are the rows of the endpoint table, as "GET /path"; whatever is none of them is
    /// counted under "other".
    explicit Metrics(std::vector<std::string> endpoints);

    /// Counts one answered request; 499 = the client left before the answer was complete.
    /// `row` is that of the endpoint table; one beyond it is "other".
    void count(std::size_t row, unsigned status);
    void count_tokens(const job::Usage& usage);

    Histogram time_to_first_token;  ///< request read → first text of a job
    Histogram inter_token;          ///< between two pieces of text of one choice
    Histogram queue_wait;           ///< as the lane measured it
    Histogram request_duration;     ///< of generations, request read → last event

    /// Prometheus text exposition format, version 0.0.4.
    [[nodiscard]] std::string text(const plane::View& view,
                                   const net::ServerSnapshot& server) const;

private:
    static constexpr std::array<unsigned, 21> kStatuses = {101, 200, 201, 204, 400, 401, 403, 404,
                                                           405, 408, 413, 426, 429, 431, 499, 500,
                                                           501, 503, 504, 507, 0};  // 0: others
    using Counts = std::array<std::atomic<std::uint64_t>, kStatuses.size()>;
    std::vector<std::string> endpoints_;  // "other" last
    std::vector<Counts> requests_;
    std::atomic<std::uint64_t> prompt_tokens_ = 0;
    std::atomic<std::uint64_t> cached_tokens_ = 0;
    std::atomic<std::uint64_t> completion_tokens_ = 0;
};

}  // namespace trilane::gateway
