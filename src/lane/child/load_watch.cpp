#include "lane/child/load_watch.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/utf8.h"

namespace trilane::lane {
namespace {

/// Tokens are polled: they have nobody to call.
constexpr std::chrono::milliseconds kCancelPoll{5};
/// Of answers to a load's requests; the longest is a list of models.
constexpr std::size_t kAnswerBytesMax = std::size_t{16} << 20U;
constexpr std::size_t kExcerptBytesMax = 200;

/// One answer as it arrives.
class Gathering final : public net::AnswerListener {
public:
    void on_head(net::AnswerHead head) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        answer_.head = std::move(head);
    }
    void on_body(std::string_view bytes) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (answer_.body.size() + bytes.size() > kAnswerBytesMax) {
            too_long_ = true;
        } else {
            answer_.body.append(bytes);
        }
    }
    void on_end(const Status& status) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        end_ = status;
        changed_.notify_all();
    }

    /// Waits for the end. **Errors:** the watch's; the answer then still arrives, for nobody.
    Status wait(const LoadWatch& watch) {
        std::unique_lock<std::mutex> lock(mutex_);
        return watch.wait(changed_, lock, [this] { return end_.has_value(); });
    }
    /// After wait().
    Result<net::WholeAnswer> take() {
        const std::lock_guard<std::mutex> lock(mutex_);
        TRILANE_TRY_STATUS(*end_);
        if (too_long_) {
            return fail(Fault::corrupt, "the answer is longer than {} MiB", kAnswerBytesMax >> 20U);
        }
        return std::move(answer_);
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    net::WholeAnswer answer_;
    bool too_long_ = false;
    std::optional<Status> end_;
};

}  // namespace

LoadWatch::LoadWatch(std::shared_ptr<ChildProcess> process, CancelToken cancel,
                     Clock::time_point deadline, std::chrono::seconds limit)
    : process_(std::move(process)),
      cancel_(std::move(cancel)),
      deadline_(deadline),
      limit_(limit) {}

Status LoadWatch::check() const {
    if (process_->ended()) {
        return tl::unexpected(process_->end_error(" while loading"));
    }
    if (cancel_.cancelled()) {
        return fail(Fault::cancelled, "the load was cancelled");
    }
    if (Clock::now() >= deadline_) {
        return tl::unexpected(Error{
            Fault::timeout,
            process_->with_tail(fmt::format(
                "{} was not ready within {} s{}{}; if the model needs longer, raise the lane's "
                "start_timeout; it printed last",
                process_->names().program, limit_.count(), note_.empty() ? "" : ", ", note_))});
    }
    return {};
}

Status LoadWatch::pause(std::chrono::milliseconds duration) const {
    const auto until = Clock::now() + duration;
    for (;;) {
        TRILANE_TRY_STATUS(check());
        const auto rest = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
        if (rest <= std::chrono::milliseconds{0}) {
            return {};
        }
        // An ended child is a reason for check(), not for going on.
        static_cast<void>(process_->wait_ended(std::min(rest, kCancelPoll)));
    }
}

Status LoadWatch::wait(std::condition_variable& poke, std::unique_lock<std::mutex>& lock,
                       const std::function<bool()>& done) const {
    while (!done()) {
        TRILANE_TRY_STATUS(check());
        poke.wait_for(lock, kCancelPoll);
    }
    return {};
}

Result<net::WholeAnswer> LoadWatch::fetch(net::Client& client, net::Outgoing request) const {
    auto gathering = std::make_shared<Gathering>();
    const std::shared_ptr<net::Call> call = client.send(std::move(request), gathering);
    if (Status waited = gathering->wait(*this); !waited) {
        call->cancel();
        return tl::unexpected(std::move(waited).error());
    }
    return gathering->take();
}

std::chrono::milliseconds LoadWatch::left() const {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
    return std::max(rest, std::chrono::milliseconds{1});
}

net::Outgoing json_post(std::string target, std::string body) {
    net::Outgoing request;
    request.method = "POST";
    request.target = std::move(target);
    request.headers = {{"Content-Type", "application/json"}};
    request.body = std::move(body);
    return request;
}

std::string excerpt(std::string_view body) {
    std::string text =
        utf8_clipped(utf8_repaired(body.substr(0, 4 * kExcerptBytesMax)), kExcerptBytesMax);
    for (char& letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        letter = byte < 0x20 || byte == 0x7F ? ' ' : letter;
    }
    return text;
}

}  // namespace trilane::lane
