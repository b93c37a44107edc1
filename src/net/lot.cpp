#include "net/lot.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "net/link.h"
#include "net/request_head.h"

namespace trilane::net {
namespace {

/// Deadlines are kept to this.
constexpr std::chrono::milliseconds kSweepPause{1};

tl::unexpected<Error> cancelled_status() {
    return fail(Fault::cancelled, "the call was cancelled");
}

}  // namespace

ClientShared::ClientShared(Target to, const ClientLimits& within, std::size_t loops)
    : target(std::move(to)),
      limits(within),
      name(target.text()),
      host_line(net::host_line(target)),
      permits(loops, within.connections_max, within.waiting_max) {
    if (target.tls) {
        auto made = TlsClient::make(target);
        if (made) {
            tls = std::move(*made);
        } else {
            tls_state = tl::unexpected(std::move(made).error());
        }
    }
}

PendingCall::PendingCall(Lot& lot, Outgoing outgoing, std::shared_ptr<AnswerListener> listener)
    : request(std::move(outgoing)), listener_(std::move(listener)), lot_(&lot) {}

void PendingCall::cancel() {
    if (cancelled_.exchange(true)) {
        return;
    }
    // The lot and its loop are there as long as the call has not ended.
    const std::scoped_lock lock(mutex_);
    if (lot_ != nullptr) {
        boost::asio::post(lot_->loop().executor(), [self = shared_from_this()] {
            if (self->lot_ != nullptr) {
                self->lot_->cancel(*self);
            }
        });
    }
}

void PendingCall::hear_head(AnswerHead head) {
    if (!cancelled()) {
        listener_->on_head(std::move(head));
    }
}

void PendingCall::hear_body(std::string_view bytes) {
    if (!cancelled()) {
        listener_->on_body(bytes);
    }
}

void PendingCall::end(Status status) {
    {
        const std::scoped_lock lock(mutex_);
        if (std::exchange(lot_, nullptr) == nullptr) {
            return;
        }
    }
    link = nullptr;
    request = {};
    const auto listener = std::move(listener_);
    listener->on_end(cancelled() ? Status(cancelled_status()) : std::move(status));
}

Lot::Lot(ClientShared& shared, Loop& loop, std::size_t index,
         std::shared_ptr<Attendance> attendance)
    : presence_(std::move(attendance)),
      shared_(shared),
      loop_(loop),
      index_(index),
      timer_(loop.executor()) {}

void Lot::place(const std::shared_ptr<PendingCall>& call) {
    if (shut_ || call->cancelled()) {
        end_soon(call, cancelled_status());
        return;
    }
    auto checked = check_outgoing(call->request);
    if (checked && !shared_.tls_state) {
        checked = shared_.tls_state;
    }
    if (!checked) {
        end_soon(call, std::move(checked));
        return;
    }
    if (!idle_.empty()) {
        const auto link = std::move(idle_.back());
        idle_.pop_back();
        shared_.permits.set_idle(index_, idle_.size());
        link->use(call);
        return;
    }
    switch (shared_.permits.ask(index_)) {
        case Permits::Turn::open:
            open_link(call);
            return;
        case Permits::Turn::full:
            end_soon(call, fail(Fault::exhausted,
                                "{} calls wait for one of the {} connections to {} already; try "
                                "again later",
                                shared_.limits.waiting_max, shared_.limits.connections_max,
                                shared_.name));
            return;
        case Permits::Turn::wait:
            break;
    }
    const auto patience = call->request.head_timeout;
    call->waits_until =
        Clock::now() + (patience.count() > 0 ? std::min(patience, shared_.limits.head_timeout)
                                             : shared_.limits.head_timeout);
    waiting_.push_back(call);
    watch(call->waits_until);
    if (const auto other = shared_.permits.idle_elsewhere(index_)) {
        if (const auto lot = shared_.lots[*other].lock()) {
            boost::asio::post(lot->loop().executor(), [lot] { lot->make_room(); });
        }
    }
}

void Lot::end_soon(const std::shared_ptr<PendingCall>& call, Status status) {
    boost::asio::post(loop_.executor(),
                      [self = shared_from_this(), call, status = std::move(status)]() mutable {
                          call->end(std::move(status));
                      });
}

void Lot::cancel(PendingCall& call) {
    if (call.link != nullptr) {
        call.link->break_off(cancelled_status());
        return;
    }
    const auto at = std::find_if(waiting_.begin(), waiting_.end(),
                                 [&call](const auto& other) { return other.get() == &call; });
    if (at != waiting_.end()) {
        waiting_.erase(at);
        shared_.permits.leave(index_);
    }
    call.end(cancelled_status());
}

void Lot::open_link(const std::shared_ptr<PendingCall>& call) {
    const auto link = std::make_shared<Link>(shared_from_this());
    links_.insert(link);
    opening_.push_back(link);
    link->open(call);
}

void Lot::on_open(const std::shared_ptr<Link>& link) {
    opening_.erase(std::remove(opening_.begin(), opening_.end(), link), opening_.end());
}

/// A call must not wait for a slow connection while another one is free. The connection that was
/// opened for it will serve the next call.
std::shared_ptr<PendingCall> Lot::next_connecting() {
    for (const auto& link : opening_) {
        if (auto call = link->hand_over()) {
            return call;
        }
    }
    return nullptr;
}

std::shared_ptr<PendingCall> Lot::next_waiting() {
    if (waiting_.empty()) {
        return nullptr;
    }
    auto call = std::move(waiting_.front());
    waiting_.pop_front();
    shared_.permits.leave(index_);
    return call;
}

void Lot::on_free(const std::shared_ptr<Link>& link) {
    if (shut_ || shared_.permits.should_yield(index_)) {
        link->break_off({});
        return;
    }
    auto call = next_connecting();
    if (!call) {
        call = next_waiting();
    }
    if (call) {
        link->use(call);
        return;
    }
    idle_.push_back(link);
    shared_.permits.set_idle(index_, idle_.size());
    make_room();
}

/// Closes the oldest idle connection if a call on another loop needs its permit.
void Lot::make_room() {
    if (!idle_.empty() && shared_.permits.should_yield(index_)) {
        idle_.front()->break_off({});
    }
}

void Lot::on_closed(const std::shared_ptr<Link>& link) {
    forget_idle(link);
    on_open(link);
    links_.erase(link);
    pass_permit_on();
}

void Lot::on_stale(const std::shared_ptr<Link>& link, const std::shared_ptr<PendingCall>& call) {
    links_.erase(link);
    open_link(call);
}

void Lot::forget_idle(const std::shared_ptr<Link>& link) {
    const auto at = std::find(idle_.begin(), idle_.end(), link);
    if (at != idle_.end()) {
        idle_.erase(at);
        shared_.permits.set_idle(index_, idle_.size());
    }
}

void Lot::pass_permit_on() {
    const auto heir = shared_.permits.give_back(index_);
    if (!heir) {
        return;
    }
    if (*heir == index_) {
        use_permit();
    } else if (const auto lot = shared_.lots[*heir].lock()) {
        boost::asio::post(lot->loop().executor(), [lot] { lot->use_permit(); });
    }
}

void Lot::use_permit() {
    if (const auto call = next_waiting()) {
        open_link(call);
    } else {
        pass_permit_on();  // whoever waited has given up
    }
}

void Lot::watch(Clock::time_point deadline) {
    if (deadline >= watched_until_) {
        return;
    }
    watched_until_ = deadline;
    timer_.expires_at(deadline);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& ec) {
        if (!ec) {
            self->sweep();
        }
    });
}

/// One timer for all, set to the earliest deadline: timers armed and disarmed for each call would
/// cost more than the rest of a small call. Deadlines that move away while it runs cost nothing.
void Lot::sweep() {
    watched_until_ = kNever;
    const auto now = Clock::now();
    const std::vector<std::shared_ptr<Link>> links(links_.begin(), links_.end());
    for (const auto& link : links) {
        link->check(now);
    }
    const std::vector<std::shared_ptr<PendingCall>> waiting(waiting_.begin(), waiting_.end());
    for (const auto& call : waiting) {
        const auto at = std::find(waiting_.begin(), waiting_.end(), call);
        if (call->waits_until <= now && at != waiting_.end()) {
            waiting_.erase(at);
            shared_.permits.leave(index_);
            call->end(fail(Fault::timeout,
                           "none of the {} connections to {} became free in time; try again later",
                           shared_.limits.connections_max, shared_.name));
        }
    }
    auto next = kNever;
    for (const auto& link : links_) {
        next = std::min(next, link->deadline());
    }
    for (const auto& call : waiting_) {
        next = std::min(next, call->waits_until);
    }
    if (next != kNever && !shut_) {
        watch(std::max(next, now + kSweepPause));
    }
}

void Lot::shut_down() {
    boost::asio::post(loop_.executor(), [self = shared_from_this()] { self->close_down(); });
}

void Lot::close_down() {
    shut_ = true;
    while (const auto call = next_waiting()) {
        call->end(cancelled_status());
    }
    const std::vector<std::shared_ptr<Link>> links(links_.begin(), links_.end());
    for (const auto& link : links) {
        link->break_off(cancelled_status());
    }
    timer_.cancel();
}

}  // namespace trilane::net
