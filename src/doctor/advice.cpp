#include "doctor/advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <sstream>

namespace trilane::doctor {
namespace {

using probe::Container;
using probe::Machine;

enum class Family { fedora, fedora_atomic, debian, ubuntu, arch, nixos, other };

Family family_of(const Machine& machine) {
    const std::string& name = machine.system.distribution.value;
    const auto any = [&](std::initializer_list<std::string_view> words) {
        for (const std::string_view word : words) {
            if (name.find(word) != std::string::npos) {
                return true;
            }
        }
        return false;
    };
    if (any({"Silverblue", "Kinoite", "Bazzite", "Bluefin", "Aurora", "CoreOS"})) {
        return Family::fedora_atomic;
    }
    if (any({"Fedora", "Nobara", "CentOS", "Red Hat", "Alma", "Rocky"})) {
        return Family::fedora;
    }
    if (any({"Debian", "Proxmox"})) {
        return Family::debian;
    }
    if (any({"Ubuntu", "Mint", "Pop!_OS", "elementary"})) {
        return Family::ubuntu;
    }
    if (any({"Arch", "CachyOS", "Manjaro", "EndeavourOS"})) {
        return Family::arch;
    }
    return any({"NixOS"}) ? Family::nixos : Family::other;
}

std::string joined(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " "));
}

/// "add a b and remove c"
std::string in_words(const std::vector<std::string>& add, const std::vector<std::string>& remove) {
    std::string text = add.empty() ? "" : "add " + joined(add);
    if (!remove.empty()) {
        text += (text.empty() ? "" : " and ") + ("remove " + joined(remove));
    }
    return text;
}

}  // namespace

bool host_decides(const Machine& machine) {
    switch (machine.system.container) {
        case Container::lxc:
        case Container::lxc_unprivileged:
        case Container::docker:
        case Container::podman:
            return true;
        case Container::none:
        case Container::wsl:
        case Container::kvm:
        case Container::other:
            break;
    }
    return false;
}

std::vector<std::string> boot_arguments(const Machine& machine) {
    std::istringstream line(machine.system.kernel_command_line.value);
    std::vector<std::string> words;
    for (std::string word; line >> word;) {
        words.push_back(word);
    }
    return words;
}

std::string change_boot_arguments(const Machine& machine, const std::vector<std::string>& add,
                                  const std::vector<std::string>& remove) {
    if (host_decides(machine)) {
        return fmt::format("On the host, {} on the kernel's command line, and restart it.",
                           in_words(add, remove));
    }
    switch (family_of(machine)) {
        case Family::fedora:
            return fmt::format(
                "sudo grubby --update-kernel=ALL{}{}\nsudo reboot",
                add.empty() ? "" : fmt::format(" --args=\"{}\"", joined(add)),
                remove.empty() ? "" : fmt::format(" --remove-args=\"{}\"", joined(remove)));
        case Family::fedora_atomic: {
            std::string command = "sudo rpm-ostree kargs";
            for (const std::string& word : add) {
                command += " --append-if-missing=" + word;
            }
            for (const std::string& word : remove) {
                command += " --delete-if-present=" + word;
            }
            return command + "\nsudo systemctl reboot";
        }
        case Family::debian:
        case Family::ubuntu:
            return fmt::format(
                "In /etc/default/grub, GRUB_CMDLINE_LINUX_DEFAULT: {}. Then:\nsudo update-grub\n"
                "sudo reboot",
                in_words(add, remove));
        case Family::arch:
            return fmt::format(
                "On the kernel's command line (GRUB: /etc/default/grub, then `sudo grub-mkconfig "
                "-o "
                "/boot/grub/grub.cfg`; systemd-boot: /boot/loader/entries): {}. Then:\nsudo reboot",
                in_words(add, remove));
        case Family::nixos:
            return fmt::format(
                "In boot.kernelParams: {}. Then:\nsudo nixos-rebuild boot\nsudo reboot",
                in_words(add, remove));
        case Family::other:
            break;
    }
    return fmt::format("In the boot loader's kernel command line: {}. Then restart.",
                       in_words(add, remove));
}

std::string install(const Machine& machine, const Package& package) {
    const auto command = [&](std::string_view installing, std::string_view name,
                             std::string_view upgrading) {
        return fmt::format(
            "{}{}", host_decides(machine) ? "On the host:\n" : "",
            name.empty() ? std::string(upgrading) : fmt::format("{} {}", installing, name));
    };
    switch (family_of(machine)) {
        case Family::fedora:
            return command("sudo dnf install", package.fedora, "sudo dnf upgrade --refresh");
        case Family::fedora_atomic:
            return command("", "", "sudo rpm-ostree upgrade");
        case Family::debian:
            return command("sudo apt update && sudo apt install", package.debian,
                           "sudo apt update && sudo apt full-upgrade");
        case Family::ubuntu:
            return command("sudo apt update && sudo apt install", package.ubuntu,
                           "sudo apt update && sudo apt full-upgrade");
        case Family::arch:
            return command("sudo pacman -Syu", package.arch, "sudo pacman -Syu");
        case Family::nixos:
            return command("", "", "sudo nixos-rebuild switch --upgrade");
        case Family::other:
            break;
    }
    return command("Install the newest", package.ubuntu, "Bring the system up to date.");
}

std::string join_group(const Machine& machine, std::string_view group) {
    const std::string& user = machine.system.user;
    const std::string who = user.empty() || user == "root" ? "$USER" : user;
    return fmt::format(
        "sudo usermod -aG {} {}\nThen log out and in again (services: restart them).", group, who);
}

std::string unlimited_locking(const Machine& machine) {
    switch (machine.system.container) {
        case Container::lxc:
        case Container::lxc_unprivileged:
            return "On the host, in the container's configuration (Proxmox: "
                   "/etc/pve/lxc/ID.conf):\n"
                   "lxc.prlimit.memlock: unlimited\nThen restart the container.";
        case Container::docker:
        case Container::podman:
            return "Start the container with --ulimit memlock=-1:-1";
        case Container::none:
        case Container::wsl:
        case Container::kvm:
        case Container::other:
            break;
    }
    return "For a login:\nprintf '* - memlock unlimited\\n' | sudo tee "
           "/etc/security/limits.d/90-npu.conf\nThen log out and in again. For a service, in its "
           "unit:\n[Service]\nLimitMEMLOCK=infinity";
}

std::string hand_in(const Machine& machine, std::string_view node) {
    switch (machine.system.container) {
        case Container::lxc:
        case Container::lxc_unprivileged:
            return fmt::format(
                "On the host, in the container's configuration (Proxmox: /etc/pve/lxc/ID.conf), "
                "with "
                "the number of the group render inside the container as gid:\ndev0: "
                "{},gid=$(getent group render | cut -d: -f3)\nThen restart the container.",
                node);
        case Container::docker:
        case Container::podman:
            return fmt::format("Start the container with --device {}", node);
        case Container::none:
        case Container::wsl:
        case Container::kvm:
        case Container::other:
            break;
    }
    return "sudo udevadm trigger && sudo udevadm settle";
}

std::string binary_bytes(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    constexpr double kStep = 1024.0;
    auto shown = static_cast<double>(bytes);
    std::size_t unit = 0;
    // 1023.95 would print as "1024.0".
    while (shown >= 1023.95 && unit + 1 < kUnits.size()) {
        shown /= kStep;
        ++unit;
    }
    std::string number = fmt::format("{:.{}f}", shown, shown >= 99.95 ? 0 : 1);
    if (number.ends_with(".0")) {
        number.resize(number.size() - 2);
    }
    return fmt::format("{} {}", number, kUnits[unit]);
}

}  // namespace trilane::doctor
