#include <fmt/chrono.h>

#include <algorithm>
#include <ctime>

#include "net/loop.h"

namespace trilane::net {
namespace {

constexpr unsigned kThreadsMax = 256;

/// How long a loop looks for the next message before it sleeps.
constexpr std::chrono::microseconds kStayAwake{100};
/// But only on a core that nobody else wants: stepping aside for longer than this means that an
/// engine computes there, and then a thread that sleeps is woken sooner than one that spins.
constexpr std::chrono::microseconds kCrowded{500};
constexpr std::chrono::milliseconds kCrowdedPause{250};

}  // namespace

Loop::Loop() {
    thread_ = std::thread([this] { run(); });
}

Loop::~Loop() {
    work_.reset();
    context_.stop();
    thread_.join();
}

void Loop::run() {
    while (!context_.stopped()) {
        if (!stays_awake()) {
            context_.run_one();
        } else if (context_.poll() == 0) {
            step_aside();
        }
    }
}

bool Loop::stays_awake() const {
    if (awake_until_ == Clock::time_point()) {
        return false;
    }
    const auto now = Clock::now();
    return now < awake_until_ && now >= crowded_until_;
}

void Loop::step_aside() {
    const auto before = Clock::now();
    std::this_thread::yield();
    const auto after = Clock::now();
    if (after - before > kCrowded) {
        crowded_until_ = after + kCrowdedPause;
    }
}

void Loop::note_request(Clock::time_point now) {
    // Anybody else's requests never make the loop stay awake.
    hurried_ = now - last_answer_ < kHurry;
}

void Loop::note_answer(Clock::time_point now) {
    last_answer_ = now;
    if (hurried_) {
        stay_awake(now);
    }
}

void Loop::stay_awake(Clock::time_point now) {
    awake_until_ = now + kStayAwake;
}

std::string_view Loop::date_line(Clock::time_point now) {
    if (now >= date_until_) {
        const std::time_t wall = std::time(nullptr);
        std::tm utc{};
        gmtime_r(&wall, &utc);
        date_line_ = fmt::format("Date: {:%a, %d %b %Y %H:%M:%S} GMT\r\n", utc);
        date_until_ = now + std::chrono::seconds(1);
    }
    return date_line_;
}

Loops::Running::Running(unsigned threads) {
    const unsigned count = std::clamp(threads, 1U, kThreadsMax);
    for (unsigned i = 0; i < count; ++i) {
        loops_.push_back(std::make_unique<Loop>());
    }
}

std::size_t Loops::Running::current() {
    for (std::size_t i = 0; i < loops_.size(); ++i) {
        if (loops_[i]->is_current()) {
            return i;
        }
    }
    return loops_.size();
}

Loops::Loops(unsigned threads) : running_(std::make_unique<Running>(threads)) {}
Loops::~Loops() = default;

}  // namespace trilane::net
