#include "catalog/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "catalog/part_file.h"
#include "os/unique_fd.h"

namespace trilane::catalog {

Status make_folder(const std::string& path) {
    std::error_code failed;
    std::filesystem::create_directories(path, failed);
    return failed ? tl::unexpected(disk_error(failed.value(), path, "make")) : Status();
}

Status replace_file(const std::string& path, std::string_view text) {
    const std::string beside = path + ".new";
    {
        const os::UniqueFd fd(
            ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
        while (fd.open() && !text.empty()) {
            const ssize_t wrote = ::write(fd.get(), text.data(), text.size());
            if (wrote < 0 && errno != EINTR) {
                return tl::unexpected(disk_error(errno, beside, "write"));
            }
            text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(wrote, 0)));
        }
        if (!fd.open() || ::fsync(fd.get()) != 0) {
            return tl::unexpected(disk_error(errno, beside, "write"));
        }
    }
    if (::rename(beside.c_str(), path.c_str()) != 0) {
        return tl::unexpected(disk_error(errno, path, "place"));
    }
    return {};
}

}  // namespace trilane::catalog
