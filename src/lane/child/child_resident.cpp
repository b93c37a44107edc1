#include "lane/child/child_resident.h"

#include <condition_variable>
#include <thread>
#include <utility>

namespace trilane::lane {

void Loss::report(const Error& error) {
    std::function<void(const Error&)> hear;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (loss_.has_value() || deaf_) {
            return;
        }
        loss_ = error;
        hear = std::exchange(hear_, nullptr);
    }
    if (hear) {
        hear(error);
    }
}

Status Loss::listen(std::function<void(const Error&)> hear) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (loss_.has_value()) {
        return tl::unexpected(*loss_);
    }
    hear_ = std::move(hear);
    return {};
}

void Loss::deafen() {
    std::function<void(const Error&)> dropped;  // outside the lock: it may own much
    const std::lock_guard<std::mutex> lock(mutex_);
    deaf_ = true;
    dropped.swap(hear_);
}

ChildResident::ChildResident(net::Loops& loops, HttpResidentOptions options,
                             std::shared_ptr<ChildProcess> process, os::PortReservation port)
    : card_(options.card),
      slots_(options.slots),
      port_(std::move(port)),
      process_(std::move(process)) {
    options.on_lost = [child = process_, loss = loss_](const Error& error) {
        child->kill();  // it does not answer: asking it to leave would be no use
        loss->report(
            {error.fault, child->with_tail(fmt::format("{} hangs and was killed ({})",
                                                       child->names().program, error.message))});
    };
    http_ = std::make_shared<HttpResident>(loops, std::move(options));
    // The process keeps this callback, which therefore must not keep the process.
    process_->on_end([loss = loss_, http = std::weak_ptr<HttpResident>(http_),
                      process = std::weak_ptr<ChildProcess>(process_)] {
        const std::shared_ptr<ChildProcess> ended = process.lock();
        if (ended == nullptr) {
            return;
        }
        const Error error = ended->end_error("");
        if (const std::shared_ptr<HttpResident> serving = http.lock()) {
            serving->give_up(error);
        }
        loss->report(error);
    });
}

ChildResident::~ChildResident() {
    stop(0);
}

Status ChildResident::check_sanity(const LoadWatch& watch) {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Status> checked;
    std::thread checking([&] {
        Status status = http_->check_sanity(watch.left());
        const std::lock_guard<std::mutex> lock(mutex);
        checked = std::move(status);
        changed.notify_all();
    });
    Status waited;
    {
        std::unique_lock<std::mutex> lock(mutex);
        waited = watch.wait(changed, lock, [&] { return checked.has_value(); });
    }
    if (!waited) {
        http_->give_up(waited.error());
    }
    checking.join();
    return waited ? *checked : waited;
}

Status ChildResident::begin_service(std::function<void(const Error&)> on_lost) {
    return loss_->listen(std::move(on_lost));
}

void ChildResident::submit(job::Request request, job::EventSink sink, CancelToken cancel) {
    http_->submit(std::move(request), std::move(sink), std::move(cancel));
}

void ChildResident::notice_cancel() {
    http_->notice_cancel();
}

ResidentSnapshot ChildResident::snapshot() const {
    ResidentSnapshot snapshot = http_->snapshot();
    const MemoryWatch::Seen seen = process_->seen();
    snapshot.observed = seen.held;
    snapshot.observed_at = seen.at;
    return snapshot;
}

void ChildResident::stop(std::uint32_t patience_ms) {
    loss_->deafen();
    http_->stop(patience_ms);
    process_->stop();
}

}  // namespace trilane::lane
