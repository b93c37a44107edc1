// `trilane rm`: deletes a model from the models folder.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>

#include "app/model_files.h"
#include "app/output.h"
#include "app/verbs.h"
#include "catalog/model_folders.h"
#include "catalog/pull.h"
#include "catalog/staging.h"
#include "json/json.h"

namespace trilane::app {
namespace {

namespace fs = std::filesystem;

std::uint64_t bytes_of(const std::string& path) {
    std::error_code failed;
    const auto bytes = fs::file_size(path, failed);
    return failed ? 0 : bytes;
}

/// The model as its files' names tell it: what is broken can be deleted, too.
catalog::Entry entry_of(const catalog::FoundModel& found) {
    catalog::Entry entry;
    entry.id = found.id;
    entry.path = found.paths.front();
    entry.more_paths.assign(found.paths.begin() + 1, found.paths.end());
    entry.projector_path = found.projector;
    for (const std::string& path : found.paths) {
        entry.bytes += fs::is_symlink(path) ? 0 : bytes_of(path);
    }
    entry.bytes += found.projector.empty() ? 0 : bytes_of(found.projector);
    return entry;
}

/// True when the person at the terminal agrees.
Result<bool> agreed(const std::string& question) {
    if (!stdin_is_terminal()) {
        return fail(Fault::invalid, "nobody is there to ask; give --yes to delete without asking");
    }
    TRILANE_TRY_STATUS(print(question + " [y/N] "));
    std::array<char, 16> answer{};
    const bool read = std::fgets(answer.data(), answer.size(), stdin) != nullptr;
    return read && (answer[0] == 'y' || answer[0] == 'Y');
}

Error not_ours(const RemoveOptions& options, const std::vector<catalog::FoundModel>& ours) {
    if (const auto found = find_model(options.model, options.model_dirs)) {
        return {Fault::invalid,
                fmt::format("{} is in {}, not in Trilane's own folder {}; delete it yourself",
                            found->id, printable(found->path), printable(options.models_dir))};
    }
    std::string known;
    for (const catalog::FoundModel& model : ours) {
        known += (known.empty() ? "" : ", ") + model.id;
    }
    return {
        Fault::not_found,
        fmt::format("no model in {} is called '{}'; there are: {}", printable(options.models_dir),
                    printable(options.model, 80), known.empty() ? "none" : known)};
}

/// Half a download, if there is one of that name.
Result<bool> remove_staging(const RemoveOptions& options) {
    const std::string folder =
        options.models_dir + '/' + std::string(catalog::kStagingPrefix) + options.model;
    std::error_code ignored;
    if (options.model.find('/') != std::string::npos || !fs::is_directory(folder, ignored)) {
        return false;
    }
    TRILANE_TRY(catalog::Staging staging,
                catalog::Staging::open(options.models_dir, options.model));
    TRILANE_TRY(const bool go, options.yes ? Result<bool>(true)
                                           : agreed(fmt::format("Delete the unfinished download "
                                                                "of {}?",
                                                                options.model)));
    if (go) {
        staging.discard();
        TRILANE_TRY_STATUS(
            options.json
                ? print(json::dump({{"deleted", options.model}, {"unfinished", true}}) + '\n')
                : print(fmt::format("deleted what had arrived of {}\n", options.model)));
    }
    return true;
}

}  // namespace

Result<int> perform(const RemoveOptions& options) {
    if (options.json && !options.yes) {
        return fail(Fault::invalid, "--json asks no questions; give --yes with it");
    }
    const std::vector<std::string> own{options.models_dir};
    const auto models = catalog::find_models(own);
    const auto found =
        std::find_if(models.begin(), models.end(),
                     [&](const catalog::FoundModel& model) { return model.id == options.model; });
    if (found == models.end()) {
        TRILANE_TRY(const bool was_staging, remove_staging(options));
        return was_staging ? Result<int>(0) : tl::unexpected(not_ours(options, models));
    }
    const catalog::Entry entry = entry_of(*found);
    if (!options.yes) {
        TRILANE_TRY(const bool go,
                    agreed(fmt::format("Delete {} ({}) from {}?", entry.id,
                                       human_bytes(entry.bytes), printable(options.models_dir))));
        if (!go) {
            TRILANE_TRY_STATUS(print("kept\n"));
            return 0;
        }
    }
    TRILANE_TRY_STATUS(catalog::remove(entry, own));
    TRILANE_TRY_STATUS(
        options.json ? print(json::dump({{"deleted", entry.id}, {"bytes", entry.bytes}}) + '\n')
                     : print(fmt::format("deleted {}, {} are free again\n", entry.id,
                                         human_bytes(entry.bytes))));
    return 0;
}

}  // namespace trilane::app
