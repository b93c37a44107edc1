// TRILANE_CHECK: our own bugs end the process at once, in every build. Never on file or wire
// content.
#pragma once

namespace trilane {

/// Prints the failed condition with its place and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace trilane

#define TRILANE_CHECK(condition) \
    ((condition) ? static_cast<void>(0) : ::trilane::check_failed(#condition, __FILE__, __LINE__))
