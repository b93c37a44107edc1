// The logs of the daemon and of its lanes as one sequence, and its WebSocket: a snapshot, then
// every line as it comes, in the shape that Lemonade's clients know.
#pragma once

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

#include "gateway/desk.h"
#include "os/log_ring.h"
#include "plane/service.h"

namespace trilane::gateway {

inline constexpr std::size_t kJournalEntriesMax = 5000;
inline constexpr std::size_t kJournalBytesMax = 2U << 20U;

struct JournalEntry {
    std::uint64_t seq = 0;  ///< counts from 1 over the daemon's life
    std::int64_t unix_ms = 0;
    std::string_view severity;  ///< "Info", "Warning" …
    std::string tag;            ///< the lane, or "trilane"
    std::string text;
};

/// Numbers the lines of several rings through, oldest first as far as they were there together.
/// Bounded: the oldest go. **Threads:** any.
class LogJournal {
public:
    /// `own` is what the daemon itself prints; null = nothing.
    explicit LogJournal(std::shared_ptr<os::LogRing> own) : own_(std::move(own)) {}

    /// Takes over what the rings have got. Between two collects at least kCollectMin pass.
    void collect(const plane::Service& service);
    /// Entries after `seq`, oldest first, at most `entries_max` of the newest ones.
    [[nodiscard]] std::vector<JournalEntry> after(std::uint64_t seq, std::size_t entries_max) const;
    /// The last number that was given; 0 = none.
    [[nodiscard]] std::uint64_t last_seq() const;

private:
    static constexpr std::chrono::milliseconds kCollectMin{50};
    void take_lines(const os::LogRing& ring, const std::string& tag,
                    std::vector<JournalEntry>& fresh);
    void append(JournalEntry entry);

    const std::shared_ptr<os::LogRing> own_;
    mutable std::mutex mutex_;
    std::chrono::steady_clock::time_point collected_{};
    std::map<std::string, std::uint64_t> taken_;  // by tag: the last line's number
    std::deque<JournalEntry> entries_;
    std::size_t bytes_ = 0;
    std::uint64_t last_seq_ = 0;
};

/// {"seq", "timestamp", "severity", "tag", "line"}
std::string journal_entry_json(const JournalEntry& entry);

/// What a client's message asks for: the number after which entries are wanted.
/// **Errors:** invalid.
Result<std::uint64_t> parse_subscription(std::string_view message);

void open_logs_stream(Desk& desk, Call call);

}  // namespace trilane::gateway
