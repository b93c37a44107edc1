// Import: a GGUF file that is on this machine already, copied or linked into the models folder.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>

#include "catalog/file_names.h"
#include "catalog/model_folders.h"
#include "catalog/model_header.h"
#include "catalog/part_file.h"
#include "catalog/progress_meter.h"
#include "catalog/pull.h"
#include "catalog/staging.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopyBytes = 32U << 20U;

/// Copies within the kernel, where the file system can without moving a byte.
Status copy_file(const std::string& from, const std::string& to, const CancelToken& cancel,
                 const std::function<void(std::uint64_t)>& on_bytes) {
    const os::UniqueFd source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
    if (!source.open()) {
        return tl::unexpected(disk_error(errno, from, "open"));
    }
    const os::UniqueFd target(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!target.open()) {
        return tl::unexpected(disk_error(errno, to, "make"));
    }
    bool in_kernel = true;
    std::vector<std::byte> piece;
    for (;;) {
        if (cancel.cancelled()) {
            return fail(Fault::cancelled, "stopped; nothing was imported");
        }
        ssize_t moved = 0;
        if (in_kernel) {
            moved = ::copy_file_range(source.get(), nullptr, target.get(), nullptr, kCopyBytes, 0);
            if (moved < 0 &&
                (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
                in_kernel = false;
                piece.resize(kCopyBytes);
                continue;
            }
        } else {
            moved = ::read(source.get(), piece.data(), piece.size());
            for (ssize_t at = 0; at < moved;) {
                const ssize_t wrote =
                    ::write(target.get(), piece.data() + at, static_cast<std::size_t>(moved - at));
                if (wrote < 0) {
                    return tl::unexpected(disk_error(errno, to, "write"));
                }
                at += wrote;
            }
        }
        if (moved < 0) {
            return tl::unexpected(disk_error(errno, to, "write"));
        }
        if (moved == 0) {
            break;
        }
        on_bytes(static_cast<std::uint64_t>(moved));
    }
    if (::fsync(target.get()) != 0) {
        return tl::unexpected(disk_error(errno, to, "write"));
    }
    return {};
}

Status link_file(const std::string& from, const std::string& to) {
    if (::symlink(from.c_str(), to.c_str()) != 0) {
        return tl::unexpected(disk_error(errno, to, "make"));
    }
    return {};
}

struct Source {
    Entry entry;
    std::vector<std::string> paths;  ///< absolute
    Manifest manifest;
};

Result<Source> look_at(const std::string& path) {
    std::error_code failed;
    const fs::path absolute = fs::canonical(path, failed);
    if (failed) {
        return fail(
            failed == std::errc::no_such_file_or_directory ? Fault::not_found : Fault::unavailable,
            "cannot open {}: {}; give the path of a GGUF file", path, failed.message());
    }
    if (!is_model_file(base_name(absolute.string())) ||
        is_projector(base_name(absolute.string()))) {
        return fail(Fault::invalid,
                    "{} is not called like a model (*.gguf); rename it or name another "
                    "file",
                    path);
    }
    Source source;
    TRILANE_TRY(source.entry, entry_of_file(absolute.string()));
    source.paths = source.entry.more_paths;
    source.paths.insert(source.paths.begin(), source.entry.path);
    source.manifest.added_unix_s = std::time(nullptr);
    for (const std::string& file : source.paths) {
        source.manifest.files.push_back(
            {safe_file_name(base_name(file)), file, fs::file_size(file, failed), "", false});
    }
    return source;
}

}  // namespace

Result<Entry> import_file(const std::string& path, const PullOptions& options, bool link) {
    TRILANE_TRY(const Source source, look_at(path));
    const std::string id = options.id.empty() ? safe_file_name(source.entry.id) : options.id;
    TRILANE_TRY_STATUS(check_id(id));
    const std::string place = options.directory + '/' + id;
    std::error_code ignored;
    if (fs::exists(place + ".gguf", ignored) || (fs::exists(place, ignored) && !options.force)) {
        return fail(Fault::invalid,
                    "there is a model called {} in {} already; use --id to give the new "
                    "one another name",
                    id, options.directory);
    }
    TRILANE_TRY(Staging staging, Staging::open(options.directory, id));
    const auto bring = [&]() -> Status {
        TRILANE_TRY_STATUS(staging.keep_only(Manifest{}));
        if (!link) {
            TRILANE_TRY_STATUS(
                check_room(staging.folder(), source.entry.bytes, options.spare_bytes));
        }
        ProgressMeter meter(source.entry.bytes, options.on_progress);
        std::uint64_t done = 0;
        for (std::size_t i = 0; i < source.paths.size(); ++i) {
            const std::string& name = source.manifest.files[i].name;
            const std::string to = staging.folder() + '/' + name;
            meter.begin("copying", name);
            TRILANE_TRY_STATUS(
                link ? link_file(source.paths[i], to)
                     : copy_file(source.paths[i], to, options.cancel, [&](std::uint64_t bytes) {
                           done += bytes;
                           meter.tick(done);
                       }));
        }
        TRILANE_TRY_STATUS(write_manifest(staging.folder(), source.manifest));
        return staging.move_into_place(options.force);
    };
    if (Status brought = bring(); !brought) {
        staging.discard();
        return tl::unexpected(std::move(brought).error());
    }
    const auto found = find_models_in_folder(place);
    if (found.size() != 1) {
        return fail(Fault::internal, "{} holds {} models after the import; report this", place,
                    found.size());
    }
    return entry_of(found.front(), read_model_header);
}

}  // namespace trilane::catalog
