// `trilane serve`: the daemon. Opens the lane, starts the gateway, waits for a signal, winds down.
#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <thread>

#include "app/command_line.h"
#include "app/daemon_log.h"
#include "app/logged_lane.h"
#include "app/model_files.h"
#include "app/output.h"
#include "app/verbs.h"
#include "app/version.h"
#include "gateway/gateway.h"
#include "lane/native.h"

namespace trilane::app {
namespace {

/// For the last bytes of the answers that the lanes have ended.
constexpr std::chrono::milliseconds kFlushPatience{2'000};
/// Allocations from here on are mappings of their own.
constexpr int kMappedFromBytes = 1 << 20;
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
    }

    void wait() const {
        int signal = 0;
        ::sigwait(&signals_, &signal);
    }

    /// Whether another one came; waits a moment for it.
    [[nodiscard]] bool came_again() const {
        const timespec moment{0, kForceCheckNs};
        return ::sigtimedwait(&signals_, nullptr, &moment) > 0;
    }

private:
    sigset_t signals_{};
};

using Lanes = std::vector<std::shared_ptr<lane::Lane>>;

Result<Lanes> open_lanes(const ServeOptions& options) {
    if (options.no_model) {
        log_line(LogLevel::info, "no model: /v1 requests will be refused");
        return Lanes{};
    }
    TRILANE_TRY(const ModelFile model, find_model(options.model, options.model_dirs));
    lane::NativeOptions native;
    native.model_path = model.path;
    native.model_id = model.id;
    native.engine.context_tokens = options.context_tokens;
    native.engine.slots = options.slots;
    native.engine.queue_max = options.queue_max;
    native.engine.threads = options.threads;
    native.engine.isa = options.isa;
    const auto began = std::chrono::steady_clock::now();
    TRILANE_TRY(auto opened, lane::open_native(native));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    for (const job::ModelCard& card : opened->models()) {
        log_line(
            LogLevel::info,
            fmt::format("model {}: {}, {} parameters, {}, context {} tokens, {} slots, loaded "
                        "in {:.0f} ms from {}",
                        printable(card.id), printable(card.architecture),
                        human_count(card.parameters), human_bytes(card.bytes), card.context_tokens,
                        options.slots, took.count(), printable(model.path)));
    }
    return Lanes{logged(std::move(opened))};
}

gateway::GatewayOptions gateway_options(const ServeOptions& options) {
    gateway::GatewayOptions out;
    out.host = options.host;
    out.port = options.port;
    out.access.api_key = options.api_key;
    out.access.allowed_origins = options.cors_origins;
    out.version = version_number();
    return out;
}

/// Where clients on this machine reach the daemon.
std::string url_of(const std::string& host, std::uint16_t port) {
    const bool ipv6 = host.find(':') != std::string::npos && !host.starts_with('[');
    return fmt::format("http://{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

std::string announcement(const ServeOptions& options, const Lanes& lanes, std::uint16_t port) {
    std::string text = fmt::format("listening on {}\n", url_of(options.host, port));
    if (lanes.empty()) {
        return text;
    }
    const bool everywhere = options.host == "0.0.0.0" || options.host == "::";
    const std::string model = lanes.front()->models().front().id;
    const std::string key =
        options.api_key.empty() ? "" : " -H \"Authorization: Bearer $TRILANE_API_KEY\"";
    text += fmt::format(
        "\nTry it:\n  curl {}/v1/chat/completions{} -H 'Content-Type: application/json' \\\n"
        "    -d '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Tell me "
        "a short "
        "story about a dog.\"}}], \"max_tokens\": 120}}'\n",
        url_of(everywhere ? "127.0.0.1" : options.host, port), key, printable(model));
    if (model == kBundledId) {
        text +=
            "\ntrilane-nano is a small story model: small stories, short answers, and facts that "
            "are often wrong.\n";
    }
    return text;
}

/// Ends in order: the lanes take no more (503), let running answers go on for the patience and end
/// the rest with an error that its client can read; then the connections. A second signal ends the
/// process as it stands.
void shut_down(gateway::Gateway& gateway, const Lanes& lanes, std::uint32_t patience_s,
               const StopSignals& signals) {
    log_line(LogLevel::info, fmt::format("stopping: running answers have {} s; a second signal "
                                         "ends at once",
                                         patience_s));
    std::atomic<bool> stopped = false;
    std::thread stopper([&] {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(patience_s);
        for (const auto& lane : lanes) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now());
            lane->stop(static_cast<std::uint32_t>(std::max<std::int64_t>(left.count(), 0)));
        }
        gateway.stop(kFlushPatience);
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
    const DaemonLog log(options.log_level);
    log_line(LogLevel::info, fmt::format("trilane {} ({})", version_number(), source_revision()));
    TRILANE_TRY(const Lanes lanes, open_lanes(options));
    TRILANE_TRY(const auto gateway, gateway::Gateway::start(gateway_options(options), lanes));
    if (!print(announcement(options, lanes, gateway->port()))) {
        log_line(LogLevel::warn, "standard output is closed");
    }
    log_line(LogLevel::info, fmt::format("listening on {}{}", url_of(options.host, gateway->port()),
                                         options.api_key.empty() ? "" : ", with a key"));
    signals.wait();
    shut_down(*gateway, lanes, options.patience_s, signals);
    log_line(LogLevel::info, "stopped");
    return kExitOk;
}

}  // namespace trilane::app
