#include "gateway/endpoint.h"

#include <algorithm>

#include "dialect/openai/openai.h"

namespace trilane::gateway {
namespace {

bool serves(const Endpoint& row, std::string_view path) {
    const bool below = row.path.size() > 1 && row.path.ends_with('/');
    return below ? path.starts_with(row.path) && path.size() > row.path.size() : path == row.path;
}

}  // namespace

EndpointTable::EndpointTable() {
    for (const auto rows : {openai_endpoints(), anthropic_endpoints(), ollama_endpoints(),
                            trilane_endpoints()}) {
        rows_.insert(rows_.end(), rows.begin(), rows.end());
    }
}

EndpointTable::Found EndpointTable::find(std::string_view method, std::string_view path) const {
    Found found;
    bool head = false;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const Endpoint& row = rows_[i];
        if (!serves(row, path)) {
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
            found.tail =
                row.path.ends_with('/') ? path.substr(row.path.size()) : std::string_view();
        }
    }
    if (!found.allow.empty()) {
        found.allow += head ? ", HEAD, OPTIONS" : ", OPTIONS";
    }
    return found;
}

const dialect::ErrorShape& EndpointTable::errors_at(std::string_view path) const {
    const auto row = std::ranges::find_if(
        rows_, [&](const Endpoint& one) { return one.errors != nullptr && serves(one, path); });
    return row != rows_.end() ? *row->errors : dialect::openai::kErrorShape;
}

}  // namespace trilane::gateway
