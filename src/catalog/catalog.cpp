// Names of the catalogue's kinds, and what a name means among its entries.
#include "catalog/catalog.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "catalog/file_names.h"
#include "catalog/model_header.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBundledName = "bundled";
constexpr std::string_view kBundledId = "trilane-nano";
constexpr std::size_t kNamesShown = 3;
constexpr std::size_t kComparedBytesMax = 128;

/// Levenshtein's distance, regardless of case.
std::size_t distance(std::string_view a, std::string_view b) {
    a = a.substr(0, kComparedBytesMax);
    b = b.substr(0, kComparedBytesMax);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t above = row[j + 1];
            const bool same = equal_ignoring_case(a.substr(i, 1), b.substr(j, 1));
            row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (same ? 0 : 1)});
            diagonal = above;
        }
    }
    return row.back();
}

/// The ids that somebody who wrote `name` may have meant, nearest first.
std::string nearest(std::string_view name, std::span<const Entry> entries) {
    std::vector<std::pair<std::size_t, std::string_view>> near;
    for (const Entry& entry : entries) {
        const bool part = !name.empty() && contains_ignoring_case(entry.id, name);
        near.emplace_back(part ? 0 : distance(name, entry.id), entry.id);
    }
    std::sort(near.begin(), near.end());
    std::string text;
    for (std::size_t i = 0; i < near.size() && i < kNamesShown; ++i) {
        text += (text.empty() ? "" : ", ") + std::string(near[i].second);
    }
    return text;
}

/// Takes "flm:" and the like off the front of a name.
std::optional<Store> take_store(std::string_view& name) {
    for (const Store store : {Store::gguf, Store::flm, Store::remote, Store::program}) {
        const std::string_view prefix = store_name(store);
        if (name.size() > prefix.size() && name.starts_with(prefix) && name[prefix.size()] == ':') {
            name.remove_prefix(prefix.size() + 1);
            return store;
        }
    }
    return std::nullopt;
}

const Entry* find_by_path(std::string_view name, std::span<const Entry> entries) {
    std::error_code failed;
    const fs::path path = fs::canonical(fs::path(name), failed);
    if (failed) {
        return nullptr;
    }
    for (const Entry& entry : entries) {
        if (entry.store == Store::gguf && fs::canonical(entry.path, failed) == path && !failed) {
            return &entry;
        }
    }
    return nullptr;
}

}  // namespace

std::string_view purpose_name(Purpose purpose) {
    switch (purpose) {
        case Purpose::chat:
            return "chat";
        case Purpose::embed:
            return "embed";
        case Purpose::rerank:
            return "rerank";
        case Purpose::transcribe:
            return "transcribe";
        case Purpose::speak:
            return "speak";
        case Purpose::image:
            return "image";
        case Purpose::unknown:
            break;
    }
    return "unknown";
}

std::string_view store_name(Store store) {
    switch (store) {
        case Store::gguf:
            return "gguf";
        case Store::flm:
            return "flm";
        case Store::program:
            return "program";
        case Store::remote:
            break;
    }
    return "remote";
}

Result<Entry> find_entry(std::string_view name, std::span<const Entry> entries) {
    const std::string_view asked = name;
    for (const Entry& entry : entries) {
        if (entry.id == name) {
            return entry;
        }
    }
    const std::optional<Store> store = take_store(name);
    name = name == kBundledName ? kBundledId : name;
    std::vector<const Entry*> meant;
    for (const Entry& entry : entries) {
        if (store && entry.store != *store) {
            continue;
        }
        if (equal_ignoring_case(entry.id, name)) {
            return entry;
        }
        if (!name.empty() &&
            equal_ignoring_case(std::string_view(entry.id).substr(0, name.size()), name)) {
            meant.push_back(&entry);
        }
    }
    if (meant.size() == 1) {
        return *meant.front();
    }
    if (meant.size() > 1) {
        std::string names;
        for (std::size_t i = 0; i < meant.size() && i < kNamesShown; ++i) {
            names += (i == 0 ? "" : ", ") + meant[i]->id;
        }
        return fail(Fault::not_found, "'{}' begins the names of {} models: {}{}; write more of it",
                    shown(asked), meant.size(), names, meant.size() > kNamesShown ? ", …" : "");
    }
    std::error_code ignored;
    if (fs::is_regular_file(fs::path(name), ignored)) {
        const Entry* known = find_by_path(name, entries);
        return known != nullptr ? Result<Entry>(*known) : entry_of_file(std::string(name));
    }
    if (entries.empty()) {
        return fail(Fault::not_found,
                    "no model is called '{}', and there are none here; get one with: trilane pull",
                    shown(asked));
    }
    return fail(Fault::not_found, "no model or file is called '{}'; the nearest are: {}",
                shown(asked), nearest(name, entries));
}

}  // namespace trilane::catalog
