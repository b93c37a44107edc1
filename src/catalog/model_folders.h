// Model folders: which files in the folders of models belong together, and what they are called. By
// names and manifests alone: no model file is opened.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "catalog/manifest.h"

namespace trilane::catalog {

inline constexpr std::size_t kFolderEntriesMax = 65'536;

/// A model as its files' names tell it.
struct FoundModel {
    std::string id;
    std::vector<std::string> paths;  ///< shards in order; the first is what engines are given
    std::string projector;           ///< "" = none
    std::string problem;             ///< why it cannot be loaded as it lies; "" = nothing known
    std::optional<Manifest> manifest;
};

/// The models in `directories`, sorted by id; of equal ids the first directory's is kept. Folders
/// that do not exist are empty.
std::vector<FoundModel> find_models(std::span<const std::string> directories);

/// The models in one folder of a directory.
std::vector<FoundModel> find_models_in_folder(const std::string& folder);

}  // namespace trilane::catalog
