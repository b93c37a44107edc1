// Course: one job on its way through an HTTP server, from its first request to its last event:
// answers asked for one after the other, a second try, a call broken off. Part of HttpResident,
// which says when it may begin and looks after it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/result.h"
#include "job/job.h"
#include "lane/upstream/exchange.h"
#include "lane/upstream/rules.h"
#include "net/client.h"

namespace trilane::lane {

class Course;

/// What a course needs of the resident it belongs to. **Threads:** any.
class CourseHome {
public:
    virtual ~CourseHome() = default;
    [[nodiscard]] virtual const upstream::Upstream& upstream() const = 0;
    virtual std::shared_ptr<net::Call> send(upstream::Outgoing request,
                                            std::shared_ptr<net::AnswerListener> listener) = 0;
    /// Bytes have come; `progress`: a piece of an answer is among them.
    virtual void heard(bool progress) = 0;
    /// The last event is about to be sent: counts it.
    virtual void answered(const Course& course, const job::Event& last) = 0;
    /// Its call is over. `broken_off`: by us, so the server may still be at work on it.
    /// `asks_again`: begin() it once more when there is room.
    virtual void gone(const std::shared_ptr<Course>& course, bool broken_off, bool asks_again) = 0;
};

class Course final : public net::AnswerListener, public std::enable_shared_from_this<Course> {
public:
    using Clock = std::chrono::steady_clock;

    /// How long a server may keep a call open behind an answer that is complete.
    static constexpr std::chrono::milliseconds kTailMax{1'000};

    struct Job {
        job::Request request;
        job::EventSink sink;
        CancelToken cancel;
        bool counted = true;  ///< in the resident's figures
    };

    Course(std::shared_ptr<CourseHome> home, Job job);

    /// Asks the server: once, and once more each time that it is gone and asks again. What cannot
    /// be asked fails, and is gone.
    void begin();
    /// The last event of a course that is not with the server.
    void refuse(Error error);
    /// Ends a course that has begun: its last event will be this failure, unless the answer is
    /// complete already. **Threads:** any.
    void end_early(Error error);
    /// Why it should not go on: cancelled, or not begun by its deadline. **Threads:** any.
    [[nodiscard]] std::optional<Error> reason_to_end(Clock::time_point now) const;
    /// Ends it if there is a reason, and a call that is kept open for nothing. **Threads:** any.
    void look_after(Clock::time_point now);

    [[nodiscard]] const job::Request& request() const { return job_.request; }
    [[nodiscard]] bool counted() const { return job_.counted; }
    [[nodiscard]] bool has_answered() const { return answered_.load(std::memory_order_acquire); }

    void on_head(net::AnswerHead head) override;
    void on_body(std::string_view bytes) override;
    void on_end(const Status& status) override;

private:
    /// Where the answer to the current request has left the course.
    enum class Stage : std::uint8_t { reading, ask_next, try_again, over };

    void ask();
    void take(upstream::Next next);
    void deliver(job::Event event);
    void fail(Error error);
    void complete_timings(job::Timings& timings) const;
    void break_off();
    void await_end();

    const std::shared_ptr<CourseHome> home_;
    const Job job_;

    // Of whoever asks or listens: one thread at a time.
    const std::unique_ptr<upstream::Exchange> exchange_;
    Stage stage_ = Stage::reading;
    bool tried_again_ = false;
    Clock::time_point asked_at_;
    Clock::time_point first_text_at_;

    std::atomic<bool> begun_ = false;         // the answer has
    std::atomic<bool> answered_ = false;      // the last event has been sent
    std::atomic<bool> ending_ = false;        // there is a verdict
    std::atomic<Clock::rep> tail_since_ = 0;  // only the call's end is missing

    std::mutex mutex_;
    std::shared_ptr<net::Call> call_;
    std::uint64_t call_number_ = 0;
    bool cancel_wanted_ = false;  // of the call that is being made
    std::optional<Error> verdict_;
};

}  // namespace trilane::lane
