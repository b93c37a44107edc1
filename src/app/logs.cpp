// `trilane logs`: what the children of a daemon's lanes print.
#include <ctime>
#include <thread>

#include "app/command_line.h"
#include "app/daemon_client.h"
#include "app/output.h"
#include "app/verbs.h"
#include "json/json.h"

namespace trilane::app {
namespace {

constexpr std::chrono::milliseconds kFollowInterval{500};

std::string clock_text(std::int64_t unix_ms) {
    const std::time_t s = static_cast<std::time_t>(unix_ms / 1000);
    std::tm local{};
    ::localtime_r(&s, &local);
    return fmt::format("{:02}:{:02}:{:02}.{:03}", local.tm_hour, local.tm_min, local.tm_sec,
                       unix_ms % 1000);
}

/// Lanes of the daemon, or the one that was named.
Result<std::vector<std::string>> lanes_of(DaemonClient& daemon, const LogsOptions& options) {
    if (!options.lane.empty()) {
        return std::vector<std::string>{options.lane};
    }
    TRILANE_TRY(const json::Value state, daemon.get("/trilane/v1/state"));
    std::vector<std::string> names;
    for (const json::Value& lane : state.value("lanes", json::Value::array())) {
        names.push_back(lane.value("name", std::string()));
    }
    return names;
}

/// Prints lines after `after` of one lane; the number of the last one.
Result<std::uint64_t> print_lines(DaemonClient& daemon, const std::string& lane,
                                  std::uint64_t after, std::uint32_t lines,
                                  const LogsOptions& options, bool named) {
    TRILANE_TRY(
        const json::Value answer,
        daemon.get(fmt::format("/trilane/v1/logs?lane={}&after={}&lines={}", lane, after, lines)));
    std::string out;
    for (const json::Value& line : answer.value("lines", json::Value::array())) {
        after = line.value("number", after);
        if (options.json) {
            json::Value with_lane = {{"lane", lane}};
            with_lane.update(line);
            out += json::dump(with_lane) + "\n";
            continue;
        }
        out += fmt::format("{} {}{}\n", clock_text(line.value("unix_ms", std::int64_t{0})),
                           named ? lane + ": " : "", printable(line.value("text", std::string())));
    }
    if (!out.empty()) {
        TRILANE_TRY_STATUS(print(out));
    }
    return after;
}

}  // namespace

Result<int> perform(const LogsOptions& options) {
    TRILANE_TRY(const auto daemon, DaemonClient::open(options.connection));
    TRILANE_TRY(const auto lanes, lanes_of(*daemon, options));
    std::vector<std::uint64_t> last(lanes.size(), 0);
    std::uint32_t lines = options.lines;
    for (;;) {
        for (std::size_t i = 0; i < lanes.size(); ++i) {
            TRILANE_TRY(last[i],
                        print_lines(*daemon, lanes[i], last[i], lines, options, lanes.size() > 1));
        }
        if (!options.follow) {
            return kExitOk;
        }
        lines = UINT32_MAX;
        std::this_thread::sleep_for(kFollowInterval);
    }
}

}  // namespace trilane::app
