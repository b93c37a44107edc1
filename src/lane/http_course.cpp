#include "lane/http_course.h"

#include <utility>

namespace trilane::lane {

Course::Course(std::shared_ptr<CourseHome> home, Job job)
    : home_(std::move(home)),
      job_(std::move(job)),
      exchange_(upstream::open_exchange(job_.request, home_->upstream(),
                                        [this](job::Event event) { deliver(std::move(event)); })) {}

void Course::begin() {
    if (asked_at_ == Clock::time_point()) {
        asked_at_ = Clock::now();
    }
    ask();
}

void Course::ask() {
    stage_ = Stage::reading;
    tail_since_ = 0;
    Result<upstream::Outgoing> request = exchange_->ask();
    if (!request) {
        fail(std::move(request).error());
        home_->gone(shared_from_this(), false, false);
        return;
    }
    std::uint64_t number = 0;
    {
        const std::scoped_lock lock(mutex_);
        number = call_number_;
        cancel_wanted_ = verdict_.has_value();
    }
    auto call = home_->send(*std::move(request), shared_from_this());
    {
        const std::scoped_lock lock(mutex_);
        if (number != call_number_) {
            return;  // it is over already
        }
        call_ = call;
        if (!cancel_wanted_) {
            return;
        }
    }
    call->cancel();
}

void Course::refuse(Error error) {
    deliver(job::Failed{std::move(error)});
}

void Course::end_early(Error error) {
    {
        const std::scoped_lock lock(mutex_);
        if (verdict_) {
            return;
        }
        verdict_ = std::move(error);
        ending_ = true;
    }
    break_off();
}

void Course::break_off() {
    std::shared_ptr<net::Call> call;
    {
        const std::scoped_lock lock(mutex_);
        call = call_;
        cancel_wanted_ = true;
    }
    if (call != nullptr) {
        call->cancel();
    }
}

std::optional<Error> Course::reason_to_end(Clock::time_point now) const {
    if (has_answered()) {
        return std::nullopt;
    }
    if (job_.cancel.cancelled()) {
        return Error{Fault::cancelled, "the request was cancelled"};
    }
    const Clock::time_point deadline = job_.request.deadline;
    if (deadline != Clock::time_point() && now >= deadline && !begun_) {
        return Error{Fault::timeout,
                     "the answer had not begun by its deadline; try again, or allow more time"};
    }
    return std::nullopt;
}

void Course::look_after(Clock::time_point now) {
    if (auto reason = reason_to_end(now)) {
        end_early(*std::move(reason));
        return;
    }
    const Clock::rep since = tail_since_;
    if (since != 0 && now.time_since_epoch() >= Clock::duration(since) + kTailMax) {
        break_off();
    }
}

void Course::on_head(net::AnswerHead head) {
    const std::string* type = head.header("content-type");
    exchange_->on_head(head.status, type == nullptr ? std::string_view() : *type);
    home_->heard(false);
}

void Course::on_body(std::string_view bytes) {
    if (stage_ != Stage::reading || ending_.load(std::memory_order_relaxed)) {
        return;
    }
    if (job_.cancel.cancelled()) {
        look_after(Clock::now());
        return;
    }
    const std::uint64_t before = exchange_->pieces();
    const upstream::Next next = exchange_->on_body(bytes);
    home_->heard(exchange_->pieces() != before);
    take(next);
    using upstream::Next;
    if (next == Next::enough || next == Next::enough_of_this || next == Next::failed) {
        break_off();  // the call is of no more use
    } else if (next != Next::more || exchange_->only_end_missing()) {
        await_end();
    }
}

void Course::await_end() {
    tail_since_ = Clock::now().time_since_epoch().count();
}

/// Where the answer leaves the job.
void Course::take(upstream::Next next) {
    using upstream::Next;
    switch (next) {
        case Next::more:
            return;
        case Next::answered:
        case Next::enough:
            stage_ = Stage::over;
            return;
        case Next::ask_again:
        case Next::enough_of_this:
            stage_ = Stage::ask_next;
            return;
        case Next::failed:
            break;
    }
    const Fault fault = exchange_->failure().fault;
    const bool may_pass = fault == Fault::unavailable || fault == Fault::corrupt;
    if (home_->upstream().rules.retry_once_on_error && !tried_again_ && may_pass &&
        exchange_->may_pass()) {
        tried_again_ = true;
        stage_ = Stage::try_again;
        return;
    }
    fail(exchange_->failure());
}

void Course::fail(Error error) {
    stage_ = Stage::over;
    deliver(job::Failed{std::move(error)});
}

/// Every event of the job leaves here.
void Course::deliver(job::Event event) {
    auto* done = std::get_if<job::Done>(&event);
    if (done != nullptr) {
        complete_timings(done->timings);
    }
    if (done != nullptr || std::holds_alternative<job::Failed>(event)) {
        answered_.store(true, std::memory_order_release);
        home_->answered(*this, event);
    } else if (!begun_) {
        begun_ = true;
    }
    if (first_text_at_ == Clock::time_point() && !std::holds_alternative<job::Started>(event)) {
        first_text_at_ = Clock::now();
    }
    job_.sink(std::move(event));
}

/// For servers that do not say: as seen from here.
void Course::complete_timings(job::Timings& timings) const {
    if (timings.prompt_ms > 0 || timings.predicted_ms > 0 ||
        first_text_at_ == Clock::time_point()) {
        return;
    }
    using Ms = std::chrono::duration<double, std::milli>;
    timings.prompt_ms = Ms(first_text_at_ - asked_at_).count();
    timings.predicted_ms = Ms(Clock::now() - first_text_at_).count();
}

void Course::on_end(const Status& status) {
    std::optional<Error> verdict;
    {
        const std::scoped_lock lock(mutex_);
        call_ = nullptr;
        ++call_number_;
        verdict = verdict_;
    }
    if (stage_ == Stage::reading && verdict) {
        fail(*verdict);
    } else if (stage_ == Stage::reading) {
        take(exchange_->on_end(status));
    }
    const bool broken_off =
        !status && status.error().fault == Fault::cancelled && !exchange_->completed();
    const bool asks_again = stage_ == Stage::ask_next || stage_ == Stage::try_again;
    if (asks_again && verdict) {
        fail(*verdict);
    } else if (asks_again && !(broken_off && home_->upstream().rules.cancel_may_linger)) {
        ask();
        return;
    }
    home_->gone(shared_from_this(), broken_off, asks_again && !verdict);
}

}  // namespace trilane::lane
