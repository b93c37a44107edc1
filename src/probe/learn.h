// Learn: what no file of the kernel tells and asking engines and drivers did, put into the
// machine's facts. Asks nobody itself.
#pragma once

#include <span>

#include "probe/engines.h"
#include "probe/machine.h"
#include "probe/vulkan.h"

namespace trilane::probe {

/// Whether there is a discrete GPU whose memory no file tells.
bool has_to_learn(const Machine& machine);

/// Fills in, where it is unknown, the memory of discrete GPUs (NVIDIA's driver has no file for it):
/// first from the engines' lists of devices, which know what is free, then from Vulkan's heaps; and
/// Mesa's version from its own driver. Facts that files told stay. Makes the pools anew.
void learn(Machine& machine, std::span<const Engine> engines, std::span<const VulkanDevice> vulkan);

}  // namespace trilane::probe
