// Objects of a JSON schema: named properties in their order, then what else is asked for.
#include <algorithm>
#include <map>

#include "base/utf8.h"
#include "grammar/schema_reader.h"
#include "grammar/string_schema.h"
#include "grammar/text_reader.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::grammar {
namespace {

using json::Value;

/// Characters of property names that extra keys are told from.
constexpr std::size_t kNameCharsMax = 200;

/// Names by their characters.
struct NameTree {
    std::map<char32_t, NameTree> next;
    bool is_name = false;
};

}  // namespace

/// Names in the order in which they are written, and whether each must be there.
Result<std::vector<std::pair<std::string, bool>>> SchemaReader::property_names(
    const Value& schema, const std::string& place) {
    std::vector<std::pair<std::string, bool>> names;
    if (schema.contains("properties")) {
        if (!schema["properties"].is_object()) {
            return refuse(place, "has 'properties' that are not an object");
        }
        for (const auto& [name, property] : schema["properties"].items()) {
            if (property != Value(false)) {
                names.emplace_back(name, false);
            }
        }
    }
    if (!schema.contains("required")) {
        return names;
    }
    if (!schema["required"].is_array()) {
        return refuse(place, "has a 'required' that is not a list");
    }
    std::map<std::string, std::size_t> at;
    for (std::size_t i = 0; i < names.size(); ++i) {
        at.emplace(names[i].first, i);
    }
    for (const Value& name : schema["required"]) {
        if (!name.is_string()) {
            return refuse(place, "requires a property whose name is not a text");
        }
        const auto key = name.get<std::string>();
        if (const auto known = at.find(key); known != at.end()) {
            names[known->second].second = true;
            continue;
        }
        const bool closed = (schema.contains("properties") && schema["properties"].contains(key)) ||
                            (schema.contains("additionalProperties") &&
                             schema["additionalProperties"] == Value(false));
        if (closed || schema.contains("patternProperties")) {
            return refuse(place, fmt::format("requires the property '{}' without saying what it is",
                                             utf8_clipped(key, 60)));
        }
        at.emplace(key, names.size());
        names.emplace_back(key, true);
    }
    return names;
}

Result<Part> SchemaReader::read_object(const Value& schema, const std::string& place) {
    TRILANE_TRY(const auto names, property_names(schema, place));
    TRILANE_TRY(const auto bounds, counts(schema, "minProperties", "maxProperties", place));
    const auto [min, max] = bounds;
    TRILANE_TRY(const auto extra, read_extras(schema, names, place));
    if (names.empty()) {
        if (min > 1 || (min == 1 && !extra.has_value())) {
            return refuse(place,
                          "asks for a number of properties without naming them, which "
                          "answers cannot be held to");
        }
        return extra.has_value() ? text_.repeated("{", *extra, "}", min, max) : b_.literal("{}");
    }
    if (schema.contains("propertyNames")) {
        return refuse(place, "bounds 'propertyNames' beside 'properties'; name what is meant");
    }
    const auto required = static_cast<std::uint32_t>(
        std::count_if(names.begin(), names.end(), [](const auto& name) { return name.second; }));
    if (min > required || (max < kUnbounded && (extra.has_value() || names.size() > max))) {
        return refuse(place,
                      "bounds the number of its properties beside naming them; use "
                      "'required' instead");
    }
    std::vector<Builder::Member> members;
    for (const auto& [name, must] : names) {
        const bool named = schema.contains("properties") && schema["properties"].contains(name);
        const Value any(true);
        const Value& property = named ? schema["properties"][name]
                                : schema.contains("additionalProperties")
                                    ? schema["additionalProperties"]
                                    : any;
        TRILANE_TRY(const Part value, read(property, fmt::format("{}/properties/{}", place, name)));
        std::string key;
        json::append_string(key, name);
        members.push_back({b_.sequence({b_.literal(key), text_.colon(), value}), must});
    }
    if (extra.has_value()) {
        const Part more = b_.repeat(b_.sequence({text_.comma(), *extra}), 0, kUnbounded);
        members.push_back({b_.sequence({*extra, more}), false});
    }
    return b_.sequence({b_.literal("{"), b_.list(members, text_.comma()), b_.literal("}")});
}

/// One member beside the named ones; nothing when there are none. Where properties are named and
/// nothing is said of others, there are none.
Result<std::optional<Part>> SchemaReader::read_extras(
    const Value& schema, const std::vector<std::pair<std::string, bool>>& names,
    const std::string& place) {
    const bool patterns = schema.contains("patternProperties");
    const bool said = schema.contains("additionalProperties");
    const bool none = said && schema["additionalProperties"] == Value(false);
    if (patterns) {
        const Value& by_pattern = schema["patternProperties"];
        if (!by_pattern.is_object() || by_pattern.size() != 1 || !names.empty() ||
            schema.contains("propertyNames")) {
            return refuse(place,
                          "uses 'patternProperties' otherwise than alone with one pattern, "
                          "which answers cannot be held to");
        }
        const std::string& pattern = by_pattern.begin().key();
        const Value& value = by_pattern.begin().value();
        Value key = Value::object();
        key["pattern"] = pattern;
        TRILANE_TRY(const Part name, read_string(b_, text_, key, place + "/patternProperties"));
        TRILANE_TRY(const Part member, read(value, place + "/patternProperties/" + pattern));
        return b_.sequence({name, text_.colon(), member});
    }
    const bool names_some =
        !names.empty() || (schema.contains("properties") && !schema["properties"].empty());
    if (none || (!said && names_some)) {
        return std::nullopt;
    }
    TRILANE_TRY(const Part key, extra_key(schema, names, place));
    TRILANE_TRY(const Part value,
                said ? read(schema["additionalProperties"], place + "/additionalProperties")
                     : Result<Part>(text_.value()));
    return b_.sequence({key, text_.colon(), value});
}

Result<Part> SchemaReader::extra_key(const Value& schema,
                                     const std::vector<std::pair<std::string, bool>>& names,
                                     const std::string& place) {
    if (schema.contains("propertyNames")) {
        Value key = Value::object();
        key["allOf"] = Value::array({schema["propertyNames"], {{"type", "string"}}});
        return read(key, place + "/propertyNames");
    }
    std::vector<std::string> taken;
    for (const auto& [name, must] : names) {
        taken.push_back(name);
    }
    if (schema.contains("properties")) {
        for (const auto& [name, property] : schema["properties"].items()) {
            taken.push_back(name);  // the forbidden ones too
        }
    }
    if (taken.empty()) {
        return text_.string();
    }
    if (std::any_of(taken.begin(), taken.end(),
                    [](const std::string& name) { return name.size() > kNameCharsMax; })) {
        return refuse(place, fmt::format("allows other properties beside one whose name is longer "
                                         "than {} bytes",
                                         kNameCharsMax));
    }
    return other_key(taken);
}

/// A key that is none of the names. Written without escapes, so that it cannot spell one of them
/// otherwise; what must be escaped in a name therefore needs no telling apart.
Part SchemaReader::other_key(const std::vector<std::string>& names) {
    NameTree tree;
    for (const std::string& name : names) {
        NameTree* at = &tree;
        TextReader in(name);
        while (!in.done()) {
            at = &at->next[in.take()];
        }
        at->is_name = true;
    }
    const CharSet plain = CharSet{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}.inverse();
    const Part any = b_.repeat(b_.chars(plain), 0, kUnbounded);
    const auto rest = [&](const auto& self, const NameTree& node) -> Part {
        std::vector<CharSet::Range> continued;
        std::vector<Part> ways;
        for (const auto& [c, next] : node.next) {
            continued.push_back({c, c});
            if (plain.contains(c)) {
                ways.push_back(b_.sequence({b_.chars({{c, c}}), self(self, next)}));
            }
        }
        CharSet others;
        others.add(continued);
        ways.push_back(b_.sequence({b_.chars(plain.intersection(others.inverse())), any}));
        if (!node.is_name) {
            ways.push_back(b_.literal(""));
        }
        return b_.either(std::move(ways));
    };
    return text_.quoted(rest(rest, tree));
}

}  // namespace trilane::grammar
