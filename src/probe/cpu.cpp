#include "probe/cpu.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <string_view>

namespace trilane::probe {
namespace {

/// Highest logical CPU number that is looked at.
constexpr int kCpusMax = 4096;
/// Cache descriptions of one CPU that are looked at.
constexpr int kCachesMax = 16;

/// The first line of a small file; empty when there is none.
std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t");
    const auto end = text.find_last_not_of(" \t");
    return begin == std::string_view::npos ? std::string_view{}
                                           : text.substr(begin, end - begin + 1);
}

/// The number at the start of `text`, or 0. `rest` gets what follows it.
std::size_t leading_number(std::string_view text, std::string_view* rest = nullptr) {
    std::size_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc{}) {
        return 0;
    }
    if (rest != nullptr) {
        *rest = text.substr(static_cast<std::size_t>(result.ptr - text.data()));
    }
    return value;
}

std::vector<int> scheduler_cpus() {
    std::vector<int> cpus;
    cpu_set_t* set = CPU_ALLOC(kCpusMax);
    const std::size_t bytes = CPU_ALLOC_SIZE(kCpusMax);
    CPU_ZERO_S(bytes, set);
    if (::sched_getaffinity(0, bytes, set) == 0) {
        for (int cpu = 0; cpu < kCpusMax; ++cpu) {
            if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, set)) {
                cpus.push_back(cpu);
            }
        }
    }
    CPU_FREE(set);
    return cpus;
}

std::string cpu_folder(const std::string& root, int cpu) {
    return fmt::format("{}/sys/devices/system/cpu/cpu{}", root, cpu);
}

/// Hardware threads of one core name the same list of siblings.
std::size_t physical_cores(const std::string& root, const std::vector<int>& cpus) {
    std::set<std::string> cores;
    for (const int cpu : cpus) {
        const std::string folder = cpu_folder(root, cpu) + "/topology/";
        std::string siblings = first_line(folder + "core_cpus_list");
        if (siblings.empty()) {
            siblings = first_line(folder + "thread_siblings_list");
        }
        cores.insert(siblings.empty() ? fmt::format("cpu {}", cpu) : siblings);
    }
    return cores.size();
}

/// "200000 100000" → 2; "max 100000" or no file → no limit. A group that may use part of a core
/// still gets one.
std::size_t quota_cores(const std::string& cpu_max_path) {
    constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);
    const std::string line = first_line(cpu_max_path);
    std::string_view rest;
    const std::size_t quota = leading_number(line, &rest);
    const std::size_t period = leading_number(trimmed(rest));
    if (quota == 0 || period == 0) {
        return kNoLimit;
    }
    return std::max<std::size_t>(1, quota / period);
}

/// The tightest quota on the way from the process's group up to the root of the hierarchy.
std::size_t cgroup_cores(const std::string& root) {
    constexpr std::string_view kVersion2 = "0::";
    std::ifstream groups(root + "/proc/self/cgroup");
    std::string path;
    for (std::string line; std::getline(groups, line);) {
        if (line.starts_with(kVersion2)) {
            path = line.substr(kVersion2.size());
        }
    }
    std::size_t cores = static_cast<std::size_t>(-1);
    while (true) {
        while (path.ends_with('/')) {
            path.pop_back();
        }
        std::string file = root + "/sys/fs/cgroup";
        file.append(path).append("/cpu.max");
        cores = std::min(cores, quota_cores(file));
        if (path.empty()) {
            return cores;
        }
        const std::size_t slash = path.rfind('/');
        path.resize(slash == std::string::npos ? 0 : slash);
    }
}

std::string model_name(const std::string& root) {
    std::ifstream file(root + "/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(':');
        if (colon != std::string::npos && trimmed(line.substr(0, colon)) == "model name") {
            return std::string(trimmed(std::string_view(line).substr(colon + 1)));
        }
    }
    return "unknown";
}

/// "1024K" → 1048576.
std::size_t cache_bytes(const std::string& text) {
    std::string_view unit;
    const std::size_t number = leading_number(text, &unit);
    if (unit.starts_with('K')) {
        return number << 10;
    }
    return unit.starts_with('M') ? number << 20 : number;
}

std::size_t cache_level_bytes(const std::string& root, int cpu, std::string_view level) {
    for (int index = 0; index < kCachesMax; ++index) {
        const std::string folder = fmt::format("{}/cache/index{}/", cpu_folder(root, cpu), index);
        if (first_line(folder + "level") == level && first_line(folder + "type") != "Instruction") {
            return cache_bytes(first_line(folder + "size"));
        }
    }
    return 0;
}

}  // namespace

CpuFacts cpu_facts(const CpuSource& source) {
    const std::vector<int> cpus = source.cpus.empty() ? scheduler_cpus() : source.cpus;
    CpuFacts facts;
    facts.model_name = model_name(source.root);
    const std::size_t cores =
        std::min(physical_cores(source.root, cpus), cgroup_cores(source.root));
    facts.cores = std::max<std::size_t>(1, cores);
    for (const auto isa :
         {kernels::Isa::generic, kernels::Isa::avx2, kernels::Isa::avxvnni, kernels::Isa::avx512}) {
        if (kernels::isa_available(isa)) {
            facts.isas.push_back(isa);
        }
    }
    const int first = cpus.empty() ? 0 : cpus.front();
    facts.l2_bytes = cache_level_bytes(source.root, first, "2");
    facts.l3_bytes = cache_level_bytes(source.root, first, "3");
    return facts;
}

std::size_t default_threads() {
    return cpu_facts().cores;
}

}  // namespace trilane::probe
