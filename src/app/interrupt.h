// Interrupt: Ctrl-C as a flag to look at rather than the end of the program.
#pragma once

#include <csignal>

namespace trilane::app {

/// While one lives, SIGINT only sets its flag. One at a time.
class InterruptWatch {
public:
    InterruptWatch();
    ~InterruptWatch();
    InterruptWatch(const InterruptWatch&) = delete;
    InterruptWatch& operator=(const InterruptWatch&) = delete;

    [[nodiscard]] bool interrupted() const;
    void forget();

private:
    struct sigaction before_ {};
};

}  // namespace trilane::app
