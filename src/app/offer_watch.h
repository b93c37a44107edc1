// OfferWatch: asks the lanes now and then which models only they know (FLM's tags, the list of a
// machine elsewhere), all at the same time, and says when a list has changed. Not a catalogue.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "base/cancel.h"
#include "lane/lane.h"

namespace trilane::app {

class OfferWatch {
public:
    struct Options {
        std::vector<std::shared_ptr<lane::Lane>> lanes;
        /// A lane offers other models than before. One call at a time, on a thread of this object.
        std::function<void()> changed;
        std::function<void(std::string_view)> warn;  ///< a line: what could not be read
        std::chrono::milliseconds interval{60'000};  ///< from one round's end to the next
    };

    /// Begins to ask.
    explicit OfferWatch(Options options);
    ~OfferWatch();  ///< stop()
    OfferWatch(const OfferWatch&) = delete;
    OfferWatch& operator=(const OfferWatch&) = delete;

    /// Waits until every lane has been asked once, at most so long.
    void wait_first(std::chrono::milliseconds patience);
    /// Breaks off what is being asked, and joins. After this `changed` is not called any more.
    void stop();

private:
    void ask_forever();
    void ask_all();
    void ask(std::size_t index);

    const Options options_;
    const CancelToken cancel_;
    std::mutex telling_;                              // held across changed(); before the other
    std::vector<std::vector<catalog::Entry>> known_;  // of each lane, when it was last told
    std::mutex mutex_;                                // guards the two below
    std::condition_variable told_;
    bool asked_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace trilane::app
