// Ledger: how much of which model, lane and API key was used, summed by the hour in an SQLite file.
// Numbers only; nothing of what was asked or answered.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trilane::usage {

/// Rows that wait in memory to be written; beyond them, the least is lost: the newest row's names.
inline constexpr std::size_t kRowsWaitingMax = 10'000;
inline constexpr std::size_t kNameBytesMax = 256;

/// One request's use, or the sum of many.
struct Sums {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;  ///< of them, those that ended badly
    std::uint64_t prompt_tokens = 0;
    std::uint64_t cached_tokens = 0;
    std::uint64_t completion_tokens = 0;
    double prompt_ms = 0;     ///< reading prompts
    double predicted_ms = 0;  ///< generating
    double duration_ms = 0;   ///< requests, waiting included
    void add(const Sums& other);
};

/// Whose use: what rows are told apart by.
struct Names {
    std::string key;  ///< "" = no key was asked for
    std::string model;
    std::string lane;
    std::string subject;  ///< "chat", "embeddings" …
    auto operator<=>(const Names&) const = default;
};

struct Options {
    std::string path;
    std::chrono::milliseconds write_interval{5'000};
    std::uint32_t days_kept = 400;
    std::function<void(std::string_view)> log;  ///< hears why a write failed
};

/// Sums in memory, and writes on a thread of its own. **Threads:** any.
class Ledger {
public:
    /// **Errors:** unavailable: the file cannot be opened or made; corrupt: it is no such file.
    static Result<std::unique_ptr<Ledger>> open(Options options);
    /// Writes what is left.
    ~Ledger();
    Ledger(const Ledger&) = delete;
    Ledger& operator=(const Ledger&) = delete;

    /// Never waits for the disk.
    void note(const Names& names, const Sums& sums, std::int64_t unix_s);
    /// Writes what has been noted. **Errors:** unavailable.
    Status flush();

private:
    class State;
    explicit Ledger(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// What a listing groups by.
enum class By { key, model, lane, subject, day, hour };
/// "key", "model" …; absent for anything else.
const char* by_name(By by);

struct Row {
    std::vector<std::string> group;  ///< one text for each By that was asked for
    Sums sums;
};

/// The sums of a file since a time, grouped; most completion tokens first, days and hours in order.
/// **Errors:** not_found: there is no file yet; corrupt, unavailable.
Result<std::vector<Row>> read_usage(const std::string& path, std::int64_t since_unix_s,
                                    const std::vector<By>& by);

}  // namespace trilane::usage
