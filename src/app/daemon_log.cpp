#include "app/daemon_log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

namespace trilane::app {
namespace {

constexpr std::size_t kLinesWaitingMax = 512;
constexpr const char* kLoggerName = "trilane";

spdlog::level::level_enum level_of(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warn:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
        case LogLevel::off:
            break;
    }
    return spdlog::level::off;
}

/// Keeps the lines that it is given.
class RingSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
public:
    explicit RingSink(std::shared_ptr<os::LogRing> ring) : ring_(std::move(ring)) {}

protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        const auto level = spdlog::level::to_string_view(message.level);
        std::string line(level.data(), level.size());
        line.append(" ").append(message.payload.data(), message.payload.size());
        ring_->note(line);
    }
    void flush_() override {}

private:
    const std::shared_ptr<os::LogRing> ring_;
};

std::shared_ptr<os::LogRing>& kept_lines() {
    static std::shared_ptr<os::LogRing> ring;
    return ring;
}

}  // namespace

std::shared_ptr<os::LogRing> daemon_log_lines() {
    return kept_lines();
}

DaemonLog::DaemonLog(LogLevel level_min) {
    spdlog::init_thread_pool(kLinesWaitingMax, 1);
    kept_lines() = std::make_shared<os::LogRing>();
    const spdlog::sinks_init_list sinks = {std::make_shared<spdlog::sinks::stderr_color_sink_mt>(),
                                           std::make_shared<RingSink>(kept_lines())};
    auto logger = std::make_shared<spdlog::async_logger>(
        kLoggerName, sinks, spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
    logger->set_level(level_of(level_min));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
    logger->flush_on(spdlog::level::debug);
    logger_ = logger;
    spdlog::set_default_logger(std::move(logger));
}

DaemonLog::~DaemonLog() {
    spdlog::shutdown();
}

void log_line(LogLevel level, std::string_view text) {
    if (const auto logger = spdlog::get(kLoggerName)) {
        logger->log(level_of(level), spdlog::string_view_t(text.data(), text.size()));
    }
}

}  // namespace trilane::app
