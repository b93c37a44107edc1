// ChildResident: a model in a server that we started. Joins what each knows: the process when it
// ends, HttpResident when it no longer answers. Either loses the resident, once; stopping it leaves
// no process and no port behind.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "lane/child/load_watch.h"
#include "lane/child/process.h"
#include "lane/http_resident.h"
#include "lane/lane.h"
#include "os/port.h"

namespace trilane::lane {

/// Why a resident can serve no more, told to one listener, once. Shared by whoever may find out.
/// **Threads:** every function from any thread.
class Loss {
public:
    /// The first one counts, and is told unless nobody listens any more.
    void report(const Error& error);
    /// From now on losses are told. **Errors:** the loss, when there has been one.
    Status listen(std::function<void(const Error&)> hear);
    /// Nobody cares any more: it is being stopped.
    void deafen();

private:
    std::mutex mutex_;
    std::optional<Error> loss_;
    std::function<void(const Error&)> hear_;
    bool deaf_ = false;
};

class ChildResident final : public Resident {
public:
    /// `options` is complete but for its callbacks.
    ChildResident(net::Loops& loops, HttpResidentOptions options,
                  std::shared_ptr<ChildProcess> process, os::PortReservation port);
    ~ChildResident() override;
    ChildResident(const ChildResident&) = delete;
    ChildResident& operator=(const ChildResident&) = delete;

    /// HttpResident::check_sanity, broken off when the load ends. Only of a model that chats.
    Status check_sanity(const LoadWatch& watch);
    /// The load has succeeded: losses are told from now on. **Errors:** it is lost already.
    Status begin_service(std::function<void(const Error&)> on_lost);

    [[nodiscard]] const job::ModelCard& card() const override { return card_; }
    [[nodiscard]] std::uint32_t slots() const override { return slots_; }
    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override;
    void notice_cancel() override;
    [[nodiscard]] ResidentSnapshot snapshot() const override;
    void look_again() override { process_->look_again(); }
    void stop(std::uint32_t patience_ms) override;

private:
    const job::ModelCard card_;
    const std::uint32_t slots_;
    const std::shared_ptr<Loss> loss_ = std::make_shared<Loss>();
    // In this order: the port is free again only when the process is gone.
    const os::PortReservation port_;
    const std::shared_ptr<ChildProcess> process_;
    std::shared_ptr<HttpResident> http_;
};

}  // namespace trilane::lane
