#include "access/door.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

namespace trilane::access {

struct Visit::Counter {
    std::atomic<std::uint32_t> running{0};
};

Visit::~Visit() {
    if (counter_ != nullptr) {
        counter_->running.fetch_sub(1, std::memory_order_relaxed);
    }
}

Visit::Visit(Visit&& other) noexcept
    : key_(std::move(other.key_)), counter_(std::exchange(other.counter_, nullptr)) {}

Visit& Visit::operator=(Visit&& other) noexcept {
    std::swap(key_, other.key_);
    std::swap(counter_, other.counter_);
    return *this;
}

const std::string& Visit::name() const {
    static const std::string kNobody;
    return key_ != nullptr ? key_->name : kNobody;
}

bool Visit::is_admin() const {
    return key_ == nullptr || key_->admin;
}

bool Visit::may_use_model(std::string_view id) const {
    return key_ == nullptr || allows(key_->models, id);
}

bool Visit::may_use_lane(std::string_view lane) const {
    return key_ == nullptr || allows(key_->lanes, lane);
}

const std::vector<std::string>& Visit::lanes() const {
    static const std::vector<std::string> kAll;
    return key_ != nullptr ? key_->lanes : kAll;
}

Door::Entry Door::entry_of(Key key) {
    Entry entry;
    entry.tokens = key.requests_per_minute;
    entry.counter = std::make_shared<Visit::Counter>();
    entry.key = std::make_shared<const Key>(std::move(key));
    return entry;
}

Door::Door(std::string master, KeyRing ring) {
    if (!master.empty()) {
        Key key;
        key.name = "default";
        key.digest = digest_of(master);
        key.admin = true;
        master_ = entry_of(std::move(key));
        asks_ = true;
    }
    replace(std::move(ring));
}

void Door::replace(KeyRing ring) {
    const std::scoped_lock lock(mutex_);
    std::map<std::string, Entry, std::less<>> fresh;
    for (const Key& key : ring.keys()) {
        Entry entry = entry_of(key);
        const auto old = entries_.find(key.digest);
        if (old != entries_.end() && old->second.key->name == key.name) {
            entry.counter = old->second.counter;
            entry.tokens = std::min(entry.tokens, old->second.tokens);
            entry.filled = old->second.filled;
        }
        fresh.emplace(key.digest, std::move(entry));
    }
    entries_ = std::move(fresh);
    asks_ = asks_ || ring.has_file() || !entries_.empty();
}

bool Door::is_open() const {
    const std::scoped_lock lock(mutex_);
    return !asks_;
}

namespace {

Answer refused(unsigned status, std::string message, std::uint32_t retry_after_s = 0) {
    Answer answer;
    answer.status = status;
    answer.message = std::move(message);
    answer.retry_after_s = retry_after_s;
    return answer;
}

}  // namespace

Answer Door::knock(std::string_view sent, bool counts, Time now, std::int64_t now_unix_s,
                   bool within) {
    const std::string digest = sent.size() <= kKeyBytesMax ? digest_of(sent) : std::string();
    const std::scoped_lock lock(mutex_);
    if (!asks_) {
        return {};
    }
    if (master_.key == nullptr && entries_.empty()) {
        return refused(401,
                       "this server asks for an API key and there is none; its owner makes one "
                       "with `trilane key add NAME`");
    }
    // What is compared and looked up are digests: their time tells nothing of the key.
    Entry* entry = nullptr;
    if (master_.key != nullptr && equal_in_constant_time(master_.key->digest, digest)) {
        entry = &master_;
    } else if (const auto found = entries_.find(digest); found != entries_.end()) {
        entry = &found->second;
    }
    if (entry == nullptr) {
        return refused(401,
                       "this server asks for an API key: send the header 'Authorization: Bearer "
                       "KEY' with the right one");
    }
    const Key& key = *entry->key;
    if (key.expires_unix_s && now_unix_s >= *key.expires_unix_s) {
        return refused(401,
                       fmt::format("the API key '{}' has expired; ask for a new one", key.name));
    }
    if (counts && key.requests_per_minute != 0) {
        constexpr double kSecondsPerMinute = 60;
        const double rate = key.requests_per_minute / kSecondsPerMinute;
        const double waited = entry->filled == Time()
                                  ? 0
                                  : std::chrono::duration<double>(now - entry->filled).count();
        entry->tokens = std::min<double>(key.requests_per_minute, entry->tokens + waited * rate);
        entry->filled = now;
        if (entry->tokens < 1) {
            const double wait_s = (1 - entry->tokens) / rate;
            return refused(429,
                           fmt::format("the API key '{}' may make {} requests a minute; try again "
                                       "later",
                                       key.name, key.requests_per_minute),
                           static_cast<std::uint32_t>(std::max(1.0, std::ceil(wait_s))));
        }
    }
    Answer answer;
    if (counts) {
        if (!within && key.concurrent != 0 &&
            entry->counter->running.load(std::memory_order_relaxed) >= key.concurrent) {
            return refused(429,
                           fmt::format("the API key '{}' may have {} requests at once; wait until "
                                       "one of them has ended",
                                       key.name, key.concurrent),
                           1);
        }
        if (key.requests_per_minute != 0) {
            entry->tokens -= 1;
        }
        if (!within) {
            entry->counter->running.fetch_add(1, std::memory_order_relaxed);
            answer.visit.counter_ = entry->counter;
        }
    }
    answer.visit.key_ = entry->key;
    return answer;
}

}  // namespace trilane::access
