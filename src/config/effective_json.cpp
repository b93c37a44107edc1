// The settings as JSON: the lines of effective_text(), in their order.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/toml.h"
#include "json/json.h"

namespace trilane::config {
namespace {

json::Value as_json(const toml::node& node);

json::Value table_json(const toml::table& table) {
    // The library sorts by name; lanes stand in the order of preference.
    std::vector<std::pair<std::string, const toml::node*>> entries;
    for (const auto& [name, value] : table) {
        entries.emplace_back(name.str(), &value);
    }
    std::ranges::stable_sort(entries, {}, [](const auto& entry) {
        const toml::source_position place = entry.second->source().begin;
        return std::pair(place.line, place.column);
    });
    json::Value out = json::Value::object();
    for (const auto& [name, value] : entries) {
        out[name] = as_json(*value);
    }
    return out;
}

/// Depth is that of our own text.
json::Value as_json(const toml::node& node) {  // NOLINT(misc-no-recursion)
    if (const toml::table* table = node.as_table()) {
        return table_json(*table);
    }
    if (const toml::array* array = node.as_array()) {
        json::Value out = json::Value::array();
        for (const toml::node& one : *array) {
            out.push_back(as_json(one));
        }
        return out;
    }
    if (const auto text = node.value_exact<std::string>()) {
        return *text;
    }
    if (const auto whole = node.value_exact<std::int64_t>()) {
        return *whole;
    }
    if (const auto flag = node.value_exact<bool>()) {
        return *flag;
    }
    return node.value<double>().value_or(0);
}

}  // namespace

Result<json::Value> effective_json(const Config& config) {
    const toml::parse_result parsed = toml::parse(effective_text(config));
    if (!parsed) {
        return fail(Fault::internal, "the settings cannot be shown as JSON: {}; leave --json out",
                    parsed.error().description());
    }
    return table_json(parsed.table());
}

}  // namespace trilane::config
