#include "app/logged_lane.h"

#include <fmt/core.h>

#include <utility>

#include "app/daemon_log.h"

namespace trilane::app {
namespace {

double tokens_per_second(std::uint32_t tokens, double ms) {
    return ms > 0 ? 1000.0 * tokens / ms : 0;
}

void log_end(const std::string& request_id, const job::Event& event) {
    if (const auto* done = std::get_if<job::Done>(&event)) {
        const job::Timings& t = done->timings;
        log_line(LogLevel::info,
                 fmt::format("{}: {} prompt tokens ({} cached), {} generated; queue {:.0f} ms, "
                             "prompt {:.0f} ms, answer {:.0f} ms ({:.1f} tok/s)",
                             request_id, done->usage.prompt_tokens, done->usage.cached_tokens,
                             done->usage.completion_tokens, t.queue_ms, t.prompt_ms, t.predicted_ms,
                             tokens_per_second(t.predicted_tokens, t.predicted_ms)));
    } else if (const auto* failed = std::get_if<job::Failed>(&event)) {
        const bool ours = failed->error.fault == Fault::internal;
        log_line(ours ? LogLevel::error : LogLevel::info,
                 fmt::format("{}: {}: {}", request_id, fault_name(failed->error.fault),
                             failed->error.message));
    }
}

class LoggedLane final : public lane::Lane {
public:
    explicit LoggedLane(std::shared_ptr<lane::Lane> lane) : lane_(std::move(lane)) {}

    [[nodiscard]] std::string_view name() const override { return lane_->name(); }
    [[nodiscard]] std::vector<job::ModelCard> models() const override { return lane_->models(); }
    [[nodiscard]] lane::LaneSnapshot snapshot() const override { return lane_->snapshot(); }
    void stop(std::uint32_t patience_ms) override { lane_->stop(patience_ms); }

    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override {
        auto log_and_pass = [id = request.id, sink = std::move(sink)](job::Event event) {
            log_end(id, event);
            sink(std::move(event));
        };
        lane_->submit(std::move(request), std::move(log_and_pass), std::move(cancel));
    }

private:
    std::shared_ptr<lane::Lane> lane_;
};

}  // namespace

std::shared_ptr<lane::Lane> logged(std::shared_ptr<lane::Lane> lane) {
    return std::make_shared<LoggedLane>(std::move(lane));
}

}  // namespace trilane::app
