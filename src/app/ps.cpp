// `trilane ps`: what a running daemon has loaded.
#include <ctime>

#include "app/command_line.h"
#include "app/daemon_client.h"
#include "app/output.h"
#include "app/verbs.h"
#include "json/json.h"

namespace trilane::app {
namespace {

std::string text_of(const json::Value& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? printable(at->get<std::string>()) : "";
}

std::uint64_t number_of(const json::Value& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number_unsigned() ? at->get<std::uint64_t>() : 0;
}

std::string since(const json::Value& model) {
    const auto at = model.find("since_unix_ms");
    if (at == model.end() || !at->is_number()) {
        return "";
    }
    const auto s = std::time(nullptr) - at->get<std::int64_t>() / 1000;
    constexpr std::int64_t kMinute = 60;
    constexpr std::int64_t kHour = 60 * kMinute;
    if (s < kMinute) {
        return fmt::format("{} s", std::max<std::int64_t>(s, 0));
    }
    return s < kHour ? fmt::format("{} min", s / kMinute) : fmt::format("{} h", s / kHour);
}

std::string memory_of(const json::Value& model) {
    const std::uint64_t planned = number_of(model, "planned_bytes");
    const std::uint64_t predicted = number_of(model, "predicted_bytes");
    const std::uint64_t observed = number_of(model, "observed_bytes");
    const std::uint64_t mapped = number_of(model, "observed_file_bytes");
    std::string text = planned == 0 ? "-" : human_bytes(planned);
    std::string more;
    if (predicted != planned) {
        more = "predicted " + human_bytes(predicted);
    }
    if (observed != 0) {
        more += (more.empty() ? "seen " : ", seen ") + human_bytes(observed);
        more += mapped == 0 ? "" : " + " + human_bytes(mapped) + " mapped";
    }
    return more.empty() ? text : text + " (" + more + ")";
}

std::vector<std::string> row_of(const json::Value& lane, const json::Value& model) {
    const bool pinned = model.value("pinned", false);
    return {text_of(lane, "name"),
            text_of(model, "model"),
            text_of(model, "state") + (pinned ? ", pinned" : ""),
            since(model),
            fmt::format("{}/{}", number_of(model, "slots_busy"), number_of(model, "slots")),
            fmt::format("{}", number_of(model, "waiting")),
            fmt::format("{}", number_of(model, "context_tokens")),
            memory_of(model)};
}

std::string pull_line(const json::Value& pull) {
    const std::uint64_t total = number_of(pull, "total_bytes");
    const std::string so_far =
        total == 0 ? ""
                   : fmt::format(": {} of {} ({} %)", human_bytes(number_of(pull, "done_bytes")),
                                 human_bytes(total), number_of(pull, "done_bytes") * 100 / total);
    return fmt::format("\nPulling {}, {}{}\n", text_of(pull, "reference"), text_of(pull, "phase"),
                       so_far);
}

std::string listing(const json::Value& state) {
    std::vector<std::vector<std::string>> rows = {
        {"LANE", "MODEL", "STATE", "SINCE", ">BUSY", ">WAITING", ">CONTEXT", "MEMORY"}};
    std::string errors;
    std::string idle;
    for (const json::Value& lane : state.value("lanes", json::Value::array())) {
        const json::Value models = lane.value("models", json::Value::array());
        for (const json::Value& model : models) {
            rows.push_back(row_of(lane, model));
            if (const std::string error = text_of(model, "error"); !error.empty()) {
                errors += fmt::format("\n{}/{}: {}\n", text_of(lane, "name"),
                                      text_of(model, "model"), error);
            }
        }
        if (models.empty()) {
            idle += (idle.empty() ? "" : ", ") + text_of(lane, "name");
        }
    }
    std::string out = rows.size() > 1 ? table(rows) : "Nothing is loaded.\n";
    if (!idle.empty() && rows.size() > 1) {
        out += "\nLanes without a model: " + idle + "\n";
    }
    for (const json::Value& pull : state.value("pulls", json::Value::array())) {
        out += pull_line(pull);
    }
    for (const json::Value& pool : state.value("pools", json::Value::array())) {
        out += fmt::format("\nMemory {}: {} planned, {} held by others, {} kept free, of {}\n",
                           text_of(pool, "name"), human_bytes(number_of(pool, "planned_bytes")),
                           human_bytes(number_of(pool, "foreign_bytes")),
                           human_bytes(number_of(pool, "reserve_bytes")),
                           human_bytes(number_of(pool, "total_bytes")));
    }
    return out + errors;
}

}  // namespace

Result<int> perform(const PsOptions& options) {
    TRILANE_TRY(const auto daemon, DaemonClient::open(options.connection));
    TRILANE_TRY(const json::Value state, daemon->get("/trilane/v1/state"));
    TRILANE_TRY_STATUS(print(options.json ? json::dump_pretty(state) + "\n" : listing(state)));
    return kExitOk;
}

}  // namespace trilane::app
