#include "gateway/endpoint.h"

#include <algorithm>
#include <optional>

#include "dialect/openai/openai.h"

namespace trilane::gateway {
namespace {

constexpr std::string_view kId = "{id}";

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

}  // namespace

EndpointTable::EndpointTable() {
    for (const auto rows : {openai_endpoints(), anthropic_endpoints(), ollama_endpoints(),
                            trilane_endpoints(), socket_endpoints()}) {
        rows_.insert(rows_.end(), rows.begin(), rows.end());
    }
}

EndpointTable::Found EndpointTable::find(std::string_view method, std::string_view path) const {
    Found found;
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
        const bool asked = row.method == method || (method == "HEAD" && row.method == "GET") ||
                           method == "OPTIONS";
        if (asked && found.endpoint == nullptr) {
            found.endpoint = &row;
            found.row = i;
            found.tail = *tail;
        }
    }
    if (!found.allow.empty()) {
        found.allow += head ? ", HEAD, OPTIONS" : ", OPTIONS";
    }
    return found;
}

const dialect::ErrorShape& EndpointTable::errors_at(std::string_view path) const {
    const auto row = std::ranges::find_if(
        rows_, [&](const Endpoint& one) { return one.errors != nullptr && tail_of(one, path); });
    return row != rows_.end() ? *row->errors : dialect::openai::kErrorShape;
}

}  // namespace trilane::gateway
