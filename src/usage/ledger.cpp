#include "usage/ledger.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/utf8.h"

namespace trilane::usage {
namespace {

constexpr std::int64_t kHourSeconds = 3'600;
constexpr std::int64_t kDaySeconds = 24 * kHourSeconds;
/// How long another process may hold the file before a write is put off; the last one, when the
/// daemon ends, waits less.
constexpr int kBusyMs = 2'000;
constexpr int kLastBusyMs = 500;
constexpr int kBusyLookMs = 10;
constexpr std::size_t kListedRowsMax = 100'000;

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS usage(
  hour INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL, lane TEXT NOT NULL,
  subject TEXT NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL, prompt_ms REAL NOT NULL, predicted_ms REAL NOT NULL,
  duration_ms REAL NOT NULL,
  PRIMARY KEY(hour, key, model, lane, subject)) WITHOUT ROWID)";

constexpr const char* kUpsert = R"(
INSERT INTO usage VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)
ON CONFLICT(hour, key, model, lane, subject) DO UPDATE SET
  requests = requests + ?6, errors = errors + ?7, prompt_tokens = prompt_tokens + ?8,
  cached_tokens = cached_tokens + ?9, completion_tokens = completion_tokens + ?10,
  prompt_ms = prompt_ms + ?11, predicted_ms = predicted_ms + ?12,
  duration_ms = duration_ms + ?13)";

struct CloseDatabase {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
};
struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

tl::unexpected<Error> failure(const std::string& path, sqlite3* db) {
    const int code = db != nullptr ? sqlite3_errcode(db) : SQLITE_NOMEM;
    const bool corrupt = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
    return fail(corrupt ? Fault::corrupt : Fault::unavailable, "{}: {}{}", path,
                db != nullptr ? sqlite3_errmsg(db) : "no memory",
                corrupt ? "; move the file away to begin a new one" : "");
}

Result<Database> open_database(const std::string& path, int flags) {
    sqlite3* raw = nullptr;
    const int opened = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
    Database db(raw);
    if (opened != SQLITE_OK) {
        return failure(path, db.get());
    }
    sqlite3_busy_timeout(db.get(), kBusyMs);
    return db;
}

Status run(sqlite3* db, const std::string& path, const char* sql) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
        return failure(path, db);
    }
    return {};
}

Result<Statement> prepared(sqlite3* db, const std::string& path, const std::string& sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) {
        return failure(path, db);
    }
    return Statement(raw);
}

void bind(sqlite3_stmt* statement, int at, const std::string& text) {
    sqlite3_bind_text(statement, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
}

void bind(sqlite3_stmt* statement, int at, std::uint64_t value) {
    sqlite3_bind_int64(statement, at, static_cast<sqlite3_int64>(value));
}

std::string clipped(const std::string& text) {
    return utf8_clipped(text, kNameBytesMax);
}

}  // namespace

void Sums::add(const Sums& other) {
    requests += other.requests;
    errors += other.errors;
    prompt_tokens += other.prompt_tokens;
    cached_tokens += other.cached_tokens;
    completion_tokens += other.completion_tokens;
    prompt_ms += other.prompt_ms;
    predicted_ms += other.predicted_ms;
    duration_ms += other.duration_ms;
}

class Ledger::State {
public:
    State(Options options, Database db) : options_(std::move(options)), db_(std::move(db)) {
        sqlite3_busy_handler(db_.get(), &State::try_again, this);
    }
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void start() {
        writer_ = std::thread([this] { write_forever(); });
    }
    void note(const Names& names, const Sums& sums, std::int64_t unix_s);
    Status flush();

private:
    using Rows = std::map<std::pair<std::int64_t, Names>, Sums>;

    /// SQLite asks whether to look again at a file that somebody holds.
    static int try_again(void* state, int looks) {
        const bool last = static_cast<State*>(state)->hurried_.load();
        if (looks * kBusyLookMs >= (last ? kLastBusyMs : kBusyMs)) {
            return 0;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(kBusyLookMs));
        return 1;
    }
    void write_forever();
    Status write(const Rows& rows);
    Status forget_old();

    const Options options_;
    std::mutex database_mutex_;  // held while the file is written
    Database db_;
    std::mutex mutex_;  // short sections only
    std::condition_variable wake_;
    Rows rows_;
    bool stopping_ = false;
    std::atomic<bool> hurried_ = false;  // the same, for who does not hold the mutex
    std::thread writer_;
};

Ledger::State::~State() {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
        hurried_ = true;
        wake_.notify_all();
    }
    if (writer_.joinable()) {
        writer_.join();
    }
}

void Ledger::State::note(const Names& names, const Sums& sums, std::int64_t unix_s) {
    const std::int64_t hour = unix_s / kHourSeconds * kHourSeconds;
    Names kept{clipped(names.key), clipped(names.model), clipped(names.lane),
               clipped(names.subject)};
    const std::scoped_lock lock(mutex_);
    const auto key = std::pair(hour, std::move(kept));
    // A disk that takes nothing must not fill the memory: then only sums go on growing.
    const bool full = rows_.size() >= kRowsWaitingMax && !rows_.contains(key);
    rows_[full ? std::pair(hour, Names{}) : key].add(sums);
}

Status Ledger::State::flush() {
    const std::scoped_lock writing(database_mutex_);
    Rows rows;
    {
        const std::scoped_lock lock(mutex_);
        rows.swap(rows_);
    }
    if (rows.empty()) {
        return {};
    }
    const Status written = write(rows);
    if (!written) {
        const std::scoped_lock lock(mutex_);
        for (const auto& [key, sums] : rows) {
            rows_[key].add(sums);
        }
    }
    return written;
}

Status Ledger::State::write(const Rows& rows) {
    TRILANE_TRY_STATUS(run(db_.get(), options_.path, "BEGIN IMMEDIATE"));
    auto statement = prepared(db_.get(), options_.path, kUpsert);
    Status good = statement ? Status() : tl::unexpected(statement.error());
    for (auto at = rows.begin(); good && at != rows.end(); ++at) {
        const auto& [hour, names] = at->first;
        const Sums& sums = at->second;
        sqlite3_stmt* s = statement->get();
        sqlite3_reset(s);
        sqlite3_bind_int64(s, 1, hour);
        int column = 2;
        for (const std::string* text : {&names.key, &names.model, &names.lane, &names.subject}) {
            bind(s, column++, *text);
        }
        for (const std::uint64_t value : {sums.requests, sums.errors, sums.prompt_tokens,
                                          sums.cached_tokens, sums.completion_tokens}) {
            bind(s, column++, value);
        }
        for (const double ms : {sums.prompt_ms, sums.predicted_ms, sums.duration_ms}) {
            sqlite3_bind_double(s, column++, ms);
        }
        if (sqlite3_step(s) != SQLITE_DONE) {
            good = failure(options_.path, db_.get());
        }
    }
    if (good) {
        good = run(db_.get(), options_.path, "COMMIT");
    }
    if (!good) {
        sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    return good;
}

Status Ledger::State::forget_old() {
    const std::scoped_lock writing(database_mutex_);
    const std::int64_t oldest = std::time(nullptr) - options_.days_kept * kDaySeconds;
    return run(db_.get(), options_.path,
               fmt::format("DELETE FROM usage WHERE hour < {}", oldest).c_str());
}

void Ledger::State::write_forever() {
    bool failing = false;  // told about once
    const auto tell = [&](const Status& status) {
        if (!status && !failing && options_.log) {
            options_.log("usage: " + status.error().message);
        }
        failing = !status;
    };
    tell(forget_old());
    for (;;) {
        std::unique_lock lock(mutex_);
        const bool last =
            wake_.wait_for(lock, options_.write_interval, [this] { return stopping_; });
        lock.unlock();
        tell(flush());
        if (last) {
            return;
        }
    }
}

Ledger::Ledger(std::unique_ptr<State> state) : state_(std::move(state)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(Options options) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(options.path).parent_path(), ignored);
    TRILANE_TRY(Database db,
                open_database(options.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    // Readers do not hold the writer up, and a power cut costs some seconds at most.
    TRILANE_TRY_STATUS(run(db.get(), options.path, "PRAGMA journal_mode=WAL"));
    TRILANE_TRY_STATUS(run(db.get(), options.path, "PRAGMA synchronous=NORMAL"));
    TRILANE_TRY_STATUS(run(db.get(), options.path, kSchema));
    auto state = std::make_unique<State>(std::move(options), std::move(db));
    state->start();
    return std::unique_ptr<Ledger>(new Ledger(std::move(state)));
}

void Ledger::note(const Names& names, const Sums& sums, std::int64_t unix_s) {
    state_->note(names, sums, unix_s);
}

Status Ledger::flush() {
    return state_->flush();
}

const char* by_name(By by) {
    constexpr std::array kNames{"key", "model", "lane", "subject", "day", "hour"};
    return kNames[static_cast<std::size_t>(by)];
}

Result<std::vector<Row>> read_usage(const std::string& path, std::int64_t since_unix_s,
                                    const std::vector<By>& by) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) {
        return fail(Fault::not_found,
                    "{}: nothing has been recorded yet; `trilane serve` records what it answers",
                    path);
    }
    // The WAL's index is shared memory that a reader must be able to write, too.
    TRILANE_TRY(const Database db, open_database(path, SQLITE_OPEN_READWRITE));
    constexpr std::array kColumns{"key",
                                  "model",
                                  "lane",
                                  "subject",
                                  "strftime('%Y-%m-%d', hour, 'unixepoch', 'localtime')",
                                  "strftime('%Y-%m-%d %H:00', hour, 'unixepoch', 'localtime')"};
    std::string columns;
    std::string order;
    for (const By one : by) {
        columns += std::string(kColumns[static_cast<std::size_t>(one)]) + ", ";
        if (one == By::day || one == By::hour) {
            order += fmt::format("{}, ", &one - by.data() + 1);
        }
    }
    std::string sql = fmt::format(
        "SELECT {}sum(requests), sum(errors), sum(prompt_tokens), sum(cached_tokens), "
        "sum(completion_tokens) AS c, sum(prompt_ms), sum(predicted_ms), sum(duration_ms) "
        "FROM usage WHERE hour >= {}",
        columns, since_unix_s / kHourSeconds * kHourSeconds);
    for (std::size_t i = 0; i < by.size(); ++i) {
        sql += fmt::format("{}{}", i == 0 ? " GROUP BY " : ", ", i + 1);
    }
    sql += fmt::format(" HAVING count(*) > 0 ORDER BY {}c DESC LIMIT {}", order, kListedRowsMax);
    TRILANE_TRY(const Statement statement, prepared(db.get(), path, sql));
    std::vector<Row> rows;
    int step = 0;
    while ((step = sqlite3_step(statement.get())) == SQLITE_ROW) {
        sqlite3_stmt* s = statement.get();
        Row& row = rows.emplace_back();
        int column = 0;
        for (std::size_t i = 0; i < by.size(); ++i) {
            const auto* text = sqlite3_column_text(s, column++);
            row.group.emplace_back(text != nullptr ? reinterpret_cast<const char*>(text) : "");
        }
        for (std::uint64_t* value : {&row.sums.requests, &row.sums.errors, &row.sums.prompt_tokens,
                                     &row.sums.cached_tokens, &row.sums.completion_tokens}) {
            *value = static_cast<std::uint64_t>(sqlite3_column_int64(s, column++));
        }
        for (double* ms : {&row.sums.prompt_ms, &row.sums.predicted_ms, &row.sums.duration_ms}) {
            *ms = sqlite3_column_double(s, column++);
        }
    }
    if (step != SQLITE_DONE) {
        return failure(path, db.get());
    }
    return rows;
}

}  // namespace trilane::usage
