// The memory of this machine and of this process's control groups. Devices' own memory is gpu.h's.
#pragma once

#include "probe/machine.h"
#include "probe/tree.h"

namespace trilane::probe {

MemoryFacts memory_facts(const Tree& tree);

/// The pools that loads draw from, each byte once. Memory that an APU's GPU reaches through its GTT
/// is system memory and no pool of its own; what its firmware cut out for it is one. A control
/// group's limit makes the system's pool smaller.
std::vector<MemoryPool> memory_pools(const MemoryFacts& memory, const std::vector<GpuFacts>& gpus);

}  // namespace trilane::probe
