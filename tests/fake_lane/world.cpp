#include "world.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include "json/json.h"

namespace trilane::fake_lane {

namespace {

/// More paths than that are counted together: a scan of random paths must not grow the table.
constexpr std::size_t kPathsMax = 256;

}  // namespace

void Counters::enter() {
    const std::uint64_t now = ++in_flight;
    std::uint64_t highest = in_flight_max.load();
    while (now > highest && !in_flight_max.compare_exchange_weak(highest, now)) {
    }
}

World::World(std::vector<std::string> arguments_given, Script script)
    : arguments(std::move(arguments_given)),
      script_(std::make_shared<const Script>(std::move(script))) {}

std::shared_ptr<const Script> World::script() const {
    const std::scoped_lock lock(mutex_);
    return script_;
}

void World::set_script(Script script) {
    auto next = std::make_shared<const Script>(std::move(script));
    const std::scoped_lock lock(mutex_);
    script_.swap(next);
}

bool World::is_frozen() const {
    const std::shared_ptr<const Script> now = script();
    return now->frozen ||
           (now->hang_after_ms >= 0 && Clock::now() >= started + ms(now->hang_after_ms));
}

void World::record(std::string_view path, std::string_view head, std::string_view body) {
    const std::scoped_lock lock(mutex_);
    auto found = by_path_.find(path);
    if (found == by_path_.end()) {
        found = by_path_.emplace(by_path_.size() < kPathsMax ? path : "other", 0).first;
    }
    ++found->second;
    Recorded kept;
    if (recorded_.size() >= kRecordedMax) {
        kept = std::move(recorded_.front());
        recorded_.pop_front();
    }
    kept.number = ++recorded_total_;
    kept.head.assign(head);
    kept.body.assign(body.substr(0, kRecordedBodyBytesMax));
    recorded_.push_back(std::move(kept));
}

json::Value World::recorded() const {
    json::Value list = json::Value::array();
    const std::scoped_lock lock(mutex_);
    for (const Recorded& each : recorded_) {
        list.push_back({{"number", each.number}, {"head", each.head}, {"body", each.body}});
    }
    return list;
}

json::Value World::stats() const {
    const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
    json::Value stats = {{"pid", ::getpid()}, {"uptime_ms", age.count()}, {"ready", ready.load()}};
    stats["connections"] = {{"accepted", counters.accepted.load()},
                            {"open", counters.open.load()},
                            {"of_fake", counters.of_fake.load()},
                            {"refused", counters.refused.load()}};
    stats["requests"] = {{"total", counters.requests.load()},
                         {"reused", counters.reused.load()},
                         {"inference", counters.inference.load()},
                         {"in_flight", counters.in_flight.load()},
                         {"in_flight_max", counters.in_flight_max.load()},
                         {"answered", counters.answered.load()},
                         {"cancelled", counters.cancelled.load()},
                         {"cancels_ignored", counters.cancels_ignored.load()},
                         {"faults", counters.faults.load()},
                         {"tokens", counters.tokens.load()},
                         {"prompt_tokens", counters.prompt_tokens.load()}};
    json::Value paths = json::Value::object();
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [path, count] : by_path_) {
            paths[path] = count;
        }
    }
    stats["by_path"] = std::move(paths);
    return stats;
}

void die(std::int64_t signal) {
    std::fflush(stdout);
    // A handler or a mask must not soften it.
    std::signal(static_cast<int>(signal), SIG_DFL);
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_UNBLOCK, &all, nullptr);
    ::kill(::getpid(), static_cast<int>(signal));
    // Another thread may be the one that takes it.
    while (true) {
        ::pause();
    }
}

}  // namespace trilane::fake_lane
