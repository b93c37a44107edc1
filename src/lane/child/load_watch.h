// LoadWatch: what can end a load before it is done (its cancel token, its deadline, the end of its
// child), asked at every step; and the HTTP requests of a load, broken off when one of them does.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/result.h"
#include "lane/child/process.h"
#include "net/client.h"

namespace trilane::lane {

class LoadWatch {
public:
    using Clock = std::chrono::steady_clock;

    LoadWatch(std::shared_ptr<ChildProcess> process, CancelToken cancel, Clock::time_point deadline,
              std::chrono::seconds limit);

    /// Ok while the load may go on. **Errors:** unavailable (the child has ended: how, and its last
    /// lines), cancelled, timeout (with note()'s text and the last lines).
    [[nodiscard]] Status check() const;

    /// Waits so long, less when check() turns bad, and answers as check().
    Status pause(std::chrono::milliseconds duration) const;

    /// Waits until `done` says so, asking it whenever `poke` is notified and now and then besides.
    Status wait(std::condition_variable& poke, std::unique_lock<std::mutex>& lock,
                const std::function<bool()>& done) const;

    /// A request and its whole answer. **Errors:** check()'s, or else the client's.
    Result<net::WholeAnswer> fetch(net::Client& client, net::Outgoing request) const;

    /// What the last try came to, for the message of a timeout.
    void note(std::string text) { note_ = std::move(text); }

    [[nodiscard]] std::chrono::milliseconds left() const;
    [[nodiscard]] ChildProcess& process() const { return *process_; }

private:
    const std::shared_ptr<ChildProcess> process_;
    const CancelToken cancel_;
    const Clock::time_point deadline_;
    const std::chrono::seconds limit_;
    std::string note_;
};

/// A POST of JSON text.
net::Outgoing json_post(std::string target, std::string body);

/// The beginning of a body, for a message: one line, printable, of at most 200 bytes.
std::string excerpt(std::string_view body);

}  // namespace trilane::lane
