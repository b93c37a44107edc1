#include "app/model_files.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "app/options.h"

namespace trilane::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".gguf";

bool is_model_file(const fs::path& path) {
    std::error_code ignored;
    return path.extension() == kExtension && fs::is_regular_file(path, ignored);
}

std::vector<fs::path> entries_of(const fs::path& dir) {
    std::vector<fs::path> entries;
    std::error_code failed;
    for (fs::directory_iterator it(dir, failed), end; !failed && it != end; it.increment(failed)) {
        entries.push_back(it->path());
    }
    std::sort(entries.begin(), entries.end());
    return entries;
}

void add_folder(const fs::path& dir, std::map<std::string, std::string>& found) {
    std::vector<fs::path> files = entries_of(dir);
    std::erase_if(files, [](const fs::path& path) { return !is_model_file(path); });
    for (const fs::path& file : files) {
        const fs::path name = files.size() == 1 ? dir.filename() : file.stem();
        found.emplace(name.string(), file.string());
    }
}

}  // namespace

std::vector<ModelFile> list_models(std::span<const std::string> dirs) {
    std::map<std::string, std::string> found;
    for (const std::string& dir : dirs) {
        for (const fs::path& entry : entries_of(dir)) {
            std::error_code ignored;
            if (is_model_file(entry)) {
                found.emplace(entry.stem().string(), entry.string());
            } else if (fs::is_directory(entry, ignored)) {
                add_folder(entry, found);
            }
        }
    }
    std::vector<ModelFile> models;
    models.reserve(found.size());
    for (auto& [id, path] : found) {
        models.push_back({id, path});
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
