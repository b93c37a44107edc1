// A process that owns a ChildWatch with one long-lived child, which has started another, says both
// ids and waits to be killed: child_test.cpp's way to see what a killed daemon leaves behind.
#include <unistd.h>

#include <cstdio>

#include "os/child.h"

int main() {
    trilane::os::ChildWatch watch;
    const auto sleeper = watch.start(
        {.argv = {"/bin/sh", "-c", "/bin/sleep 1000 & echo grandchild $!; exec /bin/sleep 1000"},
         .environment = {},
         .directory = {},
         .memlock_bytes = {},
         .cgroup = {},
         .log = {}},
        {});
    if (!sleeper) {
        std::puts(sleeper.error().message.c_str());
        return 1;
    }
    while ((*sleeper)->log()->lines().empty()) {
        ::usleep(1'000);
    }
    std::printf("%s\nsleeper %d\n", (*sleeper)->log()->lines().front().text.c_str(),
                (*sleeper)->pid());
    std::fflush(stdout);
    for (;;) {
        ::pause();
    }
}
