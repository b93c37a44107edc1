#include "os/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

namespace trilane::os {
namespace {

std::optional<std::uint64_t> number_in(const std::string& path) {
    std::ifstream in(path);
    std::uint64_t value = 0;
    return in >> value ? std::optional(value) : std::nullopt;  // "max" is no number: no limit
}

std::optional<std::uint64_t> mem_available(const std::string& root) {
    std::ifstream in(root + "/proc/meminfo");
    std::string key;
    std::uint64_t kib = 0;
    std::string unit;
    while (in >> key >> kib) {
        std::getline(in, unit);
        if (key == "MemAvailable:") {
            return kib * 1024;
        }
    }
    return std::nullopt;
}

/// What the control group of this process (v2, seen as the root inside a container) leaves.
std::optional<std::uint64_t> cgroup_left(const std::string& root) {
    const auto max = number_in(root + "/sys/fs/cgroup/memory.max");
    const auto used = number_in(root + "/sys/fs/cgroup/memory.current");
    if (!max.has_value() || !used.has_value()) {
        return std::nullopt;
    }
    return *max - std::min(*max, *used);
}

}  // namespace

std::uint64_t available_memory_bytes(const std::string& root) {
    constexpr std::uint64_t kUnknown = std::numeric_limits<std::int64_t>::max();
    return std::min(mem_available(root).value_or(kUnknown), cgroup_left(root).value_or(kUnknown));
}

std::uint64_t resident_bytes(std::span<const std::byte> bytes) {
    constexpr std::size_t kPagesAtOnce = 16'384;  // one call holds up whoever maps memory meanwhile
    static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (bytes.empty()) {
        return 0;
    }
    const auto first = reinterpret_cast<std::uintptr_t>(bytes.data()) / page;
    const auto last = (reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size() - 1) / page;
    std::vector<unsigned char> present(std::min<std::size_t>(last - first + 1, kPagesAtOnce));
    std::uint64_t pages = 0;
    for (auto at = first; at <= last; at += present.size()) {
        const std::size_t count = std::min<std::size_t>(last - at + 1, present.size());
        // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel wants the page's own address
        if (::mincore(reinterpret_cast<void*>(at * page), count * page, present.data()) != 0) {
            return 0;
        }
        for (std::size_t i = 0; i < count; ++i) {
            pages += present[i] & 1U;
        }
    }
    return std::min<std::uint64_t>(pages * page, bytes.size());
}

std::uint64_t own_anonymous_bytes() {
    std::ifstream in("/proc/self/status");
    std::string line;
    while (std::getline(in, line)) {
        constexpr std::string_view kKey = "RssAnon:";
        if (line.starts_with(kKey)) {
            return std::strtoull(line.c_str() + kKey.size(), nullptr, 10) * 1024;
        }
    }
    return 0;
}

}  // namespace trilane::os
