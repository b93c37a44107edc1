#include "net/client.h"

#include <atomic>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "net/lot.h"

namespace trilane::net {
namespace {

/// Collects an answer for fetch(), and wakes whoever waits for it.
class WholeListener final : public AnswerListener {
public:
    explicit WholeListener(std::size_t body_bytes_max) : body_bytes_max_(body_bytes_max) {}

    void on_head(AnswerHead head) override { answer_.head = std::move(head); }

    void on_body(std::string_view bytes) override {
        if (answer_.body.size() + bytes.size() <= body_bytes_max_) {
            answer_.body.append(bytes);
            return;
        }
        const std::scoped_lock lock(mutex_);
        too_long_ = true;
        changed_.notify_all();
    }

    void on_end(const Status& status) override {
        const std::scoped_lock lock(mutex_);
        status_ = status;
        ended_ = true;
        changed_.notify_all();
    }

    Result<WholeAnswer> wait(Call& call) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ended_ || too_long_; });
        if (too_long_) {
            lock.unlock();
            call.cancel();
            lock.lock();
            changed_.wait(lock, [this] { return ended_; });
            return fail(Fault::exhausted, "the answer's body is longer than {} bytes",
                        body_bytes_max_);
        }
        if (!status_) {
            return tl::unexpected(std::move(status_).error());
        }
        return std::move(answer_);
    }

private:
    const std::size_t body_bytes_max_;
    WholeAnswer answer_;  // the loop's until ended_
    std::mutex mutex_;
    std::condition_variable changed_;
    Status status_;
    bool ended_ = false;
    bool too_long_ = false;
};

}  // namespace

const std::string* AnswerHead::header(std::string_view name) const {
    for (const Header& header : headers) {
        if (equal_ignoring_case(header.name, name)) {
            return &header.value;
        }
    }
    return nullptr;
}

class Client::Pool {
public:
    Pool(Loops& loops, Target target, const ClientLimits& limits)
        : loops_(loops.running()), shared_(std::move(target), limits, loops_.size()) {
        for (std::size_t i = 0; i < loops_.size(); ++i) {
            lots_.push_back(std::make_shared<Lot>(shared_, loops_.at(i), i, attendance_));
            shared_.lots.push_back(lots_.back());
        }
    }

    ~Pool() {
        TRILANE_CHECK(!on_a_loop());  // it would wait for itself
        for (const auto& lot : lots_) {
            lot->shut_down();
        }
        lots_.clear();
        attendance_->wait_until_empty();
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    std::shared_ptr<Call> send(Outgoing request, std::shared_ptr<AnswerListener> listener) {
        const std::size_t current = loops_.current();
        const bool on_loop = current < lots_.size();
        const auto& lot = lots_[on_loop ? current : next_lot_.fetch_add(1) % lots_.size()];
        auto call = std::make_shared<PendingCall>(*lot, std::move(request), std::move(listener));
        if (on_loop) {
            lot->place(call);
        } else {
            boost::asio::post(lot->loop().executor(), [lot, call] { lot->place(call); });
        }
        return call;
    }

    [[nodiscard]] bool on_a_loop() const { return loops_.current() < loops_.size(); }
    [[nodiscard]] const ClientShared& shared() const { return shared_; }

private:
    Loops::Running& loops_;
    ClientShared shared_;
    const std::shared_ptr<Attendance> attendance_ = std::make_shared<Attendance>();
    std::vector<std::shared_ptr<Lot>> lots_;
    std::atomic<std::size_t> next_lot_ = 0;
};

Client::Client(Loops& loops, Target target, ClientLimits limits)
    : pool_(std::make_shared<Pool>(loops, std::move(target), limits)) {}
Client::~Client() = default;

std::shared_ptr<Call> Client::send(Outgoing request, std::shared_ptr<AnswerListener> listener) {
    return pool_->send(std::move(request), std::move(listener));
}

Result<WholeAnswer> Client::fetch(Outgoing request) {
    TRILANE_CHECK(!pool_->on_a_loop());  // it would wait for itself
    const auto listener = std::make_shared<WholeListener>(pool_->shared().limits.body_bytes_max);
    const auto call = pool_->send(std::move(request), listener);
    return listener->wait(*call);
}

const Target& Client::target() const {
    return pool_->shared().target;
}

Client::Snapshot Client::snapshot() const {
    const ClientShared& shared = pool_->shared();
    return {shared.permits.open(), shared.opened_total.load(), shared.reused_total.load()};
}

}  // namespace trilane::net
