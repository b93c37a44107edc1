#include "gateway/response_store.h"

#include <utility>
#include <vector>

namespace trilane::gateway {

namespace {

std::string name_of(std::string_view owner, std::string_view id) {
    std::string name(owner);
    name += '\n';
    name += id;
    return name;
}

}  // namespace

BoundedResponses::Response BoundedResponses::find(std::string_view owner, std::string_view id) {
    const std::string name = name_of(owner, id);
    const std::scoped_lock lock(mutex_);
    const auto found = index_.find(name);
    if (found == index_.end()) {
        return nullptr;
    }
    order_.splice(order_.begin(), order_, found->second);
    return found->second->response;
}

void BoundedResponses::keep(std::string_view owner, Response response) {
    std::string name = name_of(owner, response->id);
    const std::size_t bytes = response->bytes();
    if (bytes > bytes_max_ || count_max_ == 0) {
        return;
    }
    std::vector<Kept> gone;  // freed after the mutex
    const std::scoped_lock lock(mutex_);
    if (const auto same = index_.find(name); same != index_.end()) {
        gone.push_back(take_out(same));
    }
    while (!order_.empty() && (order_.size() >= count_max_ || bytes_ + bytes > bytes_max_)) {
        gone.push_back(take_out(index_.find(order_.back().name)));
    }
    order_.push_front({name, std::move(response), bytes});
    index_.emplace(std::move(name), order_.begin());
    bytes_ += bytes;
}

bool BoundedResponses::remove(std::string_view owner, std::string_view id) {
    const std::string name = name_of(owner, id);
    Kept gone;
    const std::scoped_lock lock(mutex_);
    const auto found = index_.find(name);
    if (found == index_.end()) {
        return false;
    }
    gone = take_out(found);
    return true;
}

std::size_t BoundedResponses::bytes() const {
    const std::scoped_lock lock(mutex_);
    return bytes_;
}

std::size_t BoundedResponses::count() const {
    const std::scoped_lock lock(mutex_);
    return order_.size();
}

BoundedResponses::Kept BoundedResponses::take_out(Index::iterator at) {
    Kept kept = std::move(*at->second);
    bytes_ -= kept.bytes;
    order_.erase(at->second);
    index_.erase(at);
    return kept;
}

}  // namespace trilane::gateway
