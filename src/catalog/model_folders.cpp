#include "catalog/model_folders.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "catalog/file_names.h"
#include "catalog/hub_listing.h"
#include "catalog/pull.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;

/// What stands in a directory, sorted; without hidden names.
struct Listing {
    std::vector<std::string> files;
    std::vector<std::string> folders;
};

Listing list(const std::string& directory) {
    Listing listing;
    std::error_code failed;
    std::size_t seen = 0;
    for (fs::directory_iterator it(directory, failed), end;
         !failed && it != end && seen < kFolderEntriesMax; it.increment(failed), ++seen) {
        const std::string name = it->path().filename().string();
        std::error_code ignored;
        if (name.starts_with('.')) {
            continue;
        }
        if (it->is_directory(ignored)) {
            listing.folders.push_back(name);
        } else if (it->is_regular_file(ignored)) {
            listing.files.push_back(name);
        }
    }
    std::sort(listing.files.begin(), listing.files.end());
    std::sort(listing.folders.begin(), listing.folders.end());
    return listing;
}

/// The model files of one folder: shards together, projectors apart.
struct Files {
    std::map<std::string, std::vector<std::string>> models;  ///< by stem
    std::vector<RemoteFile> projectors;
};

Files sorted_out(const std::vector<std::string>& names) {
    Files files;
    for (const std::string& name : names) {
        if (!is_model_file(name)) {
            continue;
        }
        if (is_projector(name)) {
            files.projectors.push_back({name, 0, {}});
        } else {
            // Shard numbers have leading zeros, so that the order of names is theirs.
            files.models[std::string(model_stem(name))].push_back(name);
        }
    }
    return files;
}

std::string missing_shard(const std::vector<std::string>& names) {
    const auto first = shard_of(names.front());
    const std::size_t count = first ? first->count : 1;
    for (std::size_t i = 0; i < std::max(count, names.size()); ++i) {
        const auto shard = i < names.size() ? shard_of(names[i]) : std::nullopt;
        if (count > 1 && (!shard || shard->number != i + 1 || shard->count != count)) {
            return fmt::format("shard {} of {} is missing; pull the model again or delete the rest",
                               i + 1, count);
        }
    }
    return {};
}

FoundModel made_of(const std::string& folder, const std::vector<std::string>& names) {
    FoundModel model;
    for (const std::string& name : names) {
        model.paths.push_back(folder + '/' + name);
    }
    model.problem = missing_shard(names);
    return model;
}

/// "gemma-3-4b-it-Q4_K_M" → "gemma-3-4b-it".
std::string_view without_quantization(std::string_view stem) {
    const std::string type = quantization_of(std::string(stem) + ".gguf");
    return !type.empty() && stem.size() > type.size() + 1 &&
                   equal_ignoring_case(stem.substr(stem.size() - type.size()), type)
               ? stem.substr(0, stem.size() - type.size() - 1)
               : stem;
}

/// Files beside each other in a directory: a projector goes with the model it is named for.
void add_loose_files(const std::string& directory, const Listing& listing,
                     std::vector<FoundModel>& found) {
    Files files = sorted_out(listing.files);
    for (const auto& [stem, names] : files.models) {
        FoundModel model = made_of(directory, names);
        model.id = stem;
        const std::string_view base = without_quantization(stem);
        std::vector<RemoteFile> own;
        std::copy_if(
            files.projectors.begin(), files.projectors.end(), std::back_inserter(own),
            [&](const RemoteFile& file) { return contains_ignoring_case(file.path, base); });
        if (const RemoteFile* best = best_projector(own, names.front())) {
            model.projector = directory + '/' + best->path;
        }
        found.push_back(std::move(model));
    }
}

FoundModel by_manifest(const std::string& folder, Manifest manifest) {
    FoundModel model;
    model.id = base_name(folder);
    std::error_code ignored;
    for (const ManifestFile& file : manifest.files) {
        const std::string path = folder + '/' + file.name;
        if (!fs::is_regular_file(path, ignored)) {
            model.problem = fmt::format("{} is missing; pull the model again", shown(file.name));
        } else if (file.projector) {
            model.projector = model.projector.empty() ? path : model.projector;
        } else {
            model.paths.push_back(path);
        }
    }
    model.manifest = std::move(manifest);
    return model;
}

}  // namespace

std::vector<FoundModel> find_models_in_folder(const std::string& folder) {
    if (auto manifest = read_manifest(folder)) {
        FoundModel model = by_manifest(folder, std::move(*manifest));
        if (!model.paths.empty()) {
            return {std::move(model)};
        }
    }
    const Files files = sorted_out(list(folder).files);
    std::vector<FoundModel> found;
    for (const auto& [stem, names] : files.models) {
        FoundModel model = made_of(folder, names);
        model.id = files.models.size() == 1 ? std::string(base_name(folder)) : stem;
        if (const RemoteFile* best = best_projector(files.projectors, names.front())) {
            model.projector = folder + '/' + best->path;
        }
        found.push_back(std::move(model));
    }
    return found;
}

std::vector<FoundModel> find_models(std::span<const std::string> directories) {
    std::map<std::string, FoundModel> by_id;
    for (const std::string& directory : directories) {
        const Listing listing = list(directory);
        std::vector<FoundModel> found;
        add_loose_files(directory, listing, found);
        for (const std::string& folder : listing.folders) {
            for (FoundModel& model : find_models_in_folder(directory + '/' + folder)) {
                found.push_back(std::move(model));
            }
        }
        for (FoundModel& model : found) {
            std::string id = model.id;
            by_id.emplace(std::move(id), std::move(model));
        }
    }
    std::vector<FoundModel> models;
    models.reserve(by_id.size());
    for (auto& [id, model] : by_id) {
        models.push_back(std::move(model));
    }
    return models;
}

}  // namespace trilane::catalog
