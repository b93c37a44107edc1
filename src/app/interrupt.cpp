#include "app/interrupt.h"

#include <atomic>

namespace trilane::app {
namespace {

// The one thing a signal handler may touch; it belongs to the one InterruptWatch.
std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int /*signal*/) {
    g_interrupted.store(true);
}

}  // namespace

InterruptWatch::InterruptWatch() {
    forget();
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, &before_);
}

InterruptWatch::~InterruptWatch() {
    ::sigaction(SIGINT, &before_, nullptr);
}

bool InterruptWatch::interrupted() const {
    return g_interrupted.load();
}

void InterruptWatch::forget() {
    g_interrupted.store(false);
}

}  // namespace trilane::app
