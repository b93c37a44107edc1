// Remove: deletes the files of a model that we keep, and nothing else.
#include <algorithm>
#include <filesystem>

#include "catalog/file_names.h"
#include "catalog/manifest.h"
#include "catalog/model_folders.h"
#include "catalog/part_file.h"
#include "catalog/pull.h"
#include "catalog/staging.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;

/// The folder of `path`, resolved; the file's own name stays, so that a link is not followed.
fs::path resolved(const std::string& path) {
    std::error_code failed;
    const fs::path given(path);
    const fs::path parent = fs::canonical(given.parent_path(), failed);
    return failed ? fs::path() : parent / given.filename();
}

fs::path canonical(const std::string& directory) {
    std::error_code failed;
    const fs::path path = fs::canonical(directory, failed);
    return failed ? fs::path() : path;
}

Status unlink(const fs::path& path) {
    std::error_code failed;
    if (!fs::remove(path, failed) && failed) {
        return tl::unexpected(disk_error(failed.value(), path.string(), "delete"));
    }
    return {};
}

/// True when the folder holds the model, its manifest, and nothing that somebody else put there.
bool holds_only(const fs::path& folder, const std::vector<fs::path>& files) {
    std::error_code failed;
    for (fs::directory_iterator it(folder, failed), end; !failed && it != end;
         it.increment(failed)) {
        const fs::path name = it->path().filename();
        const bool ours = name == kManifestName ||
                          std::any_of(files.begin(), files.end(), [&](const fs::path& file) {
                              return file.filename() == name;
                          });
        if (!ours) {
            return false;
        }
    }
    return !failed;
}

/// Whether another model in the folder uses the projector, too.
bool projector_is_shared(const fs::path& folder, const Entry& entry) {
    const auto models = find_models_in_folder(folder.string());
    return std::any_of(models.begin(), models.end(), [&](const FoundModel& model) {
        return model.paths.front() != entry.path &&
               fs::path(model.projector).filename() == fs::path(entry.projector_path).filename();
    });
}

}  // namespace

Status remove(const Entry& entry, const std::vector<std::string>& directories) {
    if (entry.store == Store::flm) {
        return fail(Fault::invalid, "{} is kept by FLM; delete it with: flm remove {}", entry.id,
                    entry.path);
    }
    if (entry.store == Store::remote) {
        return fail(Fault::invalid, "{} is on another server; there is nothing to delete here",
                    entry.id);
    }
    if (entry.store == Store::program) {
        return fail(Fault::invalid, "{} is part of {}; remove that program to be rid of it",
                    entry.id, entry.path);
    }
    const fs::path first = resolved(entry.path);
    std::error_code ignored;
    if (first.empty() || !fs::exists(fs::symlink_status(first, ignored))) {
        return fail(Fault::not_found, "{} is gone already", entry.path);
    }
    const fs::path folder = first.parent_path();
    const bool loose = std::any_of(directories.begin(), directories.end(),
                                   [&](const std::string& d) { return canonical(d) == folder; });
    const bool in_folder =
        std::any_of(directories.begin(), directories.end(), [&](const std::string& d) {
            return canonical(d) == folder.parent_path() && !canonical(d).empty();
        });
    if (!loose && !in_folder) {
        return fail(Fault::invalid,
                    "{} is not in a folder of models that Trilane keeps; delete it "
                    "yourself if you want it gone",
                    entry.path);
    }
    std::vector<fs::path> files{first};
    for (const std::string& path : entry.more_paths) {
        files.push_back(resolved(path));
    }
    if (!entry.projector_path.empty() && !projector_is_shared(folder, entry)) {
        files.push_back(resolved(entry.projector_path));
    }
    if (!loose && holds_only(folder, files)) {
        return remove_folder(folder.string());
    }
    // The first file last: without it nothing is listed, with it the rest can still be found.
    std::reverse(files.begin(), files.end());
    for (const fs::path& file : files) {
        if (file.parent_path() != folder) {
            return fail(Fault::invalid, "{} has files outside of {}; delete it yourself", entry.id,
                        folder.string());
        }
    }
    for (const fs::path& file : files) {
        TRILANE_TRY_STATUS(unlink(file));
    }
    if (!loose && read_manifest(folder.string())) {
        return unlink(folder / kManifestName);
    }
    return {};
}

}  // namespace trilane::catalog
