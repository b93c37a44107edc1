#include "telemetry/exporter.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "json/json.h"
#include "net/client.h"

namespace trilane::telemetry {
namespace {

constexpr std::chrono::milliseconds kAnswerMax{5'000};
/// For all that is still to be sent, once the daemon ends.
constexpr std::chrono::milliseconds kLastAnswersMax{500};
constexpr int kServerSpan = 2;
constexpr int kStatusError = 2;

bool is_hex(std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_zero(std::string_view text) {
    return text.find_first_not_of('0') == std::string_view::npos;
}

json::Value text_attribute(std::string_view key, std::string_view text) {
    return {{"key", key}, {"value", {{"stringValue", text}}}};
}

/// OTLP's JSON writes 64-bit integers as texts.
json::Value number_attribute(std::string_view key, std::int64_t number) {
    return {{"key", key}, {"value", {{"intValue", std::to_string(number)}}}};
}

json::Value span_value(const Span& span, const std::function<std::uint64_t()>& next_id) {
    const auto [trace, parent] = parse_traceparent(span.traceparent);
    const auto began =
        std::chrono::duration_cast<std::chrono::nanoseconds>(span.began.time_since_epoch());
    json::Value out = json::Value::object();
    out["traceId"] = trace.empty() ? fmt::format("{:016x}{:016x}", next_id(), next_id()) : trace;
    out["spanId"] = fmt::format("{:016x}", next_id());
    if (!parent.empty()) {
        out["parentSpanId"] = parent;
    }
    out["name"] = span.name;
    out["kind"] = kServerSpan;
    out["startTimeUnixNano"] = std::to_string(began.count());
    out["endTimeUnixNano"] = std::to_string((began + span.lasted).count());
    out["attributes"] = json::Value::array();
    for (const auto& [key, text] : span.texts) {
        out["attributes"].push_back(text_attribute(key, text));
    }
    for (const auto& [key, number] : span.numbers) {
        out["attributes"].push_back(number_attribute(key, number));
    }
    out["status"] = json::Value::object();
    if (!span.error.empty()) {
        out["status"] = {{"code", kStatusError}, {"message", span.error}};
    }
    return out;
}

}  // namespace

std::pair<std::string, std::string> parse_traceparent(std::string_view header) {
    // "00-" trace "-" parent "-" flags; later versions may put more behind it.
    constexpr std::size_t kLength = 55;
    const bool shaped = header.size() >= kLength && header[2] == '-' && header[35] == '-' &&
                        header[52] == '-' && (header.size() == kLength || header[55] == '-');
    if (!shaped) {
        return {};
    }
    const std::string_view version = header.substr(0, 2);
    const std::string_view trace = header.substr(3, 32);
    const std::string_view parent = header.substr(36, 16);
    const bool good = is_hex(version) && version != "ff" &&
                      (version != "00" || header.size() == kLength) && is_hex(trace) &&
                      is_hex(parent) && !is_zero(trace) && !is_zero(parent) &&
                      is_hex(header.substr(53, 2));
    return good ? std::pair(std::string(trace), std::string(parent))
                : std::pair<std::string, std::string>();
}

std::string export_body(const std::vector<Span>& spans, std::string_view service_version,
                        const std::function<std::uint64_t()>& next_id) {
    json::Value list = json::Value::array();
    for (const Span& span : spans) {
        list.push_back(span_value(span, next_id));
    }
    json::Value resource = {{"attributes", json::Value::array()}};
    resource["attributes"].push_back(text_attribute("service.name", "trilane"));
    resource["attributes"].push_back(text_attribute("service.version", service_version));
    json::Value scope = {{"scope", {{"name", "trilane"}, {"version", service_version}}},
                         {"spans", std::move(list)}};
    json::Value of_resource = {{"resource", std::move(resource)},
                               {"scopeSpans", json::Value::array({std::move(scope)})}};
    return json::dump({{"resourceSpans", json::Value::array({std::move(of_resource)})}});
}

class Exporter::State {
public:
    State(net::Loops& loops, net::Target target, Options options)
        : options_(std::move(options)),
          client_(loops, std::move(target)),
          sender_([this] { send_forever(); }) {}
    ~State() {
        {
            const std::scoped_lock lock(mutex_);
            stopping_ = true;
            stop_by_ = Clock::now() + kLastAnswersMax;
            wake_.notify_all();
        }
        sender_.join();
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void note(Span span) {
        const std::scoped_lock lock(mutex_);
        if (spans_.size() >= kSpansWaitingMax) {
            dropped_.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        spans_.push_back(std::move(span));
        if (spans_.size() == kSpansPerBatchMax) {
            wake_.notify_all();
        }
    }
    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

private:
    using Clock = std::chrono::steady_clock;

    /// Hears the answer of one batch. What it writes is guarded by the state's mutex; the state
    /// outlives it, for every call is waited for.
    class Heard final : public net::AnswerListener {
    public:
        explicit Heard(State& state) : state_(state) {}
        void on_head(net::AnswerHead head) override {
            const std::scoped_lock lock(state_.mutex_);
            status = head.status;
        }
        void on_body(std::string_view /*bytes*/) override {}
        void on_end(const Status& ended) override {
            const std::scoped_lock lock(state_.mutex_);
            end = ended;
            state_.wake_.notify_all();
        }

        unsigned status = 0;
        std::optional<Status> end;

    private:
        State& state_;
    };

    void send_forever() {
        bool failing = false;  // told about once
        for (;;) {
            std::vector<Span> batch;
            bool last = false;
            {
                std::unique_lock lock(mutex_);
                wake_.wait_for(lock, options_.interval,
                               [this] { return stopping_ || spans_.size() >= kSpansPerBatchMax; });
                last = stopping_;
                const std::size_t count = std::min(spans_.size(), kSpansPerBatchMax);
                const auto end = spans_.begin() + static_cast<std::ptrdiff_t>(count);
                batch.assign(std::make_move_iterator(spans_.begin()), std::make_move_iterator(end));
                spans_.erase(spans_.begin(), end);
            }
            if (!batch.empty()) {
                const Status sent = send(batch);
                if (!sent) {
                    dropped_.fetch_add(batch.size(), std::memory_order_relaxed);
                }
                if (!sent && !failing && options_.log) {
                    options_.log("telemetry: " + sent.error().message);
                }
                failing = !sent;
            }
            if (last) {
                return;
            }
        }
    }

    Status send(const std::vector<Span>& batch) {
        net::Outgoing request;
        request.method = "POST";
        request.target = "/v1/traces";
        request.headers.push_back({"Content-Type", "application/json"});
        request.body = export_body(batch, options_.service_version, [this] { return random_(); });
        request.head_timeout = kAnswerMax;
        request.silence_timeout = kAnswerMax;
        const auto heard = std::make_shared<Heard>(*this);
        const auto call = client_.send(std::move(request), heard);
        std::unique_lock lock(mutex_);
        const auto ended = [&] { return heard->end.has_value(); };
        // One that is under way when the daemon ends must not hold it up.
        wake_.wait(lock, [&] { return ended() || stopping_; });
        if (!wake_.wait_until(lock, ended() ? Clock::now() : stop_by_, ended)) {
            lock.unlock();
            call->cancel();
            lock.lock();
            wake_.wait(lock, ended);
        }
        if (!*heard->end) {
            return *heard->end;
        }
        constexpr unsigned kGoodEnd = 300;
        if (heard->status >= kGoodEnd) {
            return fail(Fault::unavailable, "{} answered {}", options_.url, heard->status);
        }
        return {};
    }

    const Options options_;
    net::Client client_;
    std::mt19937_64 random_{std::random_device{}()};  // the sender's
    std::mutex mutex_;                                // short sections only
    std::condition_variable wake_;
    std::deque<Span> spans_;
    bool stopping_ = false;
    Clock::time_point stop_by_;  // once stopping
    std::atomic<std::uint64_t> dropped_ = 0;
    std::thread sender_;  // last: it uses all of the above
};

Exporter::Exporter(std::unique_ptr<State> state) : state_(std::move(state)) {}
Exporter::~Exporter() = default;

Result<std::unique_ptr<Exporter>> Exporter::start(net::Loops& loops, Options options) {
    TRILANE_TRY(net::Target target, net::parse_url(options.url));
    return std::unique_ptr<Exporter>(
        new Exporter(std::make_unique<State>(loops, std::move(target), std::move(options))));
}

void Exporter::note(Span span) {
    state_->note(std::move(span));
}

std::uint64_t Exporter::dropped() const {
    return state_->dropped();
}

}  // namespace trilane::telemetry
