#include "catalog/manifest.h"

#include "catalog/durable_file.h"
#include "catalog/file_names.h"
#include "catalog/json_text.h"
#include "json/json.h"
#include "os/small_file.h"

namespace trilane::catalog {
namespace {

constexpr std::uint64_t kManifestFormat = 1;
constexpr std::size_t kFilesMax = 1024;

template <class T>
T integer_at(const json::Value& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_integer() ? found->get<T>() : T{};
}

Result<ManifestFile> read_entry(const json::Value& node) {
    ManifestFile file;
    if (node.is_object()) {
        file.name = text_at(node, "name");
        file.remote = text_at(node, "remote");
        file.bytes = integer_at<std::uint64_t>(node, "bytes");
        file.sha256 = text_at(node, "sha256");
        file.projector = text_at(node, "role") == "projector";
    }
    // Whoever removes a model deletes the files that are named here.
    if (!check_remote_path(file.name) || file.name.find('/') != std::string::npos) {
        return fail(Fault::corrupt,
                    "{} names a file '{}'; delete the model's folder and pull again", kManifestName,
                    shown(file.name));
    }
    return file;
}

}  // namespace

std::string manifest_text(const Manifest& manifest) {
    json::Value files = json::Value::array();
    for (const ManifestFile& file : manifest.files) {
        files.push_back({{"name", file.name},
                         {"role", file.projector ? "projector" : "model"},
                         {"remote", file.remote},
                         {"bytes", file.bytes},
                         {"sha256", file.sha256}});
    }
    return json::dump_pretty({{"format", kManifestFormat},
                              {"repository", manifest.repository},
                              {"revision", manifest.revision},
                              {"commit", manifest.commit},
                              {"variant", manifest.variant},
                              {"added_unix_s", manifest.added_unix_s},
                              {"files", std::move(files)}}) +
           '\n';
}

Result<Manifest> parse_manifest(std::string_view text) {
    TRILANE_TRY(const json::Value root, json::parse(text));
    const auto files = root.is_object() ? root.find("files") : root.end();
    if (!root.is_object() || integer_at<std::uint64_t>(root, "format") != kManifestFormat ||
        files == root.end() || !files->is_array() || files->size() > kFilesMax) {
        return fail(Fault::corrupt,
                    "{} is none of format {}; delete the model's folder and pull again",
                    kManifestName, kManifestFormat);
    }
    Manifest manifest;
    manifest.repository = text_at(root, "repository");
    manifest.revision = text_at(root, "revision");
    manifest.commit = text_at(root, "commit");
    manifest.variant = text_at(root, "variant");
    manifest.added_unix_s = integer_at<std::int64_t>(root, "added_unix_s");
    for (const json::Value& node : *files) {
        TRILANE_TRY(ManifestFile file, read_entry(node));
        manifest.files.push_back(std::move(file));
    }
    return manifest;
}

std::optional<Manifest> read_manifest(const std::string& folder) {
    const std::string path = folder + '/' + std::string(kManifestName);
    auto manifest = parse_manifest(os::read_small_file(path, kManifestBytesMax).value_or(""));
    return manifest ? std::optional(std::move(*manifest)) : std::nullopt;
}

Status write_manifest(const std::string& folder, const Manifest& manifest) {
    return replace_file(folder + '/' + std::string(kManifestName), manifest_text(manifest));
}

}  // namespace trilane::catalog
