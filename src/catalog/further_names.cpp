#include "catalog/further_names.h"

#include "catalog/file_names.h"
#include "catalog/json_text.h"
#include "json/json.h"

namespace trilane::catalog {
namespace {

constexpr std::uint64_t kNamesFormat = 1;

}  // namespace

std::string names_text(const std::vector<FurtherName>& names) {
    json::Value list = json::Value::array();
    for (const FurtherName& name : names) {
        list.push_back({{"name", name.name},
                        {"model", name.model},
                        {"system", name.system},
                        {"parameters", name.parameters},
                        {"licence", name.licence},
                        {"added_unix_s", name.added_unix_s},
                        {"pulled", name.pulled}});
    }
    return json::dump_pretty({{"format", kNamesFormat}, {"names", std::move(list)}}) + '\n';
}

Result<std::vector<FurtherName>> parse_names(std::string_view text) {
    TRILANE_TRY(const json::Value root, json::parse(text));
    const auto list = root.is_object() ? root.find("names") : root.end();
    if (!root.is_object() || root.value("format", json::Value()) != kNamesFormat ||
        list == root.end() || !list->is_array() || list->size() > kFurtherNamesMax) {
        return fail(Fault::corrupt, "{} is none of format {}; delete it to begin anew", kNamesFile,
                    kNamesFormat);
    }
    std::vector<FurtherName> names;
    for (const json::Value& node : *list) {
        FurtherName name;
        if (node.is_object()) {
            name.name = text_at(node, "name");
            name.model = text_at(node, "model");
            name.system = text_at(node, "system");
            name.parameters = text_at(node, "parameters");
            name.licence = text_at(node, "licence");
            const auto added = node.find("added_unix_s");
            if (added != node.end() && added->is_number_integer()) {
                name.added_unix_s = added->get<std::int64_t>();
            }
            const auto pulled = node.find("pulled");
            name.pulled = pulled != node.end() && pulled->is_boolean() && pulled->get<bool>();
        }
        if (name.name.empty() || name.model.empty()) {
            return fail(Fault::corrupt, "{} has a name of nothing; delete it to begin anew",
                        kNamesFile);
        }
        names.push_back(std::move(name));
    }
    return names;
}

}  // namespace trilane::catalog
