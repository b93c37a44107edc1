// Exporter: requests as OpenTelemetry spans, sent in batches to a collector over OTLP/HTTP (JSON).
// Names follow the semantic conventions for generative AI; contents are never in them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/loops.h"

namespace trilane::telemetry {

inline constexpr std::size_t kSpansWaitingMax = 4096;  ///< more are dropped, and counted
inline constexpr std::size_t kSpansPerBatchMax = 512;

/// One request, from when it had been read until its answer had ended.
struct Span {
    std::string name;         ///< "chat qwen3-4b"
    std::string traceparent;  ///< the W3C header that came with the request; "" = begins a trace
    std::chrono::system_clock::time_point began;
    std::chrono::nanoseconds lasted{0};
    std::vector<std::pair<std::string, std::string>> texts;     ///< attributes
    std::vector<std::pair<std::string, std::int64_t>> numbers;  ///< attributes
    std::string error;  ///< what it failed with; "" = it did not
};

struct Options {
    std::string
        url;  ///< of the collector, e.g. "http://127.0.0.1:4318"; /v1/traces is put behind it
    std::string service_version;
    std::chrono::milliseconds interval{2'000};
    std::function<void(std::string_view)> log;  ///< hears when the collector cannot be reached
};

/// **Threads:** any.
class Exporter {
public:
    /// The loops must outlive it. **Errors:** invalid: the URL.
    static Result<std::unique_ptr<Exporter>> start(net::Loops& loops, Options options);
    /// Sends what is left, if that takes no longer than a moment.
    ~Exporter();
    Exporter(const Exporter&) = delete;
    Exporter& operator=(const Exporter&) = delete;

    /// Never waits for the network.
    void note(Span span);
    [[nodiscard]] std::uint64_t dropped() const;

private:
    class State;
    explicit Exporter(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Trace id (32 hexadecimal digits) and parent span id (16) of a traceparent header; empty texts
/// when it is none. **Source:** https://www.w3.org/TR/trace-context/#traceparent-header
std::pair<std::string, std::string> parse_traceparent(std::string_view header);

/// The OTLP JSON of a batch. `next_id` gives random 64-bit numbers.
std::string export_body(const std::vector<Span>& spans, std::string_view service_version,
                        const std::function<std::uint64_t()>& next_id);

}  // namespace trilane::telemetry
