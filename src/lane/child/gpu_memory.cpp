#include "lane/child/gpu_memory.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <system_error>

#include "os/small_file.h"

namespace trilane::lane {
namespace {

namespace fs = std::filesystem;

/// "123456 KiB" → bytes. A number without a unit is bytes.
std::uint64_t parse_bytes(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) {
        return 0;
    }
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    constexpr std::array<std::pair<std::string_view, unsigned>, 2> kUnits{
        {{"KiB", 10U}, {"MiB", 20U}}};
    for (const auto& [name, shift] : kUnits) {
        if (unit.find(name) != std::string_view::npos) {
            return number << shift;
        }
    }
    return number;
}

/// Of one client: drm-resident-<region> where the driver has it, else drm-memory-<region>, which
/// amdgpu has had for longer. The "cpu" region is counted in the process's own resident memory.
struct Regions {
    GpuBytes resident;
    GpuBytes memory;
    bool has_resident = false;
};

/// Regions are named "vram" (amdgpu), "vram0" (xe) or "local0" (i915) where they are the GPU's own.
std::uint64_t& place_of(GpuBytes& bytes, std::string_view region) {
    return region.starts_with("vram") || region.starts_with("local") ? bytes.vram : bytes.system;
}

void read_region(Regions& regions, std::string_view key, std::string_view value) {
    constexpr std::string_view kResident = "drm-resident-";
    constexpr std::string_view kMemory = "drm-memory-";
    if (key.starts_with(kResident) && key.substr(kResident.size()) != "cpu") {
        place_of(regions.resident, key.substr(kResident.size())) += parse_bytes(value);
        regions.has_resident = true;
    } else if (key.starts_with(kMemory) && key.substr(kMemory.size()) != "cpu") {
        place_of(regions.memory, key.substr(kMemory.size())) += parse_bytes(value);
    }
}

}  // namespace

DrmClient parse_fdinfo(std::string_view text) {
    DrmClient client;
    Regions regions;
    std::string device;
    std::string number;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !line.starts_with("drm-")) {
            continue;
        }
        const std::string_view key = line.substr(0, colon);
        const std::string_view value = line.substr(colon + 1);
        if (key == "drm-pdev") {
            device = value;
        } else if (key == "drm-client-id") {
            number = value;
        } else {
            read_region(regions, key, value);
        }
    }
    if (!number.empty()) {
        client.id = device + "/" + number;
        client.bytes = regions.has_resident ? regions.resident : regions.memory;
    }
    return client;
}

GpuBytes gpu_bytes_of(pid_t pid, const std::string& proc) {
    std::map<std::string, GpuBytes> clients;
    const std::string folder = proc + "/" + std::to_string(pid);
    std::error_code error;
    int left = kFdInfosMax;
    for (fs::directory_iterator each(folder + "/fd", error), last;
         !error && each != last && left > 0; each.increment(error), --left) {
        // Sockets, pipes and plain files are most of them; only device nodes are opened below.
        std::error_code unreadable;
        const fs::path target = fs::read_symlink(each->path(), unreadable);
        if (unreadable || !target.native().starts_with("/dev/")) {
            continue;
        }
        constexpr std::size_t kFdInfoBytesMax = 65'536;
        const std::string text =
            os::read_small_file(folder + "/fdinfo/" + each->path().filename().string(),
                                kFdInfoBytesMax)
                .value_or("");  // its owner may have closed it meanwhile
        if (DrmClient client = parse_fdinfo(text); !client.id.empty()) {
            clients[client.id] = client.bytes;
        }
    }
    GpuBytes bytes;
    for (const auto& [id, held] : clients) {
        bytes.system += held.system;
        bytes.vram += held.vram;
    }
    return bytes;
}

}  // namespace trilane::lane
