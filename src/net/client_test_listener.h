// Recorder: an AnswerListener for tests that remembers what it heard and in which order. Every wait
// is bounded.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "net/client.h"

namespace trilane::net {

class Recorder final : public AnswerListener {
public:
    static constexpr std::chrono::seconds kPatience{30};

    void on_head(AnswerHead head) override {
        change([&] {
            EXPECT_TRUE(!head_ && !ended_);
            head_ = std::move(head);
        });
    }
    void on_body(std::string_view bytes) override {
        change([&] {
            EXPECT_TRUE(head_ && !ended_ && !bytes.empty());
            body_.append(bytes);
            ++pieces_;
        });
        if (body_hook) {
            body_hook(bytes);
        }
    }
    void on_end(const Status& status) override {
        if (end_hook) {
            end_hook(status);
        }
        change([&] {
            EXPECT_FALSE(ended_);
            ended_ = true;
            status_ = status;
        });
    }

    /// The status of on_end, waited for.
    Status end() {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, kPatience, [this] { return ended_; })) {
            return fail(Fault::internal, "on_end did not come");
        }
        return status_;
    }
    /// "ok", or the fault's name.
    std::string verdict() {
        const auto status = end();
        return status ? "ok" : std::string(fault_name(status.error().fault));
    }
    bool wait_for_body(std::string_view text) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kPatience,
                                 [&] { return body_.find(text) != std::string::npos; });
    }
    bool wait_for_head() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kPatience, [this] { return head_.has_value(); });
    }

    [[nodiscard]] std::optional<AnswerHead> head() {
        const std::scoped_lock lock(mutex_);
        return head_;
    }
    [[nodiscard]] std::string body() {
        const std::scoped_lock lock(mutex_);
        return body_;
    }
    [[nodiscard]] bool ended() {
        const std::scoped_lock lock(mutex_);
        return ended_;
    }

    std::function<void(std::string_view)> body_hook;  ///< set before the call
    std::function<void(const Status&)> end_hook;      ///< set before the call

private:
    template <class Change>
    void change(Change apply) {
        const std::scoped_lock lock(mutex_);
        apply();
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<AnswerHead> head_;
    std::string body_;
    std::size_t pieces_ = 0;
    bool ended_ = false;
    Status status_;
};

}  // namespace trilane::net
