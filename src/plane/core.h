// Plane::Core: the state of the plane and what happens to it. Inside of Plane; in six sources:
// core.cpp gives requests to residents, fallback.cpp says on which lane and where to when that will
// not have them, orders.cpp takes what administrators and files say, loading.cpp moves models in
// and out, deciding.cpp is the thread that says which, observing.cpp learns what they take.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "os/worker_pool.h"
#include "plane/plane.h"
#include "plane/seat.h"

namespace trilane::plane {

/// Loads and unloads that go on at once; more wait.
inline constexpr std::size_t kLoadsAtOnce = 8;
inline constexpr std::size_t kUnloadsAtOnce = 8;
/// Threads that hand requests on where that takes time (templates, tokens), not on a resident's.
inline constexpr std::size_t kDispatchThreads = 2;
inline constexpr std::size_t kJobsWaitingMax = 4096;

struct LaneState {
    std::shared_ptr<lane::Lane> lane;
    WaitingLine line;
    lane::ResidentSnapshot retired;  // totals of what has gone
    std::uint64_t loads_total = 0;
    std::uint64_t load_failures_total = 0;
    std::uint64_t evictions_total = 0;
    std::uint64_t lost_total = 0;
};

/// What to do when the mutex is free again, in order.
using Actions = std::vector<std::function<void()>>;

/// What is told to who waits when the daemon ends.
inline Error stopping_error() {
    return {Fault::unavailable, "the daemon is stopping; try again in a moment"};
}

class Plane::Core : public std::enable_shared_from_this<Plane::Core> {
public:
    Core(PlaneOptions options, std::vector<std::shared_ptr<lane::Lane>> lanes);

    void start();
    void stop(std::uint32_t patience_ms);

    void submit(job::Request request, job::EventSink sink, const CancelToken& cancel);
    void notice_cancel();
    void load(LoadAsk ask, std::function<void(Status)> done);
    Status unload(std::string_view model);
    Status keep(std::string_view model, std::optional<std::chrono::milliseconds> time);
    void catalogue_changed();
    void memory_changed() { wake(); }
    void set_policies(Policies policies, LineLimits line);

    [[nodiscard]] std::shared_ptr<const ModelTable> table() const;
    [[nodiscard]] job::ModelCard card_of(const Model& model) const;
    [[nodiscard]] Line line_of(std::string_view model) const;
    [[nodiscard]] std::chrono::seconds next_try_in(std::string_view model) const;
    [[nodiscard]] View view() const;
    [[nodiscard]] Result<std::shared_ptr<os::LogRing>> log_of(std::string_view lane) const;

private:
    using SeatKey = std::pair<std::size_t, std::string>;
    struct Lease;

    // core.cpp
    void dispatch(Waiting waiting, const std::shared_ptr<Seat>& seat, bool here, Actions& actions);
    void dispatch_waiting(std::size_t lane, Actions& actions);
    void on_event(const std::shared_ptr<Lease>& lease, job::Event event);
    void release(const std::shared_ptr<Lease>& lease, bool answered);
    bool take_back(const std::shared_ptr<Lease>& lease);
    /// A resident whose figures are asked for once the mutex is free: that may read files.
    struct Asked {
        std::size_t lane = 0;
        std::size_t index = 0;  ///< among LaneView::residents
        std::shared_ptr<lane::Resident> resident;
    };
    LaneView lane_view(std::size_t lane, std::vector<Asked>& asked) const;

    // fallback.cpp
    std::optional<std::size_t> choose_lane(const Meaning& meaning,
                                           const std::vector<std::string>& allowed = {},
                                           const std::vector<Refusal>& refusals = {}) const;
    [[nodiscard]] Error no_lane(const Meaning& meaning,
                                const std::vector<std::string>& allowed) const;
    Status admit(Waiting waiting, const Meaning& meaning, Actions& actions);
    Status place(Waiting& waiting, std::size_t lane, bool here, Actions& actions);
    std::optional<std::size_t> pass_on(Waiting waiting, Refusal refusal, Actions& actions);
    std::optional<std::size_t> pass_on(Waiting waiting, const Seat& seat, Actions& actions);
    void pass_on(Ask ask, Refusal refusal, Actions& actions);
    void pass_line_on(std::size_t lane, const std::string& model, const Error& error,
                      Actions& actions);
    void pass_on_who_can(const Seat& seat, Actions& actions);
    [[nodiscard]] bool should_go(const Waiting& waiting, const Seat& seat) const;
    void refuse(const Want& want, const Error& error, Actions& actions);
    [[nodiscard]] Error verdict(const std::string& model,
                                const std::vector<Refusal>& refusals) const;

    // orders.cpp
    void remake_table();
    void pin_seats();
    [[nodiscard]] bool may_pin(const Model& model, std::size_t lane) const;
    Status understand(const LoadAsk& asked, Ask& ask) const;
    [[nodiscard]] std::uint32_t context_most(const Model& model, std::size_t lane) const;
    void take_order(const LoadAsk& asked, Ask& ask);
    void withdraw_order(const Ask& ask, Actions& actions);
    bool unpin(const std::string& model);
    bool forget_context(const std::string& model);
    struct Named {
        std::string model;
        std::optional<std::size_t> lane;
    };
    [[nodiscard]] Result<Named> named(std::string_view name) const;
    void send_away(const std::shared_ptr<Seat>& seat, Actions& actions);
    void drop_vanished();
    std::vector<Ask> take_asks(const std::function<bool(const Want&)>& which);
    bool give_up_waiting(const std::string& model, std::optional<std::size_t> lane,
                         Actions& actions);

    // loading.cpp
    void begin_load(const std::shared_ptr<Seat>& seat, Actions& actions);
    void run_load(const std::shared_ptr<Seat>& seat);
    void finish_load(const std::shared_ptr<Seat>& seat,
                     Result<std::shared_ptr<lane::Resident>> result, double ms);
    bool set_state(Seat& seat, lane::State state) const;
    void fail_seat(const std::shared_ptr<Seat>& seat, Error error, Actions& actions);
    void on_lost(const std::shared_ptr<Seat>& seat, const Error& error);
    void begin_unload(const std::shared_ptr<Seat>& seat, Actions& actions);
    void run_unload(const std::shared_ptr<Seat>& seat, std::uint32_t patience_ms);
    void room_was_made(const std::shared_ptr<Seat>& seat, Actions& actions);
    void retire_totals(Seat& seat, const lane::ResidentSnapshot& last);
    void stop_pools();
    void clear_seats();
    void stop_residents(const std::vector<std::shared_ptr<Seat>>& seats, std::uint32_t patience_ms);
    void post(const std::unique_ptr<os::WorkerPool>& pool, std::function<void()> work) const;

    // observing.cpp
    [[nodiscard]] std::vector<plan::Occupant> occupants() const;
    void observe(Time now, Time& due);
    void observe(const std::shared_ptr<Seat>& seat, const plan::Observed& observed,
                 std::uint32_t answers);
    void keep_observations();
    [[nodiscard]] plan::LoadKind load_kind(const Seat& seat) const;
    [[nodiscard]] plan::Need corrected(plan::Need need, std::size_t lane, const std::string& model,
                                       plan::KvType kv) const;

    // deciding.cpp
    struct Choice {
        bool settled = false;  ///< go, or refuse with `refusal`
        std::vector<std::shared_ptr<Seat>> evict;
        plan::Need need;
        std::vector<std::uint64_t> claim;
        std::optional<Error> refusal;
        std::vector<std::shared_ptr<Seat>> drain;  ///< not settled: these must end first
    };
    void decide_forever();
    Time tick();
    void refuse_dead(Time now, Actions& actions);
    void unload_idle(Time now, Time& due, Actions& actions);
    std::vector<Want> wants(Time now, Time& due, Actions& actions);
    [[nodiscard]] bool is_missing(std::size_t lane, const std::string& model, Time now,
                                  Time& due) const;
    void look_at_asks(std::vector<Want>& out, Time now, Time& due, Actions& actions);
    std::optional<std::size_t> lane_for_policy(const Model& model, Time now, Time& due);
    void prepare(const std::vector<Want>& wants);
    void decide(const Want& want, Time now, Time& due, Actions& actions);
    void seat_model(const Want& want, const Model& model, Choice choice, Actions& actions);
    void reload(const Want& want, const Model& model, const std::shared_ptr<Seat>& old, Time now,
                Time& due, Actions& actions);
    Choice choose(const Want& want, const Model& model, Time now, Time& due) const;
    bool choose_place(const Want& want, const plan::Need& need, bool may_evict, bool wait_for_busy,
                      Time now, Time& due, Choice& choice) const;
    [[nodiscard]] bool may_leave(const Seat& seat, const Want& want, Time now, Time& due) const;
    [[nodiscard]] std::vector<plan::Holding> holdings(const Want& want, bool potential, Time now,
                                                      Time& due) const;
    [[nodiscard]] std::optional<std::vector<std::shared_ptr<Seat>>> crowded_out(const Want& want,
                                                                                bool potential,
                                                                                Time now,
                                                                                Time& due) const;
    [[nodiscard]] std::vector<std::pair<plan::Need, bool>> offers_of(const Want& want,
                                                                     const Model& model,
                                                                     const plan::Need& full) const;
    [[nodiscard]] static plan::Need least_need(const Model& model, const plan::Need& full);
    [[nodiscard]] Error refusal_of(const Want& want, const plan::Need& least) const;
    void wake();

    void log(std::string_view line) const;
    std::shared_ptr<Seat> seat_of(std::size_t lane, std::string_view model) const;

    PlaneOptions options_;

    mutable std::mutex mutex_;  // guards all below down to the threads; short sections only
    std::vector<LaneState> lanes_;
    std::map<SeatKey, std::shared_ptr<Seat>> seats_;
    std::shared_ptr<const ModelTable> table_;
    struct Listing {
        std::vector<catalog::Entry> entries;
        FurtherNames names;
    };
    std::shared_ptr<const Listing> listing_;  // of the catalogue, as last read
    Orders orders_;
    std::uint64_t version_ = 0;        // of what the table is made from
    std::uint64_t table_version_ = 0;  // of what it was made from
    std::vector<Ask> asks_;            // administrators', until there is a seat for them
    plan::Memory memory_;              // as of the last decision
    std::map<SeatKey, Result<plan::Need>> needs_;
    std::vector<plan::Observation> observations_;
    bool unkept_ = false;              // something of them is not written down
    std::set<std::string> preloaded_;  // models that were loaded once, or sent away
    std::set<std::string> unpinned_;  // sent away: the file's pin counts when they are loaded again
    std::map<std::string, std::set<std::size_t>> passed_;  // of pins, preloads: lanes tried in vain
    std::set<SeatKey> refused_;                            // of these: told about once
    bool stopping_ = false;
    bool awake_ = false;
    std::condition_variable wake_;

    std::mutex keeping_;  // held across on_observation(); before mutex_
    std::mutex reading_;  // held across catalogue(), so that older news never follow; before mutex_
    std::thread decider_;
    // Null once the plane has stopped. Guarded by the mutex, but destroyed without it.
    std::unique_ptr<os::WorkerPool> dispatchers_;
    std::unique_ptr<os::WorkerPool> loaders_;
    std::unique_ptr<os::WorkerPool> unloaders_;
};

}  // namespace trilane::plane
