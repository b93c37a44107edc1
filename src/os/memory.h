// Memory facts that decide what may be loaded. Not an allocator.
#pragma once

#include <cstdint>
#include <string>

namespace trilane::os {

/// Bytes that this process may still take without pushing anybody out: MemAvailable, or what the
/// control group leaves if that is less. 2^63 − 1 where neither can be read.
/// `root` stands in for "/" in tests.
std::uint64_t available_memory_bytes(const std::string& root = "");

/// Bytes of this process that are in memory and that no file backs (RssAnon); 0 where the kernel
/// does not say.
std::uint64_t own_anonymous_bytes();

}  // namespace trilane::os
