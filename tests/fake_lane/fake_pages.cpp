// The test's own door into a fake: GET /fake/stats, /fake/process, /fake/requests, POST
// /fake/script, /fake/exit. No real engine has it.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "json/json.h"
#include "openai_text.h"
#include "personality.h"
#include "skim.h"

namespace trilane::fake_lane {
namespace {

json::Value limit_of(int resource) {
    rlimit limit{};
    ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
    return limit.rlim_cur == RLIM_INFINITY ? json::Value("infinity") : json::Value(limit.rlim_cur);
}

std::string text_of(const char* path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// Descriptors by number, with what they are.
json::Value open_files() {
    json::Value files = json::Value::object();
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
        files[entry.path().filename().string()] =
            std::filesystem::read_symlink(entry.path(), error).string();
    }
    return files;
}

json::Value process(const World& world) {
    json::Value environment = json::Value::array();
    for (char** each = environ; *each != nullptr; ++each) {
        environment.push_back(*each);
    }
    std::error_code error;
    return {{"pid", ::getpid()},
            {"parent", ::getppid()},
            {"group", ::getpgrp()},
            {"session", ::getsid(0)},
            {"arguments", world.arguments},
            {"environment", environment},
            {"directory", std::filesystem::current_path(error).string()},
            {"niceness", ::getpriority(PRIO_PROCESS, 0)},
            {"memlock", limit_of(RLIMIT_MEMLOCK)},
            {"files_max", limit_of(RLIMIT_NOFILE)},
            {"cgroup", text_of("/proc/self/cgroup")},
            {"files", open_files()}};
}

void change_script(Exchange& exchange, const Personality& personality) {
    Script script = exchange.script();
    const Status changed = apply_text(script, exchange.request.body, personality.model());
    if (!changed) {
        exchange.reply(400, kJson, openai_error(400, changed.error().message, false));
        return;
    }
    exchange.world.set_script(std::move(script));
    exchange.reply(200, kJson, "{\"ok\":true}");
}

/// {"signal": 9} or {"code": 3}; answers before it ends.
void exit_now(Exchange& exchange) {
    const auto signal = integer(member(exchange.request.body, "signal"));
    const auto code = integer(member(exchange.request.body, "code")).value_or(1);
    exchange.reply(200, kJson, "{\"ok\":true}");
    if (signal) {
        die(*signal);
    }
    ::_exit(static_cast<int>(code));
}

}  // namespace

std::string Personality::load_failure(const Script&) const {
    return {};
}
void Personality::adjust(Script&) const {}
bool Personality::keeps_alive(const Script&) const {
    return true;
}
std::uint64_t Personality::sockets_max(const Script&) const {
    return 0;
}

Result<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    if (text.empty() || std::from_chars(text.data(), end, port).ptr != end) {
        return fail(Fault::invalid, "invalid port '{}'", text);
    }
    return port;
}

void answer_fake_page(Exchange& exchange, const Personality& personality) {
    const std::string_view path = exchange.request.path;
    if (path == "/fake/stats") {
        json::Value stats = exchange.world.stats();
        stats["personality"] = personality.name();
        personality.describe(stats);
        exchange.reply(200, kJson, json::dump(stats));
    } else if (path == "/fake/process") {
        exchange.reply(200, kJson, json::dump(process(exchange.world)));
    } else if (path == "/fake/requests") {
        exchange.reply(200, kJson, json::dump(exchange.world.recorded()));
    } else if (path == "/fake/script") {
        change_script(exchange, personality);
    } else if (path == "/fake/exit") {
        exit_now(exchange);
    } else {
        exchange.reply(404, kJson, openai_error(404, "no such page of the fake", false));
    }
}

}  // namespace trilane::fake_lane
