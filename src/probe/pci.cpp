#include "probe/pci.h"

#include <fmt/format.h>

#include <array>

namespace trilane::probe {
namespace {

/// pci.ids has about 1.5 MB.
constexpr std::size_t kPciIdsBytesMax = std::size_t{8} << 20U;
constexpr std::array<const char*, 3> kPciIdsFiles{
    "/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/var/lib/pciutils/pci.ids"};

std::uint32_t number_or_zero(const Tree& tree, const std::string& path) {
    return static_cast<std::uint32_t>(tree.number(path).value_or(0));
}

}  // namespace

std::vector<PciDevice> pci_devices(const Tree& tree) {
    const std::string bus = "/sys/bus/pci/devices";
    std::vector<PciDevice> devices;
    for (std::string& slot : tree.names(bus)) {
        PciDevice& one = devices.emplace_back();
        one.folder = bus + "/" + slot;
        one.slot = std::move(slot);
        one.vendor = number_or_zero(tree, one.folder + "/vendor");
        one.device = number_or_zero(tree, one.folder + "/device");
        one.revision = number_or_zero(tree, one.folder + "/revision");
        one.device_class = number_or_zero(tree, one.folder + "/class");
        one.driver = tree.link_name(one.folder + "/driver");
    }
    return devices;
}

std::string pci_name(const Tree& tree, std::uint32_t vendor, std::uint32_t device) {
    for (const char* file : kPciIdsFiles) {
        const std::string ids = tree.text(file, kPciIdsBytesMax);
        const std::string vendor_id = fmt::format("{:04x}  ", vendor);
        const std::string device_id = fmt::format("\t{:04x}  ", device);
        bool of_vendor = false;
        for (const std::string_view line : lines_of(ids)) {
            if (line.empty() || line.starts_with('#')) {
                continue;
            }
            if (!line.starts_with('\t')) {
                if (of_vendor) {
                    break;
                }
                of_vendor = line.starts_with(vendor_id);
            } else if (of_vendor && line.starts_with(device_id)) {
                return std::string(trimmed(line.substr(device_id.size())));
            }
        }
    }
    return "";
}

}  // namespace trilane::probe
