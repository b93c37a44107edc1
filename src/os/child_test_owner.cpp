// A process that owns a ChildWatch with one long-lived child, says its id and waits to be killed:
// child_test.cpp's way to see what a killed daemon leaves behind.
#include <unistd.h>

#include <cstdio>

#include "os/child.h"

int main() {
    trilane::os::ChildWatch watch;
    const auto sleeper = watch.start({.argv = {"/bin/sleep", "1000"},
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
    std::printf("sleeper %d\n", (*sleeper)->pid());
    std::fflush(stdout);
    for (;;) {
        ::pause();
    }
}
