#include "probe/memory_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace trilane::probe {
namespace {

constexpr std::uint64_t kKibibyte = 1024;
/// Larger limits are how control groups of version 1 spell "none".
constexpr std::uint64_t kLimitMax = std::uint64_t{1} << 60U;

Fact<std::uint64_t> kibibytes_of(const std::string& text, std::string_view key,
                                 const std::string& source) {
    const auto value = value_of(text, key);
    const auto number = value ? leading_number(*value) : std::nullopt;
    return number ? Fact<std::uint64_t>{*number * kKibibyte, source} : Fact<std::uint64_t>{};
}

/// A hierarchy of control groups and its files' names.
struct Hierarchy {
    std::string mount;
    std::string path;  ///< of this process's group
    std::vector<const char*> limits;
    const char* current;
};

bool lists_memory(std::string_view controllers) {
    return (',' + std::string(controllers) + ',').find(",memory,") != std::string::npos;
}

std::vector<Hierarchy> hierarchies(const Tree& tree) {
    std::vector<Hierarchy> found;
    const std::string groups = tree.text("/proc/self/cgroup");
    for (const std::string_view line : lines_of(groups)) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
        if (second == line.npos) {
            continue;
        }
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        const std::string path(line.substr(second + 1));
        if (controllers.empty()) {
            found.push_back(
                {"/sys/fs/cgroup", path, {"memory.max", "memory.high"}, "memory.current"});
        } else if (lists_memory(controllers)) {
            found.push_back({"/sys/fs/cgroup/memory",
                             path,
                             {"memory.limit_in_bytes"},
                             "memory.usage_in_bytes"});
        }
    }
    return found;
}

/// What of `current` the kernel would give back before it refuses: file pages not in use.
std::uint64_t reclaimable_bytes(const Tree& tree, const std::string& folder) {
    const std::string stat = tree.text(folder + "/memory.stat");
    const auto total = value_of(stat, "total_inactive_file");  // version 1, with the groups below
    const auto own = value_of(stat, "inactive_file");
    return leading_number(total.value_or(own.value_or(""))).value_or(0);
}

void read_cgroups(const Tree& tree, MemoryFacts& facts) {
    std::uint64_t least = kLimitMax;
    for (const Hierarchy& hierarchy : hierarchies(tree)) {
        std::string path = hierarchy.path;
        while (true) {
            while (path.ends_with('/')) {
                path.pop_back();
            }
            const std::string folder = hierarchy.mount + path;
            for (const char* name : hierarchy.limits) {
                const auto limit = tree.number_fact(fmt::format("{}/{}", folder, name));
                if (!limit.known() || limit.value >= least) {
                    continue;
                }
                least = limit.value;
                facts.cgroup_limit_bytes = limit;
                facts.cgroup_current_bytes =
                    tree.number_fact(fmt::format("{}/{}", folder, hierarchy.current));
                const std::uint64_t spare = reclaimable_bytes(tree, folder);
                std::uint64_t& current = facts.cgroup_current_bytes.value;
                current -= std::min(spare, current);
            }
            if (path.empty()) {
                break;
            }
            const std::size_t slash = path.rfind('/');
            path.resize(slash == std::string::npos ? 0 : slash);
        }
    }
}

Fact<std::uint64_t> memlock(const Tree& tree) {
    const std::string source = "/proc/self/limits";
    const auto limits = value_of(tree.text(source), "Max locked memory");
    if (!limits) {
        return {};
    }
    if (limits->starts_with("unlimited")) {
        return {std::numeric_limits<std::uint64_t>::max(), source};
    }
    const auto soft = leading_number(*limits);
    return soft ? Fact<std::uint64_t>{*soft, source} : Fact<std::uint64_t>{};
}

/// "some avg10=0.12 avg60=…" → 0.12.
Fact<double> pressure(const Tree& tree) {
    const std::string source = "/proc/pressure/memory";
    const std::string line = tree.line(source).value_or("");
    constexpr std::string_view kKey = "avg10=";
    const std::size_t at = line.find(kKey);
    if (!line.starts_with("some") || at == std::string::npos) {
        return {};
    }
    return {std::strtod(line.c_str() + at + kKey.size(), nullptr), source};
}

Fact<bool> swap_in_memory(const Tree& tree) {
    const std::string source = "/proc/swaps";
    const std::string swaps = tree.text(source);
    if (swaps.empty()) {
        return {};
    }
    return {swaps.find("/zram") != std::string::npos, source};
}

}  // namespace

MemoryFacts memory_facts(const Tree& tree) {
    const std::string source = "/proc/meminfo";
    const std::string meminfo = tree.text(source);
    MemoryFacts facts;
    facts.total_bytes = kibibytes_of(meminfo, "MemTotal", source);
    facts.available_bytes = kibibytes_of(meminfo, "MemAvailable", source);
    facts.swap_total_bytes = kibibytes_of(meminfo, "SwapTotal", source);
    facts.swap_free_bytes = kibibytes_of(meminfo, "SwapFree", source);
    facts.swap_in_memory = swap_in_memory(tree);
    read_cgroups(tree, facts);
    facts.memlock_bytes = memlock(tree);
    facts.pressure_some_avg10 = pressure(tree);
    return facts;
}

std::vector<MemoryPool> memory_pools(const MemoryFacts& memory, const std::vector<GpuFacts>& gpus) {
    MemoryPool system{"system", memory.total_bytes.value, memory.available_bytes.value,
                      memory.total_bytes.source};
    const Fact<std::uint64_t>& limit = memory.cgroup_limit_bytes;
    if (limit.known()) {
        if (limit.value < system.total_bytes || system.source.empty()) {
            system.total_bytes = limit.value;
            system.source = limit.source;
        }
        const std::uint64_t used = std::min(memory.cgroup_current_bytes.value, limit.value);
        const std::uint64_t left = limit.value - used;
        system.available_bytes =
            memory.available_bytes.known() ? std::min(system.available_bytes, left) : left;
    }
    system.available_bytes = std::min(system.available_bytes, system.total_bytes);
    std::vector<MemoryPool> pools{std::move(system)};
    for (const GpuFacts& gpu : gpus) {
        if (!gpu.vram_total_bytes.known() || gpu.vram_total_bytes.value == 0) {
            continue;
        }
        const std::uint64_t total = gpu.vram_total_bytes.value;
        pools.push_back({(gpu.integrated ? "carve-out:" : "vram:") + gpu.name, total,
                         total - std::min(total, gpu.vram_used_bytes.value),
                         gpu.vram_total_bytes.source, !gpu.vram_is_learnt});
    }
    return pools;
}

}  // namespace trilane::probe
