// Kernel, distribution, container and installed libraries, as far as lanes care.
#pragma once

#include <span>

#include "probe/access.h"
#include "probe/machine.h"
#include "probe/tree.h"

namespace trilane::probe {

SystemFacts system_facts(const Tree& tree, const Access& access, const CpuFacts& cpu);

/// Where shared libraries are looked for.
std::span<const char* const> library_folders();

/// XRT's driver for AMD's NPUs. FLM loads it by this name.
inline constexpr const char* kXrtPluginName = "libxrt_driver_xdna.so.2";

}  // namespace trilane::probe
