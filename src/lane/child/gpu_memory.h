// Memory that a process holds on GPUs, as the kernel's DRM drivers tell it in /proc/<pid>/fdinfo
// (kernel documentation, gpu/drm-usage-stats). Other users' processes cannot be asked.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace trilane::lane {

/// Open files of a process that are looked at.
inline constexpr int kFdInfosMax = 4096;

/// What is resident, by where it lies.
struct GpuBytes {
    std::uint64_t system = 0;  ///< of the system's memory, given to a GPU (GTT)
    std::uint64_t vram = 0;    ///< of a GPU's own
    [[nodiscard]] bool operator==(const GpuBytes&) const = default;
};

/// Sum over its DRM clients, each counted once; zeros when there are none or it cannot be read.
/// `proc` stands for "/proc".
GpuBytes gpu_bytes_of(pid_t pid, const std::string& proc = "/proc");

/// One fdinfo's client ("drm-pdev" and "drm-client-id"; "" = no DRM file) and its bytes.
struct DrmClient {
    std::string id;
    GpuBytes bytes;
};
DrmClient parse_fdinfo(std::string_view text);

}  // namespace trilane::lane
