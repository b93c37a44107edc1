#include "gateway/logs_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "gateway/socket_opening.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::gateway {
namespace {

constexpr std::string_view kOwnTag = "trilane";
constexpr std::size_t kEntryOverheadBytes = 64;
constexpr std::size_t kSubscriptionBytesMax = 4U << 10U;
/// Beyond this much unread, entries wait in the journal, which may lose them.
constexpr std::size_t kUnreadBytesMax = 256U << 10U;
constexpr std::size_t kEntriesPerTickMax = 1000;
/// Between two looks at whether the client's key still holds.
constexpr std::chrono::seconds kKnockInterval{1};

/// "warning rest of the line" → its severity, and the line without the word.
std::string_view take_level(std::string_view& line) {
    constexpr std::pair<std::string_view, std::string_view> kLevels[] = {
        {"trace ", "Trace"},     {"debug ", "Debug"}, {"info ", "Info"},
        {"warning ", "Warning"}, {"error ", "Error"}, {"critical ", "Fatal"}};
    for (const auto& [word, severity] : kLevels) {
        if (line.starts_with(word)) {
            line.remove_prefix(word.size());
            return severity;
        }
    }
    return "Info";
}

/// Engines print everything to standard error; only their own words tell.
std::string_view severity_in(std::string_view line) {
    const auto has = [&](std::string_view word) {
        return line.find(word) != std::string_view::npos;
    };
    if (has("error:") || has("ERROR") || has("Error:")) {
        return "Error";
    }
    return has("warning:") || has("WARN") || has("Warning:") ? "Warning" : "Info";
}

std::string time_text(std::int64_t unix_ms) {
    const std::time_t s = static_cast<std::time_t>(unix_ms / 1000);
    std::tm local{};
    ::localtime_r(&s, &local);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}", local.tm_year + 1900,
                       local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec,
                       unix_ms % 1000);
}

/// One client of the stream. **Threads:** the socket's.
class LogsSocket final : public net::WebSocketListener {
public:
    LogsSocket(Desk& desk, std::string key) : desk_(desk), key_(std::move(key)) {}

    void on_open(std::shared_ptr<net::WebSocketWriter> writer) override {
        writer_ = std::move(writer);
    }

    void on_message(std::string_view message, bool text) override {
        if (!may_stay()) {
            return;
        }
        const auto after = text ? parse_subscription(message)
                                : fail(Fault::invalid, "send logs.subscribe as a JSON text");
        if (!after) {
            say_error(after.error().message);
        } else if (writer_->waiting_bytes() > kUnreadBytesMax) {
            say_error("read what was sent before you subscribe again");
        } else {
            send_snapshot(*after);
        }
    }

    void on_tick() override {
        if (!may_stay() || !subscribed_) {
            return;
        }
        LogJournal& journal = desk_.journal();
        journal.collect(desk_.service());
        if (writer_->waiting_bytes() > kUnreadBytesMax) {
            return;
        }
        auto entries = journal.after(last_seq_, kJournalEntriesMax);
        entries.resize(std::min(entries.size(), kEntriesPerTickMax));
        for (const JournalEntry& entry : entries) {
            if (writer_->waiting_bytes() > kUnreadBytesMax) {
                return;
            }
            writer_->send(R"({"type":"logs.entry","entry":)" + journal_entry_json(entry) + "}");
            last_seq_ = entry.seq;
        }
    }

    void on_close() override {}

private:
    /// Whether the key still holds. False, and the socket closes, when it does not.
    bool may_stay() {
        const auto now = std::chrono::steady_clock::now();
        if (now - knocked_ < kKnockInterval) {
            return true;
        }
        knocked_ = now;
        if (desk_.still_administers(key_)) {
            return true;
        }
        writer_->close(net::SocketClose::refused, "the API key does not hold any more");
        return false;
    }

    void send_snapshot(std::uint64_t after) {
        LogJournal& journal = desk_.journal();
        journal.collect(desk_.service());
        // A number from before the daemon was started again says nothing here.
        const std::uint64_t from = after > journal.last_seq() ? 0 : after;
        const auto entries = journal.after(from, kJournalEntriesMax);
        std::string out = R"({"type":"logs.snapshot","entries":[)";
        for (const JournalEntry& entry : entries) {
            out += out.ends_with('[') ? "" : ",";
            out += journal_entry_json(entry);
        }
        writer_->send(out + "]}");
        last_seq_ = entries.empty() ? from : entries.back().seq;
        subscribed_ = true;
    }

    void say_error(std::string_view message) {
        std::string out = R"({"type":"error","error":{"message":)";
        json::append_string(out, message);
        writer_->send(out + R"(,"type":"invalid_request_error"}})");
    }

    Desk& desk_;  // outlives the server, and with it the socket
    const std::string key_;
    std::shared_ptr<net::WebSocketWriter> writer_;
    std::chrono::steady_clock::time_point knocked_ = std::chrono::steady_clock::now();
    bool subscribed_ = false;
    std::uint64_t last_seq_ = 0;
};

}  // namespace

void LogJournal::take_lines(const os::LogRing& ring, const std::string& tag,
                            std::vector<JournalEntry>& fresh) {
    std::uint64_t& taken = taken_[tag];
    for (os::LogLine& line : ring.lines(taken)) {
        taken = line.number;
        std::string_view text = line.text;
        const std::string_view severity = tag == kOwnTag ? take_level(text) : severity_in(text);
        fresh.push_back({0, line.unix_ms, severity, tag, std::string(text)});
    }
}

void LogJournal::collect(const plane::Service& service) {
    const std::scoped_lock lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (last_seq_ > 0 && now - collected_ < kCollectMin) {
        return;
    }
    collected_ = now;
    std::vector<JournalEntry> fresh;
    if (own_ != nullptr) {
        take_lines(*own_, std::string(kOwnTag), fresh);
    }
    for (const plane::LaneView& lane : service.view().lanes) {
        if (const auto ring = service.log_of(lane.name)) {
            take_lines(**ring, lane.name, fresh);
        }
    }
    std::ranges::stable_sort(fresh, {}, &JournalEntry::unix_ms);
    for (JournalEntry& entry : fresh) {
        append(std::move(entry));
    }
}

void LogJournal::append(JournalEntry entry) {
    const auto bytes_of = [](const JournalEntry& one) {
        return one.text.size() + one.tag.size() + kEntryOverheadBytes;
    };
    entry.seq = ++last_seq_;
    bytes_ += bytes_of(entry);
    entries_.push_back(std::move(entry));
    while (entries_.size() > kJournalEntriesMax ||
           (bytes_ > kJournalBytesMax && entries_.size() > 1)) {
        bytes_ -= bytes_of(entries_.front());
        entries_.pop_front();
    }
}

std::vector<JournalEntry> LogJournal::after(std::uint64_t seq, std::size_t entries_max) const {
    const std::scoped_lock lock(mutex_);
    auto begin = std::ranges::upper_bound(entries_, seq, {}, &JournalEntry::seq);
    if (static_cast<std::size_t>(entries_.end() - begin) > entries_max) {
        begin = entries_.end() - static_cast<std::ptrdiff_t>(entries_max);
    }
    return {begin, entries_.end()};
}

std::uint64_t LogJournal::last_seq() const {
    const std::scoped_lock lock(mutex_);
    return last_seq_;
}

std::string journal_entry_json(const JournalEntry& entry) {
    const std::string time = time_text(entry.unix_ms);
    std::string out = fmt::format(R"({{"seq":{},"timestamp":"{}","severity":"{}","tag":)",
                                  entry.seq, time, entry.severity);
    json::append_string(out, entry.tag);
    out += R"(,"line":)";
    json::append_string(
        out, fmt::format("{} [{}] ({}) {}", time, entry.severity, entry.tag, entry.text));
    return out + "}";
}

Result<std::uint64_t> parse_subscription(std::string_view message) {
    TRILANE_TRY(const json::Value value, json::parse(message));
    if (!value.is_object() || value.value("type", json::Value()) != "logs.subscribe") {
        return fail(Fault::invalid,
                    R"(type: send {{"type": "logs.subscribe", "after_seq": null}} to subscribe)");
    }
    const json::Value after = value.value("after_seq", json::Value());
    if (after.is_null()) {
        return std::uint64_t{0};
    }
    if (!after.is_number_integer() || (!after.is_number_unsigned() && after < 0)) {
        return fail(Fault::invalid, "after_seq: send the number of an entry, or null for all");
    }
    return after.get<std::uint64_t>();
}

void open_logs_stream(Desk& desk, Call call) {
    open_socket(desk, call, kSubscriptionBytesMax,
                std::make_shared<LogsSocket>(desk, socket_key_sent(call.request)));
}

}  // namespace trilane::gateway
