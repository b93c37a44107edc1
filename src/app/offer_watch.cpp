#include "app/offer_watch.h"

#include <fmt/core.h>

#include <utility>

#include "app/output.h"
#include "app/serve_setup.h"

namespace trilane::app {

OfferWatch::OfferWatch(Options options) : options_(std::move(options)) {
    for (const auto& lane : options_.lanes) {
        known_.push_back(lane->offers());
    }
    thread_ = std::thread([this] { ask_forever(); });
}

OfferWatch::~OfferWatch() {
    stop();
}

void OfferWatch::wait_first(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    told_.wait_for(lock, patience, [this] { return asked_; });
}

void OfferWatch::stop() {
    cancel_.cancel();
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
        told_.notify_all();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

void OfferWatch::ask_forever() {
    for (;;) {
        ask_all();
        std::unique_lock lock(mutex_);
        asked_ = true;
        told_.notify_all();
        if (told_.wait_for(lock, options_.interval, [this] { return stopping_; })) {
            return;
        }
    }
}

/// A machine that does not answer keeps nobody else's list back.
void OfferWatch::ask_all() {
    std::vector<std::thread> asking;
    for (std::size_t i = 0; i < options_.lanes.size(); ++i) {
        asking.emplace_back([this, i] { ask(i); });
    }
    for (std::thread& one : asking) {
        one.join();
    }
}

/// A list may also have been read anew for a load since it was last told.
void OfferWatch::ask(std::size_t index) {
    lane::Lane& lane = *options_.lanes[index];
    const Status status = lane.refresh_offers(cancel_);
    if (cancel_.cancelled()) {
        return;
    }
    if (!status) {
        options_.warn(fmt::format("lane {}: {}", lane.name(),
                                  printable(reason_of(status.error(), lane.name()))));
    }
    std::vector<catalog::Entry> offers = lane.offers();
    if (offers != known_[index]) {
        known_[index] = std::move(offers);
        const std::scoped_lock telling(telling_);
        options_.changed();
    }
}

}  // namespace trilane::app
