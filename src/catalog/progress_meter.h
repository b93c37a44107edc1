// ProgressMeter: turns "so many bytes are there" into reports a few times a second, with the rate
// of the last seconds. Prints nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "catalog/pull.h"

namespace trilane::catalog {

class ProgressMeter {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds kReportInterval{200};
    static constexpr std::chrono::milliseconds kRateWindow{5'000};

    ProgressMeter(std::uint64_t total_bytes, std::function<void(const Progress&)> report)
        : total_bytes_(total_bytes), report_(std::move(report)) {}

    /// A new phase begins, for a file; its rate is measured anew.
    void begin(std::string phase, std::string file) {
        phase_ = std::move(phase);
        file_ = std::move(file);
        samples_.clear();
        reported_at_ = {};
    }

    /// Reports when the last report is long enough ago.
    void tick(std::uint64_t done_bytes, Clock::time_point now = Clock::now()) {
        if (!report_ || now - reported_at_ < kReportInterval) {
            return;
        }
        reported_at_ = now;
        samples_.push_back({now, done_bytes});
        while (samples_.size() > 2 && now - samples_.front().at > kRateWindow) {
            samples_.pop_front();
        }
        report_({done_bytes, total_bytes_, rate(), file_, phase_});
    }

    /// The same phase waits, or moves again.
    void set_waiting(bool waiting) {
        if (waiting != (phase_ == "waiting")) {
            before_waiting_ = waiting ? phase_ : before_waiting_;
            phase_ = waiting ? "waiting" : before_waiting_;
        }
    }

private:
    struct Sample {
        Clock::time_point at;
        std::uint64_t bytes;
    };
    [[nodiscard]] double rate() const {
        const Sample& first = samples_.front();
        const Sample& last = samples_.back();
        const double seconds = std::chrono::duration<double>(last.at - first.at).count();
        return seconds > 0 && last.bytes > first.bytes
                   ? static_cast<double>(last.bytes - first.bytes) / seconds
                   : 0;
    }

    std::uint64_t total_bytes_;
    std::function<void(const Progress&)> report_;
    std::string phase_;
    std::string before_waiting_;
    std::string file_;
    std::deque<Sample> samples_;  // at most kRateWindow / kReportInterval
    Clock::time_point reported_at_{};
};

}  // namespace trilane::catalog
