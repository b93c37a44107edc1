// Facts of this machine's CPU, as far as this process may use it. No policy, no measurement.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace trilane::probe {

struct CpuFacts {
    std::string model_name;          ///< "unknown" where the kernel does not say
    std::size_t cores = 1;           ///< physical cores this process may use, ≥ 1
    std::size_t threads = 1;         ///< hardware threads this process may use, ≥ 1
    std::string cores_source;        ///< what decided on `cores`: the topology or a quota's file
    std::vector<kernels::Isa> isas;  ///< kernel tables this CPU can run, slowest first
    std::vector<std::string> flags;  ///< of /proc/cpuinfo, those that inference cares about
    std::size_t l2_bytes = 0;        ///< of the first usable CPU; 0 = not known
    std::size_t l3_bytes = 0;
};

/// Where the facts are read. The defaults are this machine; tests set both.
struct CpuSource {
    std::string root = "/";  ///< what stands for "/" before proc/ and sys/
    std::vector<int> cpus;   ///< usable logical CPUs; empty: ask the scheduler, or the root's files
};

/// Reads /proc/cpuinfo, the CPUs' topology and caches in sysfs, and the CPU quota of the process's
/// control group (version 2) and of all groups above it. What cannot be read counts as absent: two
/// hardware threads of one core count once, a quota of 1.5 CPUs counts as one core.
CpuFacts cpu_facts(const CpuSource& source = {});

/// Threads for compute when nobody says otherwise: one per usable physical core.
std::size_t default_threads();

}  // namespace trilane::probe
