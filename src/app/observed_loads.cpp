#include "app/observed_loads.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>

#include "app/output.h"
#include "json/json.h"
#include "os/unique_fd.h"

namespace trilane::app {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;

Error cannot_write(const std::string& path, int number) {
    return {Fault::unavailable,
            fmt::format("cannot write {}: {}; what models were seen to hold is forgotten with the "
                        "daemon",
                        path, std::generic_category().message(number))};
}

std::string text_in(const json::Value& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

template <class Number>
Number number_in(const json::Value& object, const char* key) {
    const auto at = object.find(key);
    const std::uint64_t value =
        at != object.end() && at->is_number_unsigned() ? at->get<std::uint64_t>() : 0;
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<Number>::max());
    return static_cast<Number>(std::min(value, kMost));
}

json::Value json_of(const plan::Observation& one) {
    return {{"model", one.load.model},
            {"weight_bytes", one.load.weight_bytes},
            {"lane", one.load.lane},
            {"device", one.load.device},
            {"kv", std::string(plan::kv_type_name(one.load.kv))},
            {"context_tokens", one.load.context_tokens},
            {"parallel", one.load.parallel},
            {"predicted_bytes", one.predicted_bytes},
            {"filling_bytes", one.filling_bytes},
            {"observed_bytes", one.observed_bytes},
            {"before_bytes", one.before_bytes},
            {"answers", one.answers},
            {"unix_s", one.unix_s}};
}

/// **Errors:** corrupt: no such load can be.
Result<plan::Observation> observation_of(const json::Value& value) {
    plan::Observation one;
    one.load.model = text_in(value, "model");
    one.load.weight_bytes = number_in<std::uint64_t>(value, "weight_bytes");
    one.load.lane = text_in(value, "lane");
    one.load.device = text_in(value, "device");
    one.load.context_tokens = number_in<std::uint32_t>(value, "context_tokens");
    one.load.parallel = number_in<std::uint32_t>(value, "parallel");
    one.predicted_bytes = number_in<std::uint64_t>(value, "predicted_bytes");
    one.filling_bytes = number_in<std::uint64_t>(value, "filling_bytes");
    one.observed_bytes = number_in<std::uint64_t>(value, "observed_bytes");
    one.before_bytes = number_in<std::uint64_t>(value, "before_bytes");
    one.answers = number_in<std::uint32_t>(value, "answers");
    one.unix_s = number_in<std::int64_t>(value, "unix_s");
    const auto kv = plan::kv_type_from(text_in(value, "kv"));
    if (!kv || one.load.model.empty() || one.load.lane.empty() || one.predicted_bytes == 0 ||
        one.observed_bytes == 0) {
        return fail(Fault::corrupt, "an entry names no model, lane, KV type or bytes");
    }
    one.load.kv = *kv;
    return one;
}

}  // namespace

std::string observed_loads_path(const std::string& state_dir) {
    return state_dir.empty() ? "" : state_dir + "/observed-loads.json";
}

std::string observed_loads_text(std::span<const plan::Observation> loads) {
    json::Value list = json::Value::array();
    for (const plan::Observation& one : loads) {
        list.push_back(json_of(one));
    }
    return json::dump_pretty({{"format", kFormat}, {"loads", std::move(list)}}) + '\n';
}

Result<std::vector<plan::Observation>> parse_observed_loads(std::string_view text) {
    TRILANE_TRY(const json::Value value, json::parse(text));
    if (!value.is_object() || value.value("format", json::Value()) != kFormat ||
        !value.contains("loads") || !value["loads"].is_array()) {
        return fail(Fault::corrupt, "it is not of format {}", kFormat);
    }
    std::vector<plan::Observation> loads;
    for (const json::Value& each : value["loads"]) {
        if (loads.size() >= plan::kObservationsMax) {
            break;
        }
        if (!each.is_object()) {
            return fail(Fault::corrupt, "an entry is no object");
        }
        TRILANE_TRY(loads.emplace_back(), observation_of(each));
    }
    return loads;
}

Result<std::vector<plan::Observation>> read_observed_loads(const std::string& path) {
    std::error_code ignored;
    if (path.empty() || !fs::exists(path, ignored)) {
        return std::vector<plan::Observation>();
    }
    TRILANE_TRY(const std::string text, read_file(path, kObservedLoadsBytesMax));
    auto loads = parse_observed_loads(text);
    if (!loads) {
        return fail(Fault::corrupt, "{} cannot be read ({}) and is ignored", path,
                    loads.error().message);
    }
    return loads;
}

Status write_observed_loads(const std::string& path, std::span<const plan::Observation> loads) {
    std::error_code failed;
    fs::create_directories(fs::path(path).parent_path(), failed);
    const std::string beside = path + ".new";
    const std::string text = observed_loads_text(loads);
    {
        const os::UniqueFd fd(
            ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        std::string_view rest = text;
        while (fd.open() && !rest.empty()) {
            const ssize_t wrote = ::write(fd.get(), rest.data(), rest.size());
            if (wrote < 0 && errno != EINTR) {
                return tl::unexpected(cannot_write(beside, errno));
            }
            rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(wrote, 0)));
        }
        if (!fd.open() || ::fsync(fd.get()) != 0) {
            return tl::unexpected(cannot_write(beside, errno));
        }
    }
    if (std::rename(beside.c_str(), path.c_str()) != 0) {
        return tl::unexpected(cannot_write(path, errno));
    }
    return {};
}

}  // namespace trilane::app
