// Fuzz: whatever a hub answers or a person writes as a reference, it is refused or read, and
// nothing read from it can name a place outside a model's folder.
#include <cstddef>
#include <cstdint>

#include "catalog/catalog.h"
#include "catalog/file_names.h"
#include "catalog/hub_listing.h"
#include "catalog/manifest.h"
#include "catalog/pull.h"

namespace {

using namespace trilane::catalog;

void demand(bool good) {
    if (!good) {
        __builtin_trap();
    }
}

void check_listing(std::string_view text) {
    std::vector<RemoteFile> files;
    if (!parse_tree(text, files)) {
        return;
    }
    for (const RemoteFile& file : files) {
        demand(check_remote_path(file.path).has_value());
    }
    const auto variants = group_variants(files);
    for (const Variant& variant : variants) {
        demand(!variant.files.empty() && !variant.name.empty());
        demand(check_id(id_of("owner/name", variant.name)).has_value());
        Reference reference{"owner/name", "main", variant.name};
        demand(choose_variant(variants, reference, {}).has_value());
        for (const RemoteFile& file : variant.files) {
            const std::string name = safe_file_name(base_name(file.path));
            demand(name.find('/') == std::string::npos && name.front() != '.' && name.size() < 256);
        }
    }
}

void check_reference(std::string_view text) {
    const auto reference = parse_reference(text);
    if (!reference) {
        return;
    }
    demand(reference->repository.find("..") == std::string::npos);
    demand(reference->revision.find("..") == std::string::npos && !reference->revision.empty());
    demand(reference->variant.empty() || check_remote_path(reference->variant).has_value());
    demand(check_id(id_of(reference->repository, reference->variant)).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_listing(text);
    check_reference(text);
    static_cast<void>(next_page(text));
    static_cast<void>(parse_flm_list(text));
    if (const auto manifest = parse_manifest(text)) {
        for (const ManifestFile& file : manifest->files) {
            demand(file.name.find('/') == std::string::npos && file.name != "..");
        }
    }
    return 0;
}
