// `trilane key`: API keys, made, listed and revoked in the file that the daemon watches.
#include <fmt/format.h>

#include <ctime>

#include "access/key_ring.h"
#include "app/output.h"
#include "app/serve_setup.h"
#include "app/verbs.h"
#include "json/json.h"

namespace trilane::app {
namespace {

constexpr std::int64_t kDaySeconds = 86'400;
constexpr std::size_t kHintBytes = 4;

std::string joined(const std::vector<std::string>& texts, std::string_view none) {
    std::string out;
    for (const std::string& text : texts) {
        out += (out.empty() ? "" : ",") + printable(text);
    }
    return out.empty() ? std::string(none) : out;
}

std::string date(std::int64_t unix_s) {
    const std::time_t time = unix_s;
    std::tm parts{};
    ::localtime_r(&time, &parts);
    char text[16];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &parts)};
}

std::string limit(std::uint32_t value) {
    return value == 0 ? "-" : fmt::format("{}", value);
}

json::Value as_json(const access::Key& key) {
    json::Value out = json::Value::object();
    out["name"] = key.name;
    out["ends_with"] = key.hint;
    out["admin"] = key.admin;
    out["models"] = key.models;
    out["lanes"] = key.lanes;
    out["requests_per_minute"] =
        key.requests_per_minute == 0 ? json::Value() : json::Value(key.requests_per_minute);
    out["concurrent"] = key.concurrent == 0 ? json::Value() : json::Value(key.concurrent);
    out["created_unix_s"] = key.created_unix_s;
    out["expires_unix_s"] = key.expires_unix_s ? json::Value(*key.expires_unix_s) : json::Value();
    return out;
}

Result<int> add(const KeyOptions& options, const std::string& path) {
    TRILANE_TRY(const std::string text, access::random_key());
    access::Key key;
    key.name = options.name;
    key.digest = access::digest_of(text);
    key.hint = text.substr(text.size() - kHintBytes);
    key.admin = options.admin;
    key.models = options.models;
    key.lanes = options.lanes;
    key.requests_per_minute = options.requests_per_minute;
    key.concurrent = options.concurrent;
    key.created_unix_s = std::time(nullptr);
    if (options.days != 0) {
        key.expires_unix_s = key.created_unix_s + options.days * kDaySeconds;
    }
    TRILANE_TRY_STATUS(
        access::KeyRing::change(path, [&](access::KeyRing& ring) { return ring.add(key); }));
    if (options.json) {
        json::Value out = as_json(key);
        out["key"] = text;
        TRILANE_TRY_STATUS(print(json::dump_pretty(out) + "\n"));
        return 0;
    }
    if (stderr_is_terminal() || stdout_is_terminal()) {
        print_error("This is the only time that the key is shown:\n");
    }
    TRILANE_TRY_STATUS(print(text + "\n"));
    return 0;
}

Result<int> list(const KeyOptions& options, const std::string& path) {
    TRILANE_TRY(const access::KeyRing ring, access::KeyRing::load(path));
    if (options.json) {
        json::Value out = json::Value::array();
        for (const access::Key& key : ring.keys()) {
            out.push_back(as_json(key));
        }
        TRILANE_TRY_STATUS(print(json::dump_pretty(out) + "\n"));
        return 0;
    }
    if (ring.keys().empty()) {
        TRILANE_TRY_STATUS(print("There are no keys. `trilane key add NAME` makes one.\n"));
        return 0;
    }
    const std::int64_t now = std::time(nullptr);
    std::vector<std::vector<std::string>> rows = {
        {"NAME", "KEY", "MAY", "MODELS", "LANES", ">PER MINUTE", ">AT ONCE", "MADE", "EXPIRES"}};
    for (const access::Key& key : ring.keys()) {
        const bool over = key.expires_unix_s && *key.expires_unix_s <= now;
        rows.push_back(
            {printable(key.name), "…" + printable(key.hint), key.admin ? "administer" : "use",
             joined(key.models, "all"), joined(key.lanes, "all"), limit(key.requests_per_minute),
             limit(key.concurrent), date(key.created_unix_s),
             !key.expires_unix_s ? "never" : date(*key.expires_unix_s) + (over ? " (over)" : "")});
    }
    TRILANE_TRY_STATUS(print(table(rows)));
    return 0;
}

Result<int> revoke(const KeyOptions& options, const std::string& path) {
    bool last = false;
    const auto remove = [&](access::KeyRing& ring) {
        Status removed = ring.remove(options.name);
        last = ring.keys().empty();
        return removed;
    };
    TRILANE_TRY_STATUS(access::KeyRing::change(path, remove));
    TRILANE_TRY_STATUS(print(fmt::format(
        "{} is revoked; a running daemon notices within seconds.\n", printable(options.name))));
    if (last) {
        TRILANE_TRY_STATUS(print(fmt::format(
            "It was the last one: without TRILANE_API_KEY or server.api_key_file nobody is let in "
            "until there is another. To serve without keys, delete {} and start the daemon "
            "anew.\n",
            printable(path))));
    }
    return 0;
}

}  // namespace

Result<int> perform(const KeyOptions& options) {
    TRILANE_TRY(const config::Config config, config_in(options.config_file));
    const std::string path =
        config.server.keys_file.empty() ? options.keys_file : config.server.keys_file;
    switch (options.what) {
        case KeyOptions::What::add:
            return add(options, path);
        case KeyOptions::What::list:
            return list(options, path);
        case KeyOptions::What::revoke:
            break;
    }
    return revoke(options, path);
}

}  // namespace trilane::app
