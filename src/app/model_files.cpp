#include "app/model_files.h"

#include <filesystem>

#include "app/options.h"
#include "catalog/model_folders.h"

namespace trilane::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".gguf";

}  // namespace

std::vector<ModelFile> list_models(std::span<const std::string> dirs) {
    std::vector<ModelFile> models;
    for (const catalog::FoundModel& found : catalog::find_models(dirs)) {
        models.push_back({found.id, found.paths.front()});
    }
    return models;
}

Result<ModelFile> find_model(std::string_view name, std::span<const std::string> dirs) {
    const std::vector<ModelFile> models = list_models(dirs);
    const std::string_view wanted = name == kBundledName ? kBundledId : name;
    for (const ModelFile& model : models) {
        if (model.id == wanted || fs::path(model.path).stem() == wanted) {
            return model;
        }
    }
    const fs::path path{std::string(name)};
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) {
        return ModelFile{path.stem().string(), path.string()};
    }
    std::string known;
    for (const ModelFile& model : models) {
        known += (known.empty() ? "" : ", ") + model.id;
    }
    if (name == kBundledName) {
        return fail(Fault::not_found,
                    "the bundled model is not installed; set TRILANE_MODELS_DIR to the folder that "
                    "holds {}/, or name a GGUF file",
                    kBundledId);
    }
    return fail(
        Fault::not_found,
        "no model or file is called '{}'; known models: {}; or give the path of a GGUF file", name,
        known.empty() ? "none" : known);
}

bool names_model(std::string_view name, std::span<const std::string> dirs) {
    // A missing file is still meant as a file: better an error than a chat about its name.
    return name.ends_with(kExtension) || find_model(name, dirs).has_value();
}

}  // namespace trilane::app
