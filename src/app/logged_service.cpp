#include "app/logged_service.h"

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

class LoggedService final : public plane::Service {
public:
    explicit LoggedService(std::shared_ptr<plane::Service> service)
        : service_(std::move(service)) {}

    [[nodiscard]] std::vector<job::ModelCard> models() const override { return service_->models(); }
    [[nodiscard]] Result<job::ModelCard> find(std::string_view name) const override {
        return service_->find(name);
    }
    [[nodiscard]] plane::Line line_of(std::string_view model) const override {
        return service_->line_of(model);
    }
    void notice_cancel() override { service_->notice_cancel(); }
    [[nodiscard]] plane::View view() const override { return service_->view(); }
    void load(LoadAsk ask, std::function<void(Status)> done) override {
        service_->load(std::move(ask), std::move(done));
    }
    Status unload(std::string_view model) override { return service_->unload(model); }
    [[nodiscard]] Result<std::shared_ptr<os::LogRing>> log_of(
        std::string_view lane) const override {
        return service_->log_of(lane);
    }

    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override {
        auto log_and_pass = [id = request.id, sink = std::move(sink)](job::Event event) {
            log_end(id, event);
            sink(std::move(event));
        };
        service_->submit(std::move(request), std::move(log_and_pass), std::move(cancel));
    }

private:
    std::shared_ptr<plane::Service> service_;
};

}  // namespace

std::shared_ptr<plane::Service> logged(std::shared_ptr<plane::Service> service) {
    return std::make_shared<LoggedService>(std::move(service));
}

}  // namespace trilane::app
