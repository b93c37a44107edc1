// `trilane load` and `unload`: changing what a running daemon has loaded.
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app/command_line.h"
#include "app/daemon_client.h"
#include "app/loading_line.h"
#include "app/output.h"
#include "app/verbs.h"
#include "catalog/web.h"
#include "json/json.h"

namespace trilane::app {
namespace {

using Clock = std::chrono::steady_clock;

/// Quick loads show nothing.
constexpr std::chrono::milliseconds kLookInterval{1'000};

std::string said_in(const json::Value& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? printable(at->get<std::string>()) : "";
}

/// While one lives, the terminal at standard error shows what the model waits for.
class LoadingLine {
public:
    LoadingLine(const Connection& connection, std::string model) : model_(std::move(model)) {
        auto daemon = DaemonClient::open(connection);
        if (daemon && stderr_is_terminal()) {
            daemon_ = *std::move(daemon);
            thread_ = std::thread([this] { draw(); });
        }
    }
    ~LoadingLine() {
        if (!thread_.joinable()) {
            return;
        }
        {
            const std::scoped_lock lock(mutex_);
            done_ = true;
        }
        told_.notify_all();
        thread_.join();
    }
    LoadingLine(const LoadingLine&) = delete;
    LoadingLine& operator=(const LoadingLine&) = delete;

private:
    void draw() {
        const Clock::time_point begin = Clock::now();
        const std::string target = "/trilane/v1/state?model=" + catalog::percent_encoded(model_);
        bool drawn = false;
        std::unique_lock lock(mutex_);
        while (!told_.wait_for(lock, kLookInterval, [this] { return done_; })) {
            lock.unlock();
            if (const auto state = daemon_->get(target)) {
                const auto waited =
                    std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin);
                print_error("\r" + loading_text(*state, model_, waited) + "\x1b[K");
                drawn = true;
            }
            lock.lock();
        }
        if (drawn) {
            print_error("\r\x1b[K");
        }
    }

    const std::string model_;
    std::unique_ptr<DaemonClient> daemon_;
    std::mutex mutex_;
    std::condition_variable told_;
    bool done_ = false;
    std::thread thread_;
};

double figure_in(const json::Value& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number() ? at->get<double>() : 0;
}

/// "32,768".
std::string grouped(std::uint64_t number) {
    constexpr std::size_t kGroup = 3;
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > kGroup; at -= kGroup) {
        text.insert(at - kGroup, ",");
    }
    return text;
}

Status print_answer(const json::Value& answer, bool json) {
    return print(json ? json::dump_pretty(answer) + "\n" : loaded_text(answer));
}

}  // namespace

std::string loaded_text(const json::Value& answer) {
    std::string text = fmt::format("{} is {}", said_in(answer, "model"), said_in(answer, "status"));
    if (const std::string lane = said_in(answer, "lane"); !lane.empty()) {
        text += " on " + lane;
    }
    std::vector<std::string> facts;
    if (const double tokens = figure_in(answer, "context_tokens"); tokens > 0) {
        facts.push_back(grouped(static_cast<std::uint64_t>(tokens)) + " tokens of context");
    }
    if (const double bytes = figure_in(answer, "planned_bytes"); bytes > 0) {
        facts.push_back(human_bytes(static_cast<std::uint64_t>(bytes)));
    }
    if (const double ms = figure_in(answer, "load_ms"); ms > 0) {
        facts.push_back(fmt::format("after {:.1f} s", ms / 1000));
    }
    for (const std::string& fact : facts) {
        text += (&fact == facts.data() ? ": " : ", ") + fact;
    }
    const std::string note = said_in(answer, "note");
    return text + '\n' + (note.empty() ? "" : note + '\n');
}

std::string loading_text(const json::Value& state, std::string_view model,
                         std::chrono::seconds waited) {
    // The daemon knows what an alias means; "gpu/coder" is the model coder on the lane gpu.
    const std::string meant = said_in(state, "model");
    const std::string id(meant.empty() ? model.substr(model.find('/') + 1) : meant);
    std::string doing = "waiting for room";
    for (const json::Value& lane : state.value("lanes", json::Value::array())) {
        for (const json::Value& one : lane.value("models", json::Value::array())) {
            const std::string name = said_in(one, "model");
            if (name == model || name == id) {
                doing = fmt::format("{} on {}", said_in(one, "state"), said_in(lane, "name"));
            }
        }
    }
    return fmt::format("{}: {}, {} s", printable(model), doing, waited.count());
}

Result<int> perform(const LoadOptions& options) {
    TRILANE_TRY(const auto daemon, DaemonClient::open(options.connection));
    json::Value body = {{"model", options.model}};
    if (!options.lane.empty()) {
        body["lane"] = options.lane;
    }
    if (options.context_tokens != 0) {
        body["context_tokens"] = options.context_tokens;
    }
    if (options.pin) {
        body["pin"] = true;
    }
    const auto answer = [&] {
        const LoadingLine line(options.connection, options.model);
        return daemon->post("/trilane/v1/load", body);
    }();
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    TRILANE_TRY_STATUS(print_answer(*answer, options.json));
    return kExitOk;
}

Result<int> perform(const UnloadOptions& options) {
    TRILANE_TRY(const auto daemon, DaemonClient::open(options.connection));
    TRILANE_TRY(const json::Value answer,
                daemon->post("/trilane/v1/unload", {{"model", options.model}}));
    TRILANE_TRY_STATUS(print_answer(answer, options.json));
    return kExitOk;
}

}  // namespace trilane::app
