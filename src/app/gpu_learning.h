// GPU learning: NVIDIA's driver has no file that tells how much memory a card has, but its engine
// knows. Asks the llama-servers of the lanes, on a thread of its own, so that the start need not
// wait; plan waits with those cards meanwhile.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/cancel.h"
#include "lane/descriptor.h"
#include "os/child.h"
#include "plan/plan.h"
#include "probe/engines.h"
#include "probe/machine.h"

namespace trilane::app {

class GpuLearning {
public:
    struct Options {
        os::ChildWatch* children = nullptr;
        std::vector<lane::Settings> lanes;     ///< those of llama-server are asked
        std::vector<std::string> path;         ///< where their programs are looked for
        std::vector<std::string> environment;  ///< "NAME=value" that they may inherit
        std::function<void(std::string_view)> log;
    };

    GpuLearning(const probe::Machine& machine, Options options);
    ~GpuLearning();  ///< gives up what has not been answered
    GpuLearning(const GpuLearning&) = delete;
    GpuLearning& operator=(const GpuLearning&) = delete;

    /// Asks, if there is something to learn and somebody to ask. `learnt` is called when the
    /// answers are there or will not come, on the thread of this object.
    void begin(std::function<void()> learnt);
    /// Puts what has been learnt into the machine's facts; once.
    void apply(probe::Machine& machine);
    /// Marks the devices whose memory is still being asked for.
    void mark(plan::Memory& memory) const;

private:
    void ask();

    Options options_;
    CancelToken cancel_;
    mutable std::mutex mutex_;
    bool asking_ = false;
    std::optional<std::vector<probe::Engine>> answers_;
    std::thread thread_;
};

}  // namespace trilane::app
