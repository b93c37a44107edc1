#include "gateway/endpoint.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "dialect/openai/openai.h"

namespace trilane::gateway {
namespace {

constexpr std::string_view kId = "{id}";
constexpr std::string_view kVersionPrefix = "/v1/";

/// What stands for the open part of a row's path; absent when the row does not serve the path.
std::optional<std::string_view> tail_of(const Endpoint& row, std::string_view path) {
    if (const std::size_t id = row.path.find(kId); id != std::string_view::npos) {
        const std::string_view end = row.path.substr(id + kId.size());
        const bool fits = path.size() > id + end.size() &&
                          path.starts_with(row.path.substr(0, id)) && path.ends_with(end);
        const std::string_view part =
            fits ? path.substr(id, path.size() - id - end.size()) : std::string_view("/");
        return part.find('/') == std::string_view::npos ? std::optional(part) : std::nullopt;
    }
    if (row.path.size() > 1 && row.path.ends_with('/')) {
        return path.starts_with(row.path) && path.size() > row.path.size()
                   ? std::optional(path.substr(row.path.size()))
                   : std::nullopt;
    }
    return path == row.path ? std::optional(std::string_view()) : std::nullopt;
}

bool serves_below(const Endpoint& row) {
    return row.path.size() > 1 && row.path.ends_with('/');
}

/// Folders that both paths begin with: of "/v1/messages" and "/v1/messages/x" that are two.
std::size_t shared_folders(std::string_view row, std::string_view path) {
    std::size_t folders = 0;
    for (std::size_t end = row.find('/', 1); end != 0; end = row.find('/', end + 1)) {
        const std::string_view folder = row.substr(0, end);
        if (folder.size() < 2 || !path.starts_with(folder) ||
            (path.size() > folder.size() && path[folder.size()] != '/')) {
            break;
        }
        ++folders;
        if (end == std::string_view::npos) {
            break;
        }
    }
    return folders;
}

/// What a path begins with that stands in place of "/v1/"; "" = nothing of the kind.
std::string_view version_prefix_of(std::string_view path) {
    const auto* found = std::ranges::find_if(
        kVersionPrefixes, [&](std::string_view one) { return path.starts_with(one); });
    return found == std::end(kVersionPrefixes) ? std::string_view() : *found;
}

/// The path by which the table knows it.
std::string canonical_path(std::string_view path) {
    const std::string_view prefix = version_prefix_of(path);
    return prefix.empty() ? std::string(path)
                          : std::string(kVersionPrefix).append(path.substr(prefix.size()));
}

}  // namespace

EndpointTable::EndpointTable() {
    for (const auto rows : {openai_endpoints(), anthropic_endpoints(), ollama_endpoints(),
                            lemonade_endpoints(), trilane_endpoints(), socket_endpoints()}) {
        rows_.insert(rows_.end(), rows.begin(), rows.end());
    }
}

EndpointTable::Found EndpointTable::find(std::string_view method, std::string_view asked) const {
    Found found;
    const std::string path = canonical_path(asked);
    bool head = false;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const Endpoint& row = rows_[i];
        const auto tail = tail_of(row, path);
        if (!tail) {
            continue;
        }
        found.allow += found.allow.empty() ? "" : ", ";
        found.allow += row.method;
        head = head || row.method == "GET";
        const bool fits = row.method == method || (method == "HEAD" && row.method == "GET") ||
                          method == "OPTIONS";
        const bool better =
            found.endpoint == nullptr || (serves_below(*found.endpoint) && !serves_below(row));
        if (fits && better) {
            found.endpoint = &row;
            found.row = i;
            // Whatever stands before it, what comes after it is the same in both.
            const std::size_t behind =
                path.size() - static_cast<std::size_t>(tail->data() - path.data());
            found.tail = tail->empty() ? std::string_view()
                                       : asked.substr(asked.size() - behind, tail->size());
        }
    }
    if (!found.allow.empty()) {
        found.allow += head ? ", HEAD, OPTIONS" : ", OPTIONS";
    }
    return found;
}

const dialect::ErrorShape& EndpointTable::errors_at(std::string_view path) const {
    const std::string known = canonical_path(path);
    const Endpoint* best = nullptr;
    for (const Endpoint& row : rows_) {
        const bool better = best == nullptr || (serves_below(*best) && !serves_below(row));
        if (row.errors != nullptr && better && tail_of(row, known)) {
            best = &row;
        }
    }
    if (best != nullptr) {
        return *best->errors;
    }
    // Nothing is there: as the API would say it that has most of the folders on the way.
    std::size_t folders = 0;
    for (const Endpoint& row : rows_) {
        const std::size_t shared = shared_folders(row.path, known);
        if (row.errors != nullptr && shared > folders) {
            folders = shared;
            best = &row;
        }
    }
    return best != nullptr ? *best->errors : dialect::openai::kErrorShape;
}

}  // namespace trilane::gateway
