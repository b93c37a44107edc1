#include "catalog/staging.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "catalog/file_names.h"
#include "catalog/part_file.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;

constexpr int kLockTriesMax = 8;

std::string gigabytes(std::uint64_t bytes) {
    return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

bool same_inode(int fd, const std::string& path) {
    struct stat held {};
    struct stat named {};
    return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

void sync_folder(const std::string& folder) {
    const os::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.open()) {
        ::fsync(fd.get());
    }
}

/// The model file that a file of the staging belongs to.
std::string_view staged_for(std::string_view name) {
    for (const std::string_view end : {".part", ".journal"}) {
        if (name.ends_with(end)) {
            return name.substr(0, name.size() - end.size());
        }
    }
    return name;
}

}  // namespace

Result<std::uint64_t> free_bytes(const std::string& folder) {
    struct statvfs facts {};
    if (::statvfs(folder.c_str(), &facts) != 0) {
        return tl::unexpected(disk_error(errno, folder, "ask for the free space of"));
    }
    return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

Status check_room(const std::string& folder, std::uint64_t need_bytes, std::uint64_t spare_bytes) {
    TRILANE_TRY(const std::uint64_t free, free_bytes(folder));
    if (free >= spare_bytes && free - spare_bytes >= need_bytes) {
        return {};
    }
    return fail(
        Fault::exhausted,
        "{} more are needed in {}, where {} are free and {} shall stay so; free space, or choose "
        "a smaller variant",
        gigabytes(need_bytes), folder, gigabytes(free), gigabytes(spare_bytes));
}

Status remove_folder(const std::string& folder) {
    const fs::path path(folder);
    std::error_code failed;
    for (int n = 0; n < kLockTriesMax; ++n) {
        const fs::path hidden = path.parent_path() / fmt::format("{}{}-{}", kRemovingPrefix,
                                                                 path.filename().string(), n);
        fs::rename(path, hidden, failed);
        if (!failed) {
            fs::remove_all(hidden, failed);
            break;
        }
        if (failed != std::errc::directory_not_empty && failed != std::errc::file_exists) {
            break;
        }
        // What an interrupted removal left.
        std::error_code ignored;
        fs::remove_all(hidden, ignored);
    }
    if (failed) {
        return tl::unexpected(disk_error(failed.value(), folder, "delete"));
    }
    return {};
}

Result<Staging> Staging::open(const std::string& directory, const std::string& id) {
    TRILANE_TRY_STATUS(check_id(id));
    Staging staging;
    staging.folder_ = directory + '/' + std::string(kStagingPrefix) + id;
    staging.place_ = directory + '/' + id;
    for (int n = 0; n < kLockTriesMax; ++n) {
        std::error_code failed;
        fs::create_directories(staging.folder_, failed);
        if (failed) {
            return tl::unexpected(disk_error(failed.value(), staging.folder_, "make"));
        }
        staging.lock_ =
            os::UniqueFd(::open(staging.folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!staging.lock_.open()) {
            if (errno == ENOENT) {
                continue;
            }
            return tl::unexpected(disk_error(errno, staging.folder_, "open"));
        }
        if (::flock(staging.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
            return fail(Fault::unavailable,
                        "another process is pulling {} into {}; wait for it, or stop it and pull "
                        "again: what has arrived is kept",
                        id, directory);
        }
        // Who held the lock may have moved the folder away between our opening and locking it.
        if (same_inode(staging.lock_.get(), staging.folder_)) {
            return staging;
        }
    }
    return fail(Fault::unavailable, "{} comes and goes; try again", staging.folder_);
}

Status Staging::keep_only(const Manifest& manifest) {
    const std::optional<Manifest> before = read_manifest(folder_);
    const bool same_source = before && before->repository == manifest.repository &&
                             before->revision == manifest.revision;
    const auto wanted = [&](std::string_view name) {
        const auto matches = [&](const ManifestFile& file) { return file.name == name; };
        const auto now = std::find_if(manifest.files.begin(), manifest.files.end(), matches);
        if (now == manifest.files.end() || !before) {
            return false;
        }
        const auto then = std::find_if(before->files.begin(), before->files.end(), matches);
        return then != before->files.end() && *then == *now &&
               (same_source || !now->sha256.empty());
    };
    std::error_code failed;
    std::vector<fs::path> strangers;
    for (fs::directory_iterator it(folder_, failed), end; !failed && it != end;
         it.increment(failed)) {
        if (!wanted(staged_for(it->path().filename().string()))) {
            strangers.push_back(it->path());
        }
    }
    for (const fs::path& path : strangers) {
        fs::remove_all(path, failed);
    }
    if (failed) {
        return tl::unexpected(disk_error(failed.value(), folder_, "clean"));
    }
    return write_manifest(folder_, manifest);
}

Status Staging::move_into_place(bool replace) {
    sync_folder(folder_);
    const auto move = [&](unsigned flags) {
        return ::renameat2(AT_FDCWD, folder_.c_str(), AT_FDCWD, place_.c_str(), flags) == 0;
    };
    bool moved = move(RENAME_NOREPLACE);
    if (!moved && errno == EINVAL) {
        // A file system that cannot promise it; the lock keeps other pulls away.
        std::error_code ignored;
        moved = !fs::exists(place_, ignored) && ::rename(folder_.c_str(), place_.c_str()) == 0;
        errno = moved ? 0 : EEXIST;
    }
    if (!moved && errno == EEXIST && !replace) {
        return fail(Fault::invalid,
                    "{} is there already; use --force to replace it, or --id to give "
                    "the new one another name",
                    place_);
    }
    if (!moved && errno == EEXIST) {
        if (move(RENAME_EXCHANGE)) {
            static_cast<void>(remove_folder(folder_));
            moved = true;
        } else {
            TRILANE_TRY_STATUS(remove_folder(place_));
            moved = ::rename(folder_.c_str(), place_.c_str()) == 0;
        }
    }
    if (!moved) {
        return tl::unexpected(disk_error(errno, place_, "make"));
    }
    sync_folder(fs::path(place_).parent_path().string());
    return {};
}

void Staging::discard() {
    static_cast<void>(remove_folder(folder_));
}

}  // namespace trilane::catalog
