// Checks of memory: what is free, who waits for it, what lies in swap.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/advice.h"
#include "doctor/checks.h"

namespace trilane::doctor {
namespace {

constexpr const char* kWhoHasIt = "ps -eo rss,pid,comm --sort=-rss | head";

Finding limit(const View& view) {
    Check check("memory.limit", "A limit of the control group is known and counted");
    const auto& limit = view.machine.memory.cgroup_limit_bytes;
    if (!limit.known()) {
        return check.skipped("no limit is set");
    }
    return check.ok(fmt::format("{}: {}", limit.source, binary_bytes(limit.value)));
}

Finding available(const View& view) {
    Check check("memory.available", "There is memory to load models into");
    if (view.machine.pools.empty() || view.machine.pools[0].total_bytes == 0) {
        return check.unknown("/proc/meminfo cannot be read", "cat /proc/meminfo");
    }
    const probe::MemoryPool& pool = view.machine.pools[0];
    const std::string evidence =
        fmt::format("{}: {} of {} can be had", pool.source, binary_bytes(pool.available_bytes),
                    binary_bytes(pool.total_bytes));
    if (static_cast<double>(pool.available_bytes) <
        kAvailableShareMin * static_cast<double>(pool.total_bytes)) {
        return check.warning(
            evidence, fmt::format("See who has it, and end what is not needed:\n{}", kWhoHasIt));
    }
    return check.ok(evidence);
}

Finding pressure(const View& view) {
    Check check("memory.pressure", "Nobody waits for memory");
    const auto& pressure = view.machine.memory.pressure_some_avg10;
    if (!pressure.known()) {
        return check.skipped("the kernel does not measure pressure");
    }
    const std::string evidence =
        fmt::format("{}: somebody waited for memory in {:.1f} % of the last 10 s", pressure.source,
                    pressure.value);
    if (pressure.value >= kPressureMax) {
        return check.warning(
            evidence, fmt::format("Unload a model (trilane ps, trilane unload MODEL), or see "
                                  "who else has the memory:\n{}",
                                  kWhoHasIt));
    }
    return check.ok(evidence);
}

Finding swap(const View& view) {
    Check check("memory.swap", "Models do not lie in swap");
    const probe::MemoryFacts& memory = view.machine.memory;
    const std::uint64_t total = memory.swap_total_bytes.value;
    if (!memory.swap_total_bytes.known() || !memory.swap_free_bytes.known() || total == 0) {
        return check.skipped("there is no swap");
    }
    const std::uint64_t used = total - std::min(total, memory.swap_free_bytes.value);
    const bool in_memory = memory.swap_in_memory.value;
    const std::string evidence = fmt::format(
        "{}: {} of {} of swap in use{}", memory.swap_total_bytes.source, binary_bytes(used),
        binary_bytes(total), in_memory ? " (zram: compressed, in the same memory)" : "");
    if (static_cast<double>(used) > kSwapUsedShareMax * static_cast<double>(total)) {
        return check.warning(evidence,
                             "Weights that were swapped out come back slowly. When there is room "
                             "again:\nsudo swapoff -a && sudo swapon -a");
    }
    return check.ok(evidence);
}

}  // namespace

std::vector<Finding> memory_checks(const View& view) {
    return {available(view), limit(view), pressure(view), swap(view)};
}

}  // namespace trilane::doctor
