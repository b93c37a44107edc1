// HttpResident: a model behind an HTTP server, mostly one that speaks OpenAI's API, whoever runs
// it: a child of ours or a machine elsewhere. Translates jobs to its requests and its answers to
// events, and watches that it keeps answering. Starts and stops nothing but its own connections.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "job/job.h"
#include "lane/lane.h"
#include "lane/upstream/rules.h"
#include "net/client.h"

namespace trilane::lane {

struct HttpResidentOptions {
    job::ModelCard card;
    std::string upstream_model;  ///< as the server calls it
    std::uint32_t slots = 1;
    net::Target target;
    std::string api_key;
    UpstreamRules rules;
    std::vector<std::string> voices;  ///< of a server that speaks; empty = not known
    /// Busy, without a byte of an answer and with health failing, for so long: lost.
    std::chrono::milliseconds hang_timeout{60'000};
    std::chrono::milliseconds health_interval{2'000};
    std::chrono::milliseconds health_timeout{2'000};
    /// Busy and silent for so long: lost, whatever its health says.
    std::chrono::milliseconds silence_timeout{600'000};
    /// At most once, on a thread of the loops: must not wait, nor stop the resident from there.
    std::function<void(const Error&)> on_lost;
};

/// More requests than slots wait their turn here; of these, no more than this.
inline constexpr std::size_t kHttpWaitingMax = 256;

/// **Threads:** any, but stop() and the destructor not those of the loops, whose callbacks they
/// wait for. Sinks are called from the loops' threads; a refusal comes from within submit().
class HttpResident final : public Resident {
public:
    /// The loops must outlive it.
    HttpResident(net::Loops& loops, HttpResidentOptions options);
    ~HttpResident() override;

    [[nodiscard]] const job::ModelCard& card() const override;
    [[nodiscard]] std::uint32_t slots() const override;
    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override;
    void notice_cancel() override;
    [[nodiscard]] ResidentSnapshot snapshot() const override;
    void stop(std::uint32_t patience_ms) override;

    /// The server is gone (its process has ended, say): everything that runs fails now, with this.
    /// Nothing is accepted any more; on_lost is not called.
    void give_up(const Error& error);

    /// One health request. **Threads:** not those of the loops. **Errors:** unavailable, timeout,
    /// cancelled; exhausted: it says that it is still loading.
    Status check_health(std::chrono::milliseconds timeout, const CancelToken& cancel = {});
    /// A small completion that must make sense as text (printable, not one character over and
    /// over, of the right model). **Threads:** not those of the loops.
    /// **Errors:** corrupt, with the beginning of what came; or why there was none.
    Status check_sanity(std::chrono::milliseconds timeout, const CancelToken& cancel = {});

private:
    class State;
    std::shared_ptr<State> state_;
};

/// Models that an OpenAI server lists. **Threads:** not those of the loops.
/// **Errors:** unavailable, timeout, corrupt, invalid (its key), cancelled.
Result<std::vector<std::string>> list_upstream_models(net::Client& client,
                                                      const std::string& api_key,
                                                      std::chrono::milliseconds timeout,
                                                      const CancelToken& cancel = {});

}  // namespace trilane::lane
