// Model files: which GGUF files lie in the folders that hold models, and which one a name means.
// Looks at names only; what is in a file is gguf's business.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trilane::app {

/// The id of the model that comes with Trilane: small stories and short answers, no assistant.
inline constexpr std::string_view kBundledId = "trilane-nano";

struct ModelFile {
    std::string id;  ///< as people and clients name it
    std::string path;
};

/// The models in `dirs`: `<dir>/<id>.gguf`, or `<dir>/<id>/<anything>.gguf` where it is the
/// folder's only one (several there are named by file). Sorted by id; of equal ids the first
/// folder's is kept. Folders that do not exist are empty.
std::vector<ModelFile> list_models(std::span<const std::string> dirs);

/// What `name` means: "bundled", an id that list_models gives, or the path of a file.
/// **Errors:** not_found, naming what there is.
Result<ModelFile> find_model(std::string_view name, std::span<const std::string> dirs);

/// Whether find_model would take `name` for a model rather than for other text.
bool names_model(std::string_view name, std::span<const std::string> dirs);

}  // namespace trilane::app
