// Memory facts that decide what may be loaded. Not an allocator.
#pragma once

#include <cstdint>
#include <string>

namespace trilane::os {

/// Bytes that this process may still take without pushing anybody out: MemAvailable, or what the
/// control group leaves if that is less. 2^63 − 1 where neither can be read.
/// `root` stands in for "/" in tests.
std::uint64_t available_memory_bytes(const std::string& root = "");

}  // namespace trilane::os
