// `trilane serve`: starts the daemon, waits for a signal, winds down.
#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "app/command_line.h"
#include "app/daemon.h"
#include "app/daemon_log.h"
#include "app/output.h"
#include "app/serve_setup.h"
#include "app/verbs.h"
#include "app/version.h"

namespace trilane::app {
namespace {

/// Allocations from here on are mappings of their own.
constexpr int kMappedFromBytes = 1 << 20;
/// How often the configuration file is looked at.
constexpr long kConfigLookS = 2;
/// Supervisors send their signals twice at times: what follows this closely is the same wish.
constexpr std::chrono::milliseconds kOneWish{500};
constexpr long kForceCheckNs = 50'000'000;

/// SIGINT, SIGTERM and SIGHUP (the terminal closed), held back from every thread from now on so
/// that one can wait for them.
class StopSignals {
public:
    StopSignals() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        sigaddset(&signals_, SIGHUP);
        ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        // A client that leaves is an error of one write, not the end of the daemon.
        std::signal(SIGPIPE, SIG_IGN);
        // So is a file that may not grow further (RLIMIT_FSIZE).
        std::signal(SIGXFSZ, SIG_IGN);
    }

    /// Waits so many seconds for one.
    [[nodiscard]] bool came(long seconds) const {
        const timespec patience{seconds, 0};
        return ::sigtimedwait(&signals_, nullptr, &patience) > 0;
    }

    /// Whether another one came; waits a moment for it.
    [[nodiscard]] bool came_again() const {
        const timespec moment{0, kForceCheckNs};
        return ::sigtimedwait(&signals_, nullptr, &moment) > 0;
    }

private:
    sigset_t signals_{};
};

/// A second signal ends the process as it stands.
void shut_down(Daemon& daemon, const StopSignals& signals) {
    log_line(LogLevel::info, fmt::format("stopping: running answers have {} s; a second signal "
                                         "ends at once",
                                         daemon.patience_s()));
    std::atomic<bool> stopped = false;
    std::thread stopper([&] {
        daemon.stop();
        stopped = true;
    });
    const auto heeded_from = std::chrono::steady_clock::now() + kOneWish;
    while (!stopped) {
        if (signals.came_again() && std::chrono::steady_clock::now() > heeded_from) {
            print_error("trilane: second signal: ending at once\n");
            std::_Exit(kExitFailure);
        }
    }
    stopper.join();
}

}  // namespace

Result<int> perform(const ServeOptions& options) {
    // Bodies of many megabytes go back to the system when they are done with, not into the heap.
    ::mallopt(M_MMAP_THRESHOLD, kMappedFromBytes);
    const StopSignals signals;
    TRILANE_TRY(config::Config config, effective_config(options));
    const DaemonLog log(log_level_of(config, options));
    log_line(LogLevel::info, fmt::format("trilane {} ({})", version_number(), source_revision()));
    for (const std::string& warning : config.warnings) {
        log_line(LogLevel::warn, printable(warning));
    }
    TRILANE_TRY(const auto daemon, Daemon::start(options, std::move(config)));
    TRILANE_TRY_STATUS(daemon->wait_for_model());
    if (!print(daemon->announcement())) {
        log_line(LogLevel::warn, "standard output is closed");
    }
    log_line(LogLevel::info, fmt::format("listening on {}", daemon->url()));
    for (const std::string& missing : daemon->shortcomings()) {
        log_line(LogLevel::warn, printable(missing));
    }
    while (!signals.came(kConfigLookS)) {
        daemon->look_at_config();
    }
    shut_down(*daemon, signals);
    log_line(LogLevel::info, "stopped");
    return kExitOk;
}

}  // namespace trilane::app
