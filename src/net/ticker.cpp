#include "net/ticker.h"

#include <atomic>
#include <boost/asio/post.hpp>
#include <utility>

#include "net/loop.h"

namespace trilane::net {

/// Kept alive by the loop while a tick is due.
class Ticker::Ticking : public std::enable_shared_from_this<Ticking> {
public:
    Ticking(const Executor& executor, std::chrono::milliseconds period, std::function<bool()> tick)
        : timer_(executor), period_(period), tick_(std::move(tick)) {}

    void wake() {
        if (state_.exchange(State::woken) == State::asleep) {
            boost::asio::post(timer_.get_executor(), [self = shared_from_this()] { self->arm(); });
        }
    }

    void end() {
        over_ = true;
        boost::asio::post(timer_.get_executor(),
                          [self = shared_from_this()] { self->timer_.cancel(); });
    }

private:
    /// `woken` differs from `awake` in that somebody has called since the last tick began.
    enum class State { asleep, awake, woken };

    void arm() {
        if (over_) {
            return;
        }
        timer_.expires_after(period_);
        timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
            if (!cancelled && !self->over_) {
                self->fire();
            }
        });
    }

    void fire() {
        state_.exchange(State::awake);
        const bool more = tick_();
        State still_awake = State::awake;
        if (more || !state_.compare_exchange_strong(still_awake, State::asleep)) {
            arm();
        }
    }

    Timer timer_;
    const std::chrono::milliseconds period_;
    const std::function<bool()> tick_;
    std::atomic<State> state_ = State::asleep;
    std::atomic<bool> over_ = false;
};

Ticker::Ticker(Loops& loops, std::chrono::milliseconds period, std::function<bool()> tick) {
    Loops::Running& running = loops.running();
    const std::size_t own = running.current();
    Loop& loop = running.at(own < running.size() ? own : 0);
    ticking_ = std::make_shared<Ticking>(loop.executor(), period, std::move(tick));
}

Ticker::~Ticker() {
    ticking_->end();
}

void Ticker::wake() {
    ticking_->wake();
}

}  // namespace trilane::net
