// BoundedResponses: answers of the responses API in memory, the latest used ones, up to a number
// and a size. Nothing of it is written to a disk; it is gone when the daemon ends.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "dialect/openai/responses.h"

namespace trilane::gateway {

inline constexpr std::size_t kResponsesKeptMax = 1024;
inline constexpr std::size_t kResponseBytesMax = 64U << 20U;  ///< of all that are kept

/// **Threads:** any; the mutex is held for moving pointers only.
class BoundedResponses {
public:
    using Response = std::shared_ptr<const dialect::openai::StoredResponse>;

    explicit BoundedResponses(std::size_t count_max = kResponsesKeptMax,
                              std::size_t bytes_max = kResponseBytesMax)
        : count_max_(count_max), bytes_max_(bytes_max) {}

    /// Each owner (the name of a key) has ids of its own: they are no secrets.
    Response find(std::string_view owner, std::string_view id);
    /// One that is larger than all of the room is not kept.
    void keep(std::string_view owner, Response response);
    bool remove(std::string_view owner, std::string_view id);

    [[nodiscard]] std::size_t bytes() const;
    [[nodiscard]] std::size_t count() const;

private:
    struct Kept {
        std::string name;  ///< owner and id
        Response response;
        std::size_t bytes = 0;
    };
    using Order = std::list<Kept>;
    using Index = std::map<std::string, Order::iterator, std::less<>>;

    Kept take_out(Index::iterator at);

    const std::size_t count_max_;
    const std::size_t bytes_max_;
    mutable std::mutex mutex_;
    Order order_;  // the latest used first
    Index index_;
    std::size_t bytes_ = 0;
};

/// What one owner has kept there.
class ResponsesOf final : public dialect::openai::ResponseStore {
public:
    ResponsesOf(std::shared_ptr<BoundedResponses> all, std::string owner)
        : all_(std::move(all)), owner_(std::move(owner)) {}

    BoundedResponses::Response find(std::string_view id) override { return all_->find(owner_, id); }
    void keep(BoundedResponses::Response response) override {
        all_->keep(owner_, std::move(response));
    }
    bool remove(std::string_view id) override { return all_->remove(owner_, id); }

private:
    const std::shared_ptr<BoundedResponses> all_;
    const std::string owner_;
};

}  // namespace trilane::gateway
