// AMD's NPUs, by PCI, the accel class and the driver's sysfs attributes. Nothing here wakes one:
// no device node is opened, and the power state is what PCI remembers.
#pragma once

#include <vector>

#include "probe/access.h"
#include "probe/machine.h"
#include "probe/pci.h"
#include "probe/tree.h"

namespace trilane::probe {

std::vector<NpuFacts> npu_facts(const Tree& tree, const Access& access,
                                const std::vector<PciDevice>& devices);

/// Reads the power state again.
void refresh_npu(const Tree& tree, NpuFacts& npu);

}  // namespace trilane::probe
