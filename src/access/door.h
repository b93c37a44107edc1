// Door: who is let in, and how much of it: keys against what was sent, their rates and their
// answers at once. Knows nothing of HTTP but the numbers of its statuses.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "access/key_ring.h"

namespace trilane::access {

class Door;

/// One visitor's stay: counts among the answers at once of its key until it is dropped.
/// **Threads:** one at a time; may move between them. May outlive the door.
class Visit {
public:
    Visit() = default;
    ~Visit();
    Visit(Visit&& other) noexcept;
    Visit& operator=(Visit&& other) noexcept;
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    /// The key's name; "" = nobody was asked for one.
    [[nodiscard]] const std::string& name() const;
    [[nodiscard]] bool is_admin() const;
    [[nodiscard]] bool may_use_model(std::string_view id) const;
    [[nodiscard]] bool may_use_lane(std::string_view lane) const;
    /// Whether every lane is allowed: else a request must name one, or be placed on one.
    [[nodiscard]] const std::vector<std::string>& lanes() const;

private:
    friend class Door;
    struct Counter;
    std::shared_ptr<const Key> key_;    // null = everybody
    std::shared_ptr<Counter> counter_;  // of its answers at once
};

/// What came of knocking.
struct Answer {
    unsigned status = 200;  ///< or 401, 429
    std::string message;    ///< for a person, unless it is 200
    std::uint32_t retry_after_s = 0;
    Visit visit;
};

/// **Threads:** any.
class Door {
public:
    using Time = std::chrono::steady_clock::time_point;

    /// `master`, if not empty, is one more key that may do everything, called "default".
    explicit Door(std::string master = {}, KeyRing ring = {});

    /// Takes over another ring; visits go on under what they were let in with, and rates are kept
    /// for keys of the same name and digest.
    void replace(KeyRing ring);

    /// No key is asked for: there was none from the beginning, nor a file for them. Once there was,
    /// keys are asked for until the door is made anew: who revokes the last one must not let
    /// everybody in.
    [[nodiscard]] bool is_open() const;

    /// `sent` is the key, "" = none was. Where `counts`, it is a request for work: rates apply.
    /// Where it is `within` a visit that counts already, it is not counted at once with that.
    Answer knock(std::string_view sent, bool counts, Time now, std::int64_t now_unix_s,
                 bool within = false);

private:
    struct Entry {
        std::shared_ptr<const Key> key;
        std::shared_ptr<Visit::Counter> counter;
        double tokens = 0;  // of the rate's bucket
        Time filled{};
    };

    static Entry entry_of(Key key);

    mutable std::mutex mutex_;                           // short sections only
    bool asks_ = false;                                  // for a key; never again false
    Entry master_;                                       // without a key when there is none
    std::map<std::string, Entry, std::less<>> entries_;  // by digest
};

}  // namespace trilane::access
