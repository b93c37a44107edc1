#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace trilane {

void check_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "trilane: bug: %s is false at %s:%d\n", condition, file, line);
    std::abort();
}

}  // namespace trilane
