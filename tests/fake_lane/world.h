// World: what all threads of one fake engine share: its script, its counters, the requests it has
// seen. No sockets.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "json/fwd.h"
#include "script.h"

namespace trilane::fake_lane {

using Clock = std::chrono::steady_clock;

/// How many requests /fake/requests can show, and how much of each body.
inline constexpr std::size_t kRecordedMax = 32;
inline constexpr std::size_t kRecordedBodyBytesMax = std::size_t{64} << 10U;

/// Counters of GET /fake/stats. **Threads:** any.
struct Counters {
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> open{0};
    std::atomic<std::uint64_t> of_fake{0};  ///< connections whose first request was for /fake/
    std::atomic<std::uint64_t> refused{0};  ///< closed without an answer
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> reused{0};  ///< requests that were not their connection's first
    std::atomic<std::uint64_t> inference{0};
    std::atomic<std::uint64_t> in_flight{0};  ///< inference requests
    std::atomic<std::uint64_t> in_flight_max{0};
    std::atomic<std::uint64_t> answered{0};  ///< inference requests answered to the end
    std::atomic<std::uint64_t> cancelled{0};
    std::atomic<std::uint64_t> cancels_ignored{0};
    std::atomic<std::uint64_t> faults{0};  ///< answers spoiled on purpose
    std::atomic<std::uint64_t> tokens{0};
    std::atomic<std::uint64_t> prompt_tokens{0};

    /// Raises `in_flight` and its maximum.
    void enter();
};

/// One request as it came.
struct Recorded {
    std::uint64_t number = 0;
    std::string head;  ///< request line and headers
    std::string body;
};

class World {
public:
    World(std::vector<std::string> arguments, Script script);

    [[nodiscard]] std::shared_ptr<const Script> script() const;
    void set_script(Script script);
    /// Whether the process shall act as if it had been stopped.
    [[nodiscard]] bool is_frozen() const;

    /// Counts a request and keeps its text.
    void record(std::string_view path, std::string_view head, std::string_view body);
    [[nodiscard]] json::Value recorded() const;
    /// {"connections", "requests", …}
    [[nodiscard]] json::Value stats() const;

    const std::vector<std::string> arguments;
    const Clock::time_point started = Clock::now();
    std::atomic<bool> ready{false};
    Counters counters;
    std::atomic<std::uint64_t> answer_numbers{0};  ///< for the ids of answers

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Script> script_;
    std::map<std::string, std::uint64_t, std::less<>> by_path_;
    std::deque<Recorded> recorded_;
    std::uint64_t recorded_total_ = 0;
};

/// Milliseconds of a script as a duration.
inline std::chrono::milliseconds ms(std::int64_t count) {
    return std::chrono::milliseconds(count);
}

/// Ends this process the hard way; standard output is flushed before.
[[noreturn]] void die(std::int64_t signal);

}  // namespace trilane::fake_lane
