#include "probe/power.h"

#include <fmt/format.h>

namespace trilane::probe {

std::vector<PowerMeter> power_meters(const Tree& tree, const Access& access) {
    std::vector<PowerMeter> meters;
    const std::string powercap = "/sys/class/powercap";
    for (const std::string& zone : tree.names(powercap)) {
        // "intel-rapl" alone is the folder of them all. AMD's have that name, too.
        if (!zone.starts_with("intel-rapl:")) {
            continue;
        }
        const std::string folder = fmt::format("{}/{}", powercap, zone);
        const std::string source = folder + "/energy_uj";
        meters.push_back({tree.line(folder + "/name").value_or(zone), "rapl", source,
                          access.can_read_root_file(source)});
    }
    const std::string monitors = "/sys/class/hwmon";
    for (const std::string& monitor : tree.names(monitors)) {
        const std::string folder = fmt::format("{}/{}", monitors, monitor);
        for (const char* file : {"power1_average", "power1_input"}) {
            const std::string source = fmt::format("{}/{}", folder, file);
            if (tree.exists(source)) {
                meters.push_back(
                    {tree.line(folder + "/name").value_or(monitor), "hwmon", source, true});
                break;
            }
        }
    }
    return meters;
}

}  // namespace trilane::probe
