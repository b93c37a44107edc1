// CancelToken: "nobody wants this any more", said once from any thread and read cheaply.
#pragma once

#include <atomic>
#include <memory>

namespace trilane {

/// A shared flag. Copies refer to the same flag; cancel() may be called from any thread, any number
/// of times. Whoever does the work polls cancelled() at its natural steps.
class CancelToken {
public:
    CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
    void cancel() const noexcept { flag_->store(true, std::memory_order_release); }
    [[nodiscard]] bool cancelled() const noexcept { return flag_->load(std::memory_order_acquire); }

private:
    std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace trilane
