// Generation: one POST that makes a lane work. Carries a lane's events to the client, and the
// client's leaving to the lane. Knows neither sockets nor models.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "access/door.h"
#include "base/cancel.h"
#include "dialect/dialect.h"
#include "gateway/metrics.h"
#include "gateway/record.h"
#include "job/job.h"
#include "net/server.h"
#include "plane/service.h"

namespace trilane::gateway {

/// After this long without an event, a streaming client is told that the answer is still coming.
inline constexpr std::chrono::milliseconds kHeartbeatInterval{10'000};

/// What a generation needs from the gateway.
struct GenerationParts {
    dialect::Asked asked;
    const dialect::ErrorShape* errors = nullptr;
    std::shared_ptr<plane::Service> service;
    std::shared_ptr<net::Exchange> exchange;
    std::vector<net::Header> headers;  ///< of its answer
    std::shared_ptr<Metrics> metrics;
    std::size_t row = 0;  ///< of the endpoint table
    std::chrono::milliseconds heartbeat_interval = kHeartbeatInterval;
    std::chrono::steady_clock::time_point began;  ///< when the request had been read
    Record record;                                ///< as far as it is known before the answer
    Recorder recorder;                            ///< may be empty
    access::Visit visit;                          ///< lasts until the answer has ended
};

/// Lives as long as the lane holds one of its sinks. A lane that drops them without a last event
/// thereby answers 500.
class Generation : public std::enable_shared_from_this<Generation> {
public:
    /// Submits the jobs and returns; the answer follows by itself. The head of a stream is only
    /// sent with the first event, so that an early failure has its own HTTP status.
    static void begin(GenerationParts parts);

    explicit Generation(GenerationParts parts);
    ~Generation();
    Generation(const Generation&) = delete;
    Generation& operator=(const Generation&) = delete;

private:
    using Time = std::chrono::steady_clock::time_point;

    void submit();
    void on_event(std::size_t job_index, const job::Event& event);
    void look_when_to_retry(const job::Event& event);
    void on_body_event(std::size_t job_index, const job::Event& event);
    void on_stream_event(std::size_t job_index, const job::Event& event);
    void measure(std::size_t job_index, const job::Event& event);
    void on_client_gone();
    void respond(net::Response response);
    void end(unsigned status);
    void write_record(unsigned status);

    GenerationParts parts_;
    std::weak_ptr<plane::Service> service_;
    const CancelToken cancel_;
    std::atomic<std::uint32_t> retry_after_s_ = 1;  // told to a client that is refused
    std::mutex mutex_;  // several lane threads may report; held for one event at a time
    std::unique_ptr<dialect::AnswerWriter> writer_;
    bool stream_begun_ = false;
    bool ended_ = false;
    std::vector<std::vector<Time>> last_text_;  // [job][choice]; the epoch = none yet
};

}  // namespace trilane::gateway
