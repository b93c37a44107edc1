#include "catalog/hub_listing.h"

#include <algorithm>
#include <map>

#include "catalog/file_names.h"
#include "json/json.h"

namespace trilane::catalog {
namespace {

bool is_sha256(std::string_view text) {
    return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

const std::string* string_at(const json::Value& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() ? found->get_ptr<const std::string*>() : nullptr;
}

/// Nullopt: absent, or not a size that a file can have.
std::optional<std::uint64_t> size_at(const json::Value& object, const char* key) {
    constexpr std::uint64_t kFileBytesMax = std::uint64_t{1} << 50U;
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_unsigned()) {
        return std::nullopt;
    }
    const auto size = found->get<std::uint64_t>();
    return size <= kFileBytesMax ? std::optional(size) : std::nullopt;
}

Result<RemoteFile> read_file(const json::Value& node) {
    const std::string* path = string_at(node, "path");
    if (path == nullptr) {
        return fail(Fault::corrupt, "the hub lists a file without a name; try again later");
    }
    TRILANE_TRY_STATUS(check_remote_path(*path));
    RemoteFile file;
    file.path = *path;
    auto size = size_at(node, "size");
    if (const auto lfs = node.find("lfs"); lfs != node.end() && lfs->is_object()) {
        // The outer oid of such a file is that of the pointer in git.
        const std::string* oid = string_at(*lfs, "oid");
        std::string_view hash = oid != nullptr ? std::string_view(*oid) : std::string_view();
        if (hash.starts_with("sha256:")) {
            hash.remove_prefix(7);
        }
        file.sha256 = is_sha256(hash) ? hash : "";
        if (const auto stored = size_at(*lfs, "size")) {
            size = stored;
        }
    }
    if (!size) {
        return fail(Fault::corrupt, "the hub does not say how long '{}' is; try again later",
                    shown(file.path));
    }
    file.bytes = *size;
    return file;
}

struct Group {
    std::vector<std::pair<std::uint32_t, RemoteFile>> files;  ///< by shard number
    std::uint32_t shards = 1;
};

std::string folder_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return std::string(slash == std::string_view::npos ? std::string_view()
                                                       : path.substr(0, slash));
}

bool complete(Group& group) {
    std::sort(group.files.begin(), group.files.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < group.files.size(); ++i) {
        if (group.files[i].first != i + 1) {
            return false;
        }
    }
    return group.files.size() == group.shards;
}

/// By the file's name, else by its folder's ("BF16/model-00001-of-00002.gguf"), else its stem.
std::string variant_name(std::string_view path) {
    std::string name = quantization_of(base_name(path));
    if (name.empty()) {
        const std::string folder = folder_of(path);
        if (!folder.empty()) {
            name = quantization_of(std::string(base_name(folder)) + ".gguf");
        }
    }
    return name.empty() ? std::string(model_stem(base_name(path))) : name;
}

double bits_of_variant(const Variant& variant) {
    const double bits = bits_of(variant.name);
    return bits > 0 ? bits : bits_of(quantization_of(base_name(variant.files.front().path)));
}

/// Variants that would be called the same are called by their files.
void make_names_unique(std::vector<Variant>& variants) {
    std::map<std::string, std::size_t> uses;
    for (const Variant& variant : variants) {
        ++uses[lower_case(variant.name)];
    }
    std::map<std::string, std::size_t> stems;
    for (Variant& variant : variants) {
        if (uses[lower_case(variant.name)] < 2) {
            continue;
        }
        const std::string_view path = variant.files.front().path;
        variant.name = model_stem(base_name(path));
        if (++stems[lower_case(variant.name)] > 1) {
            variant.name = folder_of(path) + '/' + variant.name;
        }
    }
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
    const auto ends = std::mismatch(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return equal_ignoring_case({&x, 1}, {&y, 1});
    });
    return static_cast<std::size_t>(ends.first - a.begin());
}

}  // namespace

Status parse_tree(std::string_view json_text, std::vector<RemoteFile>& files) {
    auto parsed = json::parse(json_text);
    if (!parsed) {
        return fail(
            Fault::corrupt,
            "the hub's list of files is not JSON ({}); check HF_ENDPOINT, or try again later",
            parsed.error().message);
    }
    if (!parsed->is_array()) {
        return fail(Fault::corrupt,
                    "the hub's list of files is {} instead of an array; check HF_ENDPOINT",
                    json::type_name(*parsed));
    }
    for (const json::Value& node : *parsed) {
        const std::string* type = node.is_object() ? string_at(node, "type") : nullptr;
        if (type == nullptr) {
            return fail(Fault::corrupt,
                        "the hub's list of files holds {} without a type; check "
                        "HF_ENDPOINT",
                        json::type_name(node));
        }
        if (*type != "file") {
            continue;
        }
        if (files.size() >= kRepositoryFilesMax) {
            return fail(Fault::invalid, "the repository has more than {} files; name another one",
                        kRepositoryFilesMax);
        }
        TRILANE_TRY(RemoteFile file, read_file(node));
        files.push_back(std::move(file));
    }
    return {};
}

std::string next_page(std::string_view link_header) {
    while (!link_header.empty()) {
        const std::size_t open = link_header.find('<');
        const std::size_t close = link_header.find('>', open);
        if (open == std::string_view::npos || close == std::string_view::npos) {
            return {};
        }
        const std::string_view url = link_header.substr(open + 1, close - open - 1);
        const std::string_view after = link_header.substr(close + 1);
        const std::string_view parameters = after.substr(0, after.find('<'));
        if (contains_ignoring_case(parameters, "rel=\"next\"") ||
            contains_ignoring_case(parameters, "rel=next")) {
            return std::string(url);
        }
        link_header = after.substr(parameters.size());
    }
    return {};
}

const RemoteFile* best_projector(const std::vector<RemoteFile>& projectors,
                                 std::string_view model_path) {
    const auto rank = [&](const RemoteFile& file) {
        const std::string type = quantization_of(base_name(file.path));
        const int by_type = type == "F16" ? 3 : type == "BF16" ? 2 : type == "Q8_0" ? 1 : 0;
        // "mmproj-model-f16" goes with every model; a folder's own with those of the folder.
        std::string_view name = base_name(file.path);
        if (const std::size_t end = name.find("mmproj-"); end != std::string_view::npos) {
            name.remove_prefix(end + 7);
        }
        return std::tuple(folder_of(file.path) == folder_of(model_path), by_type,
                          common_prefix(name, base_name(model_path)));
    };
    const RemoteFile* best = nullptr;
    for (const RemoteFile& file : projectors) {
        if (best == nullptr || rank(file) > rank(*best)) {
            best = &file;
        }
    }
    return best;
}

std::vector<Variant> group_variants(const std::vector<RemoteFile>& files) {
    std::map<std::string, Group> groups;
    std::vector<RemoteFile> projectors;
    for (const RemoteFile& file : files) {
        const std::string_view name = base_name(file.path);
        if (!is_model_file(name)) {
            continue;
        }
        if (is_projector(name)) {
            projectors.push_back(file);
            continue;
        }
        const auto shard = shard_of(name);
        // Sets that were split into different numbers of shards are different sets.
        const std::string key =
            shard ? fmt::format("{}/{}/{}", folder_of(file.path), shard->stem, shard->count)
                  : file.path;
        Group& group = groups[key];
        group.shards = shard ? shard->count : 1;
        group.files.emplace_back(shard ? shard->number : 1, file);
    }
    std::vector<Variant> variants;
    for (auto& [key, group] : groups) {
        if (!complete(group)) {
            continue;
        }
        Variant& variant = variants.emplace_back();
        for (auto& [number, file] : group.files) {
            variant.files.push_back(std::move(file));
        }
        const std::string& path = variant.files.front().path;
        variant.name = variant_name(path);
        const RemoteFile* projector = best_projector(projectors, path);
        if (projector != nullptr) {
            variant.companions.push_back(*projector);
        }
    }
    make_names_unique(variants);
    std::stable_sort(variants.begin(), variants.end(), [](const Variant& a, const Variant& b) {
        return std::pair(bits_of_variant(a), a.bytes()) > std::pair(bits_of_variant(b), b.bytes());
    });
    return variants;
}

}  // namespace trilane::catalog
