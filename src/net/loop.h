// Loop: a thread with its own io_context, and when it stays awake. Running: the loops that a Loops
// holds. Inside of net; not for other modules, and knows neither servers nor clients.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/loops.h"

namespace trilane::net {

using Clock = std::chrono::steady_clock;
inline constexpr Clock::time_point kNever = Clock::time_point::max();
using Executor = boost::asio::io_context::executor_type;
using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>;

/// A peer that answers, or asks again, this soon is one that we, or that waits, for each message.
/// Waking a sleeping core (of a virtual machine above all) can cost more than the message.
inline constexpr std::chrono::microseconds kHurry{200};

/// **Threads:** its own, except where a function says otherwise.
class Loop {
public:
    /// Starts the thread.
    Loop();
    /// Ends the thread. What is still queued is dropped. **Threads:** any but its own.
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// **Threads:** any.
    Executor executor() { return context_.get_executor(); }
    /// Whether the caller is this loop's thread. **Threads:** any.
    bool is_current() { return executor().running_in_this_thread(); }

    /// Tell the loop of a request's arrival and of its answer's end: when clients come back faster
    /// than a core falls asleep, the loop stays awake for them a little.
    void note_request(Clock::time_point now);
    void note_answer(Clock::time_point now);
    /// Something is expected within kHurry: look for it a little before sleeping.
    void stay_awake(Clock::time_point now);

    /// "Date: …\r\n", formatted once a second.
    std::string_view date_line(Clock::time_point now);

private:
    void run();
    [[nodiscard]] bool stays_awake() const;
    void step_aside();

    boost::asio::io_context context_{1};  // one thread runs it
    boost::asio::executor_work_guard<Executor> work_{context_.get_executor()};
    bool hurried_ = false;  // the last request came right after an answer
    Clock::time_point last_answer_;
    Clock::time_point awake_until_;
    Clock::time_point crowded_until_;
    std::string date_line_;
    Clock::time_point date_until_;
    std::thread thread_;  // last: it uses all of the above
};

/// **Threads:** any.
class Loops::Running {
public:
    explicit Running(unsigned threads);

    [[nodiscard]] std::size_t size() const { return loops_.size(); }
    [[nodiscard]] Loop& at(std::size_t index) { return *loops_[index]; }
    /// The index of the caller's own loop, or size() on other threads.
    [[nodiscard]] std::size_t current();

private:
    std::vector<std::unique_ptr<Loop>> loops_;
};

}  // namespace trilane::net
