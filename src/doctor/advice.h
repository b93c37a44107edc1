// Advice: how the same thing is done on different distributions and in containers, as lines that a
// person can copy. Decides nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "probe/machine.h"

namespace trilane::doctor {

/// Whether this is a container whose kernel and devices are the host's business.
bool host_decides(const probe::Machine& machine);

/// Words of the kernel's command line.
std::vector<std::string> boot_arguments(const probe::Machine& machine);

/// How to change that line, and to start with it. Either list may be empty.
std::string change_boot_arguments(const probe::Machine& machine,
                                  const std::vector<std::string>& add,
                                  const std::vector<std::string>& remove);

/// What a package is called where; empty = something that every system has under its own name, so
/// that all of it is brought up to date.
struct Package {
    std::string_view fedora;
    std::string_view debian;
    std::string_view ubuntu;
    std::string_view arch;
};
/// The command that installs the newest there is of it.
std::string install(const probe::Machine& machine, const Package& package);

/// How to get into a group, or, in a container, to be given the device.
std::string join_group(const probe::Machine& machine, std::string_view group);

/// How this process's children may lock as much memory as they like.
std::string unlimited_locking(const probe::Machine& machine);

/// How a device node gets into this container.
std::string hand_in(const probe::Machine& machine, std::string_view node);

/// "122.5 GiB", "512 MiB".
std::string binary_bytes(std::uint64_t bytes);

}  // namespace trilane::doctor
