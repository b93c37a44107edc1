// The GPUs of this machine, by PCI, DRM, amdgpu's sysfs, KFD and NVIDIA's /proc. Nothing is opened
// that could wake a sleeping one.
#pragma once

#include <string>
#include <vector>

#include "probe/access.h"
#include "probe/machine.h"
#include "probe/pci.h"
#include "probe/tree.h"

namespace trilane::probe {

/// What the facts of GPUs lean on beside their own files.
struct GpuSurroundings {
    std::string cpu_model_name;
    std::string kernel_release;
};

std::vector<GpuFacts> gpu_facts(const Tree& tree, const Access& access,
                                const std::vector<PciDevice>& devices,
                                const GpuSurroundings& surroundings);

/// Reads what changes from second to second: memory in use, load, power, temperature.
void refresh_gpu(const Tree& tree, GpuFacts& gpu);

}  // namespace trilane::probe
