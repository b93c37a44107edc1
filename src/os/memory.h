// Memory facts that decide what may be loaded. Not an allocator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace trilane::os {

/// Bytes that this process may still take without pushing anybody out: MemAvailable, or what the
/// control group leaves if that is less. 2^63 − 1 where neither can be read.
/// `root` stands in for "/" in tests.
std::uint64_t available_memory_bytes(const std::string& root = "");

/// How much of this process's mapping `bytes` is in memory, in whole pages at most. Of a file's
/// mapping it is what the system has cached of the file; of a file that this process may neither
/// own nor write the kernel says that all of it is. 0 where nothing is mapped.
std::uint64_t resident_bytes(std::span<const std::byte> bytes);

/// Bytes of this process that are in memory and that no file backs (RssAnon); 0 where the kernel
/// does not say.
std::uint64_t own_anonymous_bytes();

}  // namespace trilane::os
