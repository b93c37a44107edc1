// EngineDevice of a GPU: which line of an engine's --list-devices is the card that the kernel
// knows. Pure; asks nobody. Where it cannot be told for certain it is not told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "probe/engines.h"
#include "probe/machine.h"

namespace trilane::probe {

/// By what a card is known again in a list of an engine's. Empty = there is no need to.
struct GpuMark {
    std::string product;             ///< "GeForce RTX 4090"; "" = not known
    std::string gfx;                 ///< "gfx1151"; "" = not known
    std::uint64_t memory_bytes = 0;  ///< its own; 0 = not known, or shared with the system
    std::size_t equals = 0;          ///< cards of its kind, itself included; 0 = no mark
    std::size_t place = 0;           ///< among these, in the order of their slots
    [[nodiscard]] bool empty() const { return equals == 0; }
};

/// Of one of the machine's GPUs; empty where it is the only one.
GpuMark mark_of(const Machine& machine, std::size_t gpu);

/// The name of the device that this is ("Vulkan1"). "" = none is, or several may be.
std::string engine_device_of(const GpuMark& mark, std::span<const EngineDevice> devices);

}  // namespace trilane::probe
