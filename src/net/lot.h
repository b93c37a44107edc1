// Lot: the connections of one client on one loop, the calls that wait for one of them, and the
// timer of them all. PendingCall: one call. Inside of Client; not for other modules.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "net/attendance.h"
#include "net/client.h"
#include "net/loop.h"
#include "net/permits.h"
#include "net/tls.h"

namespace trilane::net {

class Link;
class Lot;

/// What all lots of one client share. Read-only but for the counters and the permits.
struct ClientShared {
    ClientShared(Target to, const ClientLimits& within, std::size_t loops);

    const Target target;
    const ClientLimits limits;
    const std::string name;       ///< the target's text, for messages
    const std::string host_line;  ///< "Host: …\r\n"
    std::unique_ptr<TlsClient> tls;
    Status tls_state;  ///< why there is no `tls` though the target wants it
    Permits permits;
    std::vector<std::weak_ptr<Lot>> lots;
    std::atomic<std::uint64_t> opened_total = 0;
    std::atomic<std::uint64_t> reused_total = 0;
};

/// One call: from send() to on_end(). **Threads:** cancel() any; the rest its loop's.
class PendingCall final : public Call, public std::enable_shared_from_this<PendingCall> {
public:
    PendingCall(Lot& lot, Outgoing request, std::shared_ptr<AnswerListener> listener);

    void cancel() override;
    [[nodiscard]] bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

    void hear_head(AnswerHead head);
    void hear_body(std::string_view bytes);
    void end(Status status);

    Outgoing request;
    Link* link = nullptr;  ///< that works on it
    bool sent_again = false;
    Clock::time_point waits_until;  ///< for a connection

private:
    std::shared_ptr<AnswerListener> listener_;
    std::atomic<bool> cancelled_ = false;
    std::mutex mutex_;
    Lot* lot_;  // null once ended; changed under the mutex, by the loop
};

/// **Threads:** the loop's, except where a function says otherwise.
class Lot : public std::enable_shared_from_this<Lot> {
public:
    Lot(ClientShared& shared, Loop& loop, std::size_t index,
        std::shared_ptr<Attendance> attendance);

    /// Finds a connection for the call, or lets it wait. Never calls its listener at once.
    void place(const std::shared_ptr<PendingCall>& call);
    void cancel(PendingCall& call);
    /// Ends every call with `cancelled` and closes every connection. **Threads:** any.
    void shut_down();

    // For the links.
    /// `link` can take the next call.
    void on_free(const std::shared_ptr<Link>& link);
    /// `link` is connected: its call, if it still has one, is its own now.
    void on_open(const std::shared_ptr<Link>& link);
    /// `link` is closed, and the next call may have its permit.
    void on_closed(const std::shared_ptr<Link>& link);
    /// `link` is closed, and a new one takes its permit to send the call again.
    void on_stale(const std::shared_ptr<Link>& link, const std::shared_ptr<PendingCall>& call);
    /// Has check() called at that time or a little later.
    void watch(Clock::time_point deadline);

    ClientShared& shared() { return shared_; }
    Loop& loop() { return loop_; }  ///< **Threads:** any.

    bool answers_in_a_hurry = false;  ///< the last answer began within kHurry

private:
    void open_link(const std::shared_ptr<PendingCall>& call);
    void forget_idle(const std::shared_ptr<Link>& link);
    void end_soon(const std::shared_ptr<PendingCall>& call, Status status);
    std::shared_ptr<PendingCall> next_connecting();
    std::shared_ptr<PendingCall> next_waiting();
    void use_permit();
    void pass_permit_on();
    void make_room();
    void sweep();
    void close_down();

    Presence presence_;  // first: see Presence
    ClientShared& shared_;
    Loop& loop_;
    const std::size_t index_;
    bool shut_ = false;
    Timer timer_;
    Clock::time_point watched_until_ = Clock::time_point::max();
    std::unordered_set<std::shared_ptr<Link>> links_;
    std::deque<std::shared_ptr<Link>> opening_;
    std::vector<std::shared_ptr<Link>> idle_;  // the last one was used last
    std::deque<std::shared_ptr<PendingCall>> waiting_;
};

}  // namespace trilane::net
