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

/// Sum over its DRM clients, each counted once, of the memory that they have resident; 0 when there
/// are none or it cannot be read. `proc` stands for "/proc".
std::uint64_t gpu_bytes_of(pid_t pid, const std::string& proc = "/proc");

/// One fdinfo's client ("drm-pdev" and "drm-client-id"; "" = no DRM file) and its bytes.
struct DrmClient {
    std::string id;
    std::uint64_t bytes = 0;
};
DrmClient parse_fdinfo(std::string_view text);

}  // namespace trilane::lane
