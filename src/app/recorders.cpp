#include "app/recorders.h"

#include <fmt/format.h>

#include <ctime>

#include "app/daemon_log.h"
#include "app/output.h"
#include "app/serve_setup.h"
#include "app/version.h"

namespace trilane::app {
namespace {

constexpr double kMsPerSecond = 1000;
constexpr unsigned kErrorsFrom = 400;
constexpr unsigned kOursFrom = 500;

double tokens_per_second(std::uint32_t tokens, double ms) {
    return ms > 0 ? kMsPerSecond * tokens / ms : 0;
}

bool failed(const gateway::Record& record) {
    return !record.error.empty() || record.status >= kErrorsFrom;
}

void log_warning(std::string_view line) {
    log_line(LogLevel::warn, printable(line));
}

/// As the semantic conventions call it.
std::string_view operation_of(std::string_view subject) {
    if (subject == "completion") {
        return "text_completion";
    }
    return subject == "embeddings" || subject == "chat" ? subject : "generate_content";
}

}  // namespace

std::string audit_line(const gateway::Record& record) {
    std::string out = fmt::format("{}: {} {}", record.request_id, record.endpoint, record.status);
    if (!record.key.empty()) {
        out += ", key " + record.key;
    }
    if (record.subject.empty()) {
        return out;
    }
    out += fmt::format(", {} by {}{}{}", record.subject, record.model,
                       record.lane.empty() ? "" : " on ", record.lane);
    if (!record.error.empty()) {
        out +=
            fmt::format(": {}{}{}", record.error, record.detail.empty() ? "" : ": ", record.detail);
        return out;
    }
    const job::Timings& t = record.timings;
    out += fmt::format(
        ": {} prompt tokens ({} cached), {} generated; queue {:.0f} ms, prompt {:.0f} "
        "ms, answer {:.0f} ms ({:.1f} tok/s)",
        record.usage.prompt_tokens, record.usage.cached_tokens, record.usage.completion_tokens,
        t.queue_ms, t.prompt_ms, t.predicted_ms,
        tokens_per_second(t.predicted_tokens, t.predicted_ms));
    return out;
}

telemetry::Span span_of(const gateway::Record& record) {
    telemetry::Span span;
    span.name = record.subject.empty()
                    ? record.endpoint
                    : fmt::format("{} {}", operation_of(record.subject), record.model);
    span.traceparent = record.traceparent;
    span.began = record.began;
    span.lasted = std::chrono::nanoseconds(static_cast<std::int64_t>(record.duration_s * 1e9));
    const std::size_t space = record.endpoint.find(' ');
    span.texts = {{"http.request.method", record.endpoint.substr(0, space)},
                  {"http.route", record.endpoint.substr(space + 1)},
                  {"trilane.request_id", record.request_id}};
    span.numbers = {{"http.response.status_code", record.status}};
    if (!record.key.empty()) {
        span.texts.emplace_back("trilane.key", record.key);
    }
    if (failed(record)) {
        span.error = record.error.empty() ? fmt::format("{}", record.status) : record.error;
        span.texts.emplace_back("error.type", span.error);
    }
    if (record.subject.empty()) {
        return span;
    }
    span.texts.emplace_back("gen_ai.operation.name", operation_of(record.subject));
    span.texts.emplace_back("gen_ai.provider.name", "trilane");
    span.texts.emplace_back("gen_ai.request.model", record.model);
    span.texts.emplace_back("gen_ai.response.model", record.model);
    span.texts.emplace_back("trilane.lane", record.lane);
    span.numbers.emplace_back("gen_ai.usage.input_tokens", record.usage.prompt_tokens);
    span.numbers.emplace_back("gen_ai.usage.output_tokens", record.usage.completion_tokens);
    span.numbers.emplace_back("trilane.usage.cached_tokens", record.usage.cached_tokens);
    span.numbers.emplace_back("trilane.queue_us",
                              static_cast<std::int64_t>(record.timings.queue_ms * kMsPerSecond));
    span.numbers.emplace_back("trilane.first_text_us",
                              static_cast<std::int64_t>(record.first_text_s * 1e6));
    return span;
}

Recorders::Recorders(const config::Config& config, const std::string& state_dir,
                     net::Loops& loops) {
    if (const std::string file = usage_file(config, state_dir);
        config.usage.record && !file.empty()) {
        usage::Options options;
        options.path = file;
        options.days_kept = config.usage.days_kept;
        options.log = log_warning;
        auto ledger = usage::Ledger::open(std::move(options));
        if (ledger) {
            ledger_ = *std::move(ledger);
        } else {
            log_warning("usage: " + ledger.error().message);
        }
    }
    if (!config.telemetry.otlp_url.empty()) {
        telemetry::Options options;
        options.url = config.telemetry.otlp_url;
        options.service_version = version_number();
        options.log = log_warning;
        auto exporter = telemetry::Exporter::start(loops, std::move(options));
        if (exporter) {
            exporter_ = *std::move(exporter);
        } else {
            log_warning("telemetry.otlp_url: " + exporter.error().message);
        }
    }
}

void Recorders::write(const gateway::Record& record) const {
    const bool ours = record.error == "internal" || record.status == kOursFrom;
    const bool quiet = record.subject.empty() && !failed(record);
    log_line(ours    ? LogLevel::error
             : quiet ? LogLevel::debug
                     : LogLevel::info,
             printable(audit_line(record)));
    if (ledger_ != nullptr && !record.subject.empty()) {
        usage::Sums sums;
        sums.requests = 1;
        sums.errors = failed(record) ? 1 : 0;
        sums.prompt_tokens = record.usage.prompt_tokens;
        sums.cached_tokens = record.usage.cached_tokens;
        sums.completion_tokens = record.usage.completion_tokens;
        sums.prompt_ms = record.timings.prompt_ms;
        sums.predicted_ms = record.timings.predicted_ms;
        sums.duration_ms = record.duration_s * kMsPerSecond;
        ledger_->note({record.key, record.model, record.lane, record.subject}, sums,
                      std::chrono::system_clock::to_time_t(record.began));
    }
    if (exporter_ != nullptr) {
        exporter_->note(span_of(record));
    }
}

}  // namespace trilane::app
