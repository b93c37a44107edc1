#include "os/orphans.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "os/small_file.h"
#include "os/unique_fd.h"

namespace trilane::os {
namespace {

constexpr std::string_view kMarkName = "TRILANE_OWNER=";
constexpr std::size_t kStatBytesMax = 4096;
constexpr std::size_t kEnvironmentBytesMax = std::size_t{4} << 20U;

std::optional<std::uint64_t> number_at(std::string_view& text) {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc()) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

/// When a process began, in ticks since the machine did; absent: there is none of that number.
std::optional<std::uint64_t> start_of(pid_t pid) {
    const auto stat = read_small_file(fmt::format("/proc/{}/stat", pid), kStatBytesMax);
    // The name, in parentheses, may hold anything; the start is the twentieth field behind it.
    constexpr int kFieldsBefore = 20;
    std::string_view rest = stat ? std::string_view(*stat) : std::string_view();
    rest.remove_prefix(std::min(rest.rfind(')') + 1, rest.size()));
    for (int i = 0; i < kFieldsBefore && !rest.empty(); ++i) {
        rest.remove_prefix(std::min(rest.find(' ') + 1, rest.size()));
    }
    return number_at(rest);
}

/// The space of process numbers that this process lives in: "pid:[4026531836]".
std::string own_space() {
    std::error_code failed;
    const auto space = std::filesystem::read_symlink("/proc/self/ns/pid", failed);
    return failed ? std::string() : space.string();
}

struct Owner {
    std::string_view space;
    pid_t pid = -1;
    std::uint64_t start = 0;
};

/// "SPACE/PID/START" behind the mark's name, among the texts of an environment.
std::optional<Owner> owner_in(std::string_view environment) {
    while (!environment.empty()) {
        std::string_view text = environment.substr(0, environment.find('\0'));
        environment.remove_prefix(std::min(text.size() + 1, environment.size()));
        if (!text.starts_with(kMarkName)) {
            continue;
        }
        text.remove_prefix(kMarkName.size());
        Owner owner;
        owner.space = text.substr(0, text.find('/'));
        text.remove_prefix(std::min(owner.space.size() + 1, text.size()));
        const auto pid = number_at(text);
        text.remove_prefix(text.starts_with('/') ? 1 : 0);
        const auto start = number_at(text);
        if (!pid || !start || !text.empty()) {
            return std::nullopt;
        }
        owner.pid = static_cast<pid_t>(*pid);
        owner.start = *start;
        return owner;
    }
    return std::nullopt;
}

/// Ends it if it is an orphan.
bool end_if_orphan(pid_t pid, const std::string& space) {
    // Held before it is looked at: a number may come to mean another process meanwhile.
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const auto environment =
        read_small_file(fmt::format("/proc/{}/environ", pid), kEnvironmentBytesMax);
    if (!process.open() || !environment) {
        return false;
    }
    const auto owner = owner_in(*environment);
    return owner && owner->space == space && start_of(owner->pid) != owner->start &&
           ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) == 0;
}

}  // namespace

const std::string& owner_mark() {
    static const std::string kMark = [] {
        const std::string space = own_space();
        const auto start = start_of(::getpid());
        return space.empty() || !start
                   ? std::string()
                   : fmt::format("{}{}/{}/{}", kMarkName, space, ::getpid(), *start);
    }();
    return kMark;
}

std::size_t end_orphans() {
    const std::string space = own_space();
    std::size_t ended = 0;
    std::error_code failed;
    for (std::filesystem::directory_iterator each("/proc", failed), last;
         !space.empty() && !failed && each != last; each.increment(failed)) {
        const std::string name = each->path().filename().string();
        std::string_view rest = name;
        const auto pid = number_at(rest);
        if (pid && rest.empty() && static_cast<pid_t>(*pid) != ::getpid()) {
            ended += end_if_orphan(static_cast<pid_t>(*pid), space) ? 1U : 0U;
        }
    }
    return ended;
}

}  // namespace trilane::os
