// The daemon's log, on standard error. Written by a thread of its own, so that nobody who logs
// waits for a slow reader; when the reader is slower than the log, the oldest lines are lost.
#pragma once

#include <memory>
#include <string_view>

#include "app/options.h"
#include "os/log_ring.h"

namespace trilane::app {

/// The log between its construction and destruction, which writes what is left. One at a time.
class DaemonLog {
public:
    explicit DaemonLog(LogLevel level_min);
    ~DaemonLog();
    DaemonLog(const DaemonLog&) = delete;
    DaemonLog& operator=(const DaemonLog&) = delete;

private:
    std::shared_ptr<void> logger_;  // outlives the thread that writes through it
};

/// What the log has written last, "info text" each, for who reads it over the network; null when no
/// DaemonLog was there yet. **Threads:** any, but not while one is made.
std::shared_ptr<os::LogRing> daemon_log_lines();

/// Writes a line when a DaemonLog lives. Never give it a key, a prompt or an answer.
/// **Threads:** any.
void log_line(LogLevel level, std::string_view text);

}  // namespace trilane::app
