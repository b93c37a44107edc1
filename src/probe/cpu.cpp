#include "probe/cpu.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "probe/tree.h"

namespace trilane::probe {
namespace {

/// Highest logical CPU number that is looked at.
constexpr int kCpusMax = 4096;
/// Cache descriptions of one CPU that are looked at.
constexpr int kCachesMax = 16;

constexpr std::string_view kTopologySource = "/sys/devices/system/cpu/cpu*/topology";

/// As /proc/cpuinfo spells them.
constexpr std::array<std::string_view, 16> kFlagsOfInterest{
    "sse4_2",      "avx",      "f16c",     "fma",       "avx2",        "avx_vnni",
    "avx512f",     "avx512bw", "avx512dq", "avx512vl",  "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "amx_int8", "amx_bf16", "hypervisor"};

/// One processor's paragraph of /proc/cpuinfo.
struct Processor {
    int number = -1;
    std::string core;  ///< package and core, as text; "" = not said
};

struct CpuInfo {
    std::string model_name = "unknown";
    std::vector<Processor> processors;
    std::vector<std::string> flags;
};

CpuInfo read_cpuinfo(const Tree& tree) {
    CpuInfo info;
    const std::string text = tree.text("/proc/cpuinfo");
    bool named = false;
    for (const std::string_view line : lines_of(text)) {
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) {
            continue;
        }
        const std::string_view key = trimmed(line.substr(0, colon));
        const std::string_view value = trimmed(line.substr(colon + 1));
        if (key == "processor") {
            const auto number = leading_number(value);
            info.processors.push_back({number ? static_cast<int>(*number) : -1, ""});
        } else if (key == "model name" && !named) {
            info.model_name = value;
            named = true;
        } else if ((key == "physical id" || key == "core id") && !info.processors.empty()) {
            info.processors.back().core += fmt::format("{} {};", key, value);
        } else if (key == "flags" && info.flags.empty()) {
            const auto words = words_of(value);
            for (const std::string_view flag : kFlagsOfInterest) {
                if (std::find(words.begin(), words.end(), flag) != words.end()) {
                    info.flags.emplace_back(flag);
                }
            }
        }
    }
    return info;
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

/// "0-3,8" → 0 1 2 3 8.
std::vector<int> cpu_list(std::string_view text) {
    std::vector<int> cpus;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const std::string_view range = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        const auto first = leading_number(range);
        const std::size_t dash = range.find('-');
        const auto last =
            dash == std::string_view::npos ? first : leading_number(range.substr(dash + 1));
        for (auto cpu = first.value_or(kCpusMax); cpu <= last.value_or(0) && cpu < kCpusMax;
             ++cpu) {
            cpus.push_back(static_cast<int>(cpu));
        }
    }
    return cpus;
}

std::vector<int> usable_cpus(const Tree& tree, const CpuInfo& info) {
    if (tree.is_this_machine()) {
        return scheduler_cpus();
    }
    std::vector<int> cpus =
        cpu_list(value_of(tree.text("/proc/self/status"), "Cpus_allowed_list").value_or(""));
    if (cpus.empty()) {
        cpus = cpu_list(tree.line("/sys/devices/system/cpu/online").value_or(""));
    }
    for (const Processor& processor : info.processors) {
        if (!cpus.empty() && &processor == &info.processors.front()) {
            break;
        }
        cpus.push_back(processor.number);
    }
    return cpus;
}

std::string cpu_folder(int cpu) {
    return fmt::format("/sys/devices/system/cpu/cpu{}", cpu);
}

/// Hardware threads of one core name the same list of siblings.
std::size_t physical_cores(const Tree& tree, const CpuInfo& info, const std::vector<int>& cpus) {
    std::map<int, std::string> core_of;
    for (const Processor& processor : info.processors) {
        core_of[processor.number] = processor.core;
    }
    std::set<std::string> cores;
    for (const int cpu : cpus) {
        const std::string folder = cpu_folder(cpu) + "/topology/";
        std::string core = tree.line(folder + "core_cpus_list").value_or("");
        if (core.empty()) {
            core = tree.line(folder + "thread_siblings_list").value_or("");
        }
        if (core.empty()) {
            core = core_of[cpu];
        }
        cores.insert(core.empty() ? fmt::format("cpu {}", cpu) : core);
    }
    return cores.size();
}

/// "200000 100000" → 2; "max 100000" or no file → no limit. A group that may use part of a core
/// still gets one.
std::size_t quota_cores(const Tree& tree, const std::string& cpu_max_path) {
    constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);
    const std::string line = tree.line(cpu_max_path).value_or("");
    const auto words = words_of(line);
    if (words.size() != 2) {
        return kNoLimit;
    }
    const std::size_t quota = leading_number(words[0]).value_or(0);
    const std::size_t period = leading_number(words[1]).value_or(0);
    return quota == 0 || period == 0 ? kNoLimit : std::max<std::size_t>(1, quota / period);
}

/// Lowers facts.cores to the tightest quota on the way from the process's group up to the root of
/// the hierarchy.
void apply_quota(const Tree& tree, CpuFacts& facts) {
    constexpr std::string_view kVersion2 = "0::";
    std::string path;
    const std::string groups = tree.text("/proc/self/cgroup");
    for (const std::string_view line : lines_of(groups)) {
        if (line.starts_with(kVersion2)) {
            path = line.substr(kVersion2.size());
        }
    }
    while (true) {
        while (path.ends_with('/')) {
            path.pop_back();
        }
        const std::string file = fmt::format("/sys/fs/cgroup{}/cpu.max", path);
        if (const std::size_t cores = quota_cores(tree, file); cores < facts.cores) {
            facts.cores = cores;
            facts.cores_source = file;
        }
        if (path.empty()) {
            return;
        }
        const std::size_t slash = path.rfind('/');
        path.resize(slash == std::string::npos ? 0 : slash);
    }
}

/// "1024K" → 1048576.
std::size_t cache_bytes(std::string_view text) {
    const std::size_t number = leading_number(text).value_or(0);
    const std::size_t unit = text.find_first_not_of("0123456789");
    if (unit == std::string_view::npos) {
        return number;
    }
    return text[unit] == 'K' ? number << 10U : text[unit] == 'M' ? number << 20U : number;
}

std::size_t cache_level_bytes(const Tree& tree, int cpu, std::string_view level) {
    for (int index = 0; index < kCachesMax; ++index) {
        const std::string folder = fmt::format("{}/cache/index{}/", cpu_folder(cpu), index);
        if (tree.line(folder + "level") == level && tree.line(folder + "type") != "Instruction") {
            return cache_bytes(tree.line(folder + "size").value_or(""));
        }
    }
    return 0;
}

/// Of this machine the kernels know best; of another one its flags tell.
std::vector<kernels::Isa> isas_of(const Tree& tree, const CpuInfo& info) {
    using kernels::Isa;
    if (tree.is_this_machine()) {
        std::vector<Isa> isas;
        for (const Isa isa : {Isa::generic, Isa::avx2, Isa::avxvnni, Isa::avx512}) {
            if (kernels::isa_available(isa)) {
                isas.push_back(isa);
            }
        }
        return isas;
    }
    const auto has = [&](std::initializer_list<std::string_view> flags) {
        return std::all_of(flags.begin(), flags.end(), [&](std::string_view flag) {
            return std::find(info.flags.begin(), info.flags.end(), flag) != info.flags.end();
        });
    };
    std::vector<Isa> isas{Isa::generic};
    if (has({"avx2", "fma", "f16c"})) {
        isas.push_back(Isa::avx2);
        if (has({"avx_vnni"})) {
            isas.push_back(Isa::avxvnni);
        }
        if (has({"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"})) {
            isas.push_back(Isa::avx512);
        }
    }
    return isas;
}

}  // namespace

CpuFacts cpu_facts(const CpuSource& source) {
    const Tree tree(source.root);
    const CpuInfo info = read_cpuinfo(tree);
    const std::vector<int> cpus = source.cpus.empty() ? usable_cpus(tree, info) : source.cpus;
    CpuFacts facts;
    facts.model_name = info.model_name;
    facts.flags = info.flags;
    facts.threads = std::max<std::size_t>(1, cpus.size());
    facts.cores = std::max<std::size_t>(1, physical_cores(tree, info, cpus));
    facts.cores_source = kTopologySource;
    apply_quota(tree, facts);
    facts.isas = isas_of(tree, info);
    const int first = cpus.empty() ? 0 : cpus.front();
    facts.l2_bytes = cache_level_bytes(tree, first, "2");
    facts.l3_bytes = cache_level_bytes(tree, first, "3");
    return facts;
}

std::size_t default_threads() {
    return cpu_facts().cores;
}

}  // namespace trilane::probe
