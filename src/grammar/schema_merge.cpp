#include "grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/utf8.h"
#include "json/json.h"

namespace trilane::grammar {
namespace {

using json::Value;

/// References and "allOf" within each other.
constexpr unsigned kMergesMax = 64;
/// "anyOf" of both sides, multiplied out.
constexpr std::size_t kProductsMax = 64;
constexpr unsigned kCompareDepthMax = 6;

constexpr std::array<std::string_view, 20> kAnnotations = {
    "title",    "description",   "default",        "examples",  "example",
    "$comment", "deprecated",    "readOnly",       "writeOnly", "$schema",
    "$id",      "$defs",         "definitions",    "$anchor",   "$vocabulary",
    "id",       "discriminator", "$dynamicAnchor", "strict",    "name"};

/// Keywords of which the larger, or the smaller, is the stricter.
constexpr std::array<std::string_view, 5> kLargerWins = {"minimum", "exclusiveMinimum", "minLength",
                                                         "minItems", "minProperties"};
constexpr std::array<std::string_view, 5> kSmallerWins = {"maximum", "exclusiveMaximum",
                                                          "maxLength", "maxItems", "maxProperties"};

template <class Table>
bool among(const Table& table, std::string_view word) {
    return std::find(table.begin(), table.end(), word) != table.end();
}

std::string unescaped(std::string_view token) {
    std::string out;
    for (std::size_t i = 0; i < token.size(); ++i) {
        if (token[i] == '~' && i + 1 < token.size()) {
            out += token[++i] == '1' ? '/' : '~';
        } else {
            out += token[i];
        }
    }
    return out;
}

Value all_of(const Value& a, const Value& b) {
    Value out = Value::object();
    out["allOf"] = Value::array({a, b});
    return out;
}

/// The types a schema allows; all of them when it names none.
std::vector<std::string> types_of(const Value& schema) {
    if (!schema.contains("type")) {
        return {"object", "array", "string", "number", "integer", "boolean", "null"};
    }
    std::vector<std::string> types;
    const Value& type = schema["type"];
    for (const Value& name : type.is_array() ? type : Value::array({type})) {
        if (name.is_string()) {
            types.push_back(name.get<std::string>());
            if (types.back() == "number") {
                types.emplace_back("integer");
            }
        }
    }
    if (schema.contains("nullable") && schema["nullable"] == Value(true)) {
        types.emplace_back("null");
    }
    return types;
}

Result<Value> merged_types(const Value& a, const Value& b, const std::string& place) {
    const auto left = types_of(Value{{"type", a}});
    const auto right = types_of(Value{{"type", b}});
    Value both = Value::array();
    for (const std::string& type : left) {
        // "number" stands for integers too.
        if (among(right, type) &&
            !(type == "integer" && among(left, "number") && among(right, "number"))) {
            both.push_back(type);
        }
    }
    if (both.empty()) {
        return fail(Fault::invalid, "the schema at {} asks for two types at once: {} and {}", place,
                    json::dump(a), json::dump(b));
    }
    return both.size() == 1 ? both[0] : both;
}

/// "enum" from either keyword; nothing when the schema lists no values.
std::optional<Value> values_of(const Value& schema) {
    if (schema.contains("const")) {
        return Value::array({schema["const"]});
    }
    if (schema.contains("enum") && schema["enum"].is_array()) {
        return schema["enum"];
    }
    return std::nullopt;
}

/// What `side` asks of properties that only the other one names.
void bind_extras(const Value& side, const Value& other, Value& properties) {
    if (!side.contains("additionalProperties") || !other.contains("properties")) {
        return;
    }
    for (const auto& [name, schema] : other["properties"].items()) {
        if (!side.contains("properties") || !side["properties"].contains(name)) {
            const Value& extra = side["additionalProperties"];
            properties[name] = extra == Value(false) ? Value(false) : all_of(schema, extra);
        }
    }
}

Value merged_properties(const Value& a, const Value& b) {
    Value out = a.contains("properties") ? a["properties"] : Value::object();
    if (b.contains("properties")) {
        for (const auto& [name, schema] : b["properties"].items()) {
            out[name] = out.contains(name) ? all_of(out[name], schema) : schema;
        }
    }
    bind_extras(a, b, out);
    bind_extras(b, a, out);
    return out;
}

Value merged_extras(const Value& a, const Value& b) {
    if (a == Value(false) || b == Value(false)) {
        return false;
    }
    if (a == Value(true)) {
        return b;
    }
    return b == Value(true) ? a : all_of(a, b);
}

Result<Value> products(const Value& a, const Value& b, const std::string& place) {
    Value out = Value::array();
    if (a.size() * b.size() > kProductsMax) {
        return fail(Fault::invalid,
                    "the schema at {} combines two lists of 'anyOf'; together they have more than "
                    "{} cases",
                    place, kProductsMax);
    }
    for (const Value& left : a) {
        for (const Value& right : b) {
            out.push_back(all_of(left, right));
        }
    }
    return out;
}

/// One keyword that both have.
Result<Value> merged_keyword(const std::string& keyword, const Value& a, const Value& b,
                             const std::string& place) {
    if (a == b) {
        return a;
    }
    if (keyword == "type") {
        return merged_types(a, b, place);
    }
    if (keyword == "required" && a.is_array() && b.is_array()) {
        Value out = a;
        for (const Value& name : b) {
            if (std::find(out.begin(), out.end(), name) == out.end()) {
                out.push_back(name);
            }
        }
        return out;
    }
    if (among(kLargerWins, keyword) && a.is_number() && b.is_number()) {
        return a < b ? b : a;
    }
    if (among(kSmallerWins, keyword) && a.is_number() && b.is_number()) {
        return b < a ? b : a;
    }
    if (keyword == "items" && !a.is_array() && !b.is_array()) {
        return all_of(a, b);
    }
    if (keyword == "anyOf" && a.is_array() && b.is_array()) {
        return products(a, b, place);
    }
    if (keyword == "uniqueItems" || keyword == "nullable") {
        return keyword == "uniqueItems" ? Value(true) : Value(false);
    }
    return fail(Fault::invalid,
                "the schema at {} asks for two different '{}' at once; say it in one schema", place,
                keyword);
}

bool required(const Value& schema, const Value& name) {
    return schema.contains("required") && schema["required"].is_array() &&
           std::find(schema["required"].begin(), schema["required"].end(), name) !=
               schema["required"].end();
}

bool has_property(const Value& schema, const std::string& name) {
    return schema.contains("properties") && schema["properties"].is_object() &&
           schema["properties"].contains(name);
}

/// Whether an answer written for `schema` never has this property: extras are written only where
/// "additionalProperties" asks for them or nothing else is said.
bool never_writes(const Value& schema, const std::string& name) {
    const bool names_some = schema.contains("properties") && !schema["properties"].empty();
    const bool closed = schema.contains("additionalProperties")
                            ? schema["additionalProperties"] == Value(false)
                            : names_some;
    return closed && !has_property(schema, name) && !required(schema, name) &&
           !schema.contains("patternProperties");
}

/// Whether an object written for `x` never is one of `y`.
bool excludes(const Value& x, const Value& y) {
    if (y.contains("required")) {
        for (const Value& name : y["required"]) {
            if (name.is_string() && never_writes(x, name.get<std::string>())) {
                return true;
            }
        }
    }
    if (x.contains("required") && y.contains("additionalProperties") &&
        y["additionalProperties"] == Value(false) && !y.contains("patternProperties")) {
        for (const Value& name : x["required"]) {
            if (name.is_string() && !has_property(y, name.get<std::string>())) {
                return true;
            }
        }
    }
    return false;
}

std::string_view type_of(const Value& value) {
    return value.is_object()           ? "object"
           : value.is_array()          ? "array"
           : value.is_string()         ? "string"
           : value.is_boolean()        ? "boolean"
           : value.is_null()           ? "null"
           : value.is_number_integer() ? "integer"
                                       : "number";
}

bool never_both_at(const Value& root, const Value& a, const Value& b, unsigned depth);

bool objects_never_both(const Value& root, const Value& a, const Value& b, unsigned depth) {
    if (excludes(a, b) && excludes(b, a)) {
        return true;
    }
    if (!a.contains("properties") || !a["properties"].is_object()) {
        return false;
    }
    for (const auto& [name, schema] : a["properties"].items()) {
        if (required(a, name) && required(b, name) && has_property(b, name) &&
            never_both_at(root, schema, b["properties"][name], depth + 1)) {
            return true;
        }
    }
    return false;
}

bool never_both_at(const Value& root, const Value& x, const Value& y, unsigned depth) {
    const auto a = flattened(root, x, "#");
    const auto b = flattened(root, y, "#");
    if (!a || !b || depth > kCompareDepthMax || !a->is_object() || !b->is_object()) {
        return false;
    }
    const auto left = values_of(*a);
    const auto right = values_of(*b);
    if (left.has_value() && right.has_value()) {
        return std::none_of(left->begin(), left->end(), [&](const Value& value) {
            return std::find(right->begin(), right->end(), value) != right->end();
        });
    }
    if (left.has_value() || right.has_value()) {
        const auto types = types_of(left.has_value() ? *b : *a);
        const Value& values = left.has_value() ? *left : *right;
        return std::none_of(values.begin(), values.end(), [&](const Value& value) {
            return among(types, type_of(value)) ||
                   (value.is_number() && (among(types, "integer") || among(types, "number")));
        });
    }
    const auto types = types_of(*a);
    const auto others = types_of(*b);
    bool only_objects = true;
    bool disjoint = true;
    for (const std::string& type : types) {
        if (among(others, type)) {
            disjoint = false;
            only_objects = only_objects && type == "object";
        }
    }
    return disjoint || (only_objects && objects_never_both(root, *a, *b, depth));
}

Result<Value> flattened_at(const Value& root, const Value& schema, const std::string& place,
                           unsigned depth) {
    if (!schema.is_object() || (!schema.contains("$ref") && !schema.contains("allOf"))) {
        return schema;
    }
    if (depth > kMergesMax) {
        return fail(Fault::invalid,
                    "the schema at {} refers to itself through 'allOf' or beside other keywords",
                    place);
    }
    Value out = schema;
    out.erase("$ref");
    out.erase("allOf");
    std::vector<const Value*> parts;
    if (schema.contains("$ref")) {
        if (!schema["$ref"].is_string()) {
            return fail(Fault::invalid, "the '$ref' at {} is not a text", place);
        }
        TRILANE_TRY(const Value* target, resolve(root, schema["$ref"].get<std::string>()));
        parts.push_back(target);
    }
    if (schema.contains("allOf")) {
        if (!schema["allOf"].is_array()) {
            return fail(Fault::invalid, "the 'allOf' at {} is not a list of schemas", place);
        }
        for (const Value& part : schema["allOf"]) {
            parts.push_back(&part);
        }
    }
    for (const Value* part : parts) {
        TRILANE_TRY(const Value flat, flattened_at(root, *part, place, depth + 1));
        TRILANE_TRY(out, merged(out, flat, place));
    }
    return out;
}

}  // namespace

bool is_annotation(std::string_view keyword) {
    return among(kAnnotations, keyword) || keyword.starts_with("x-");
}

Result<const Value*> resolve(const Value& root, std::string_view reference) {
    if (reference != "#" && !reference.starts_with("#/")) {
        return fail(Fault::invalid,
                    "the reference '{}' leads out of the schema; only places within it, such as "
                    "#/$defs/name, are followed",
                    utf8_clipped(reference, 100));
    }
    const Value* at = &root;
    std::string_view rest = reference.substr(1);
    while (!rest.empty()) {
        rest.remove_prefix(1);
        const std::size_t end = std::min(rest.find('/'), rest.size());
        const std::string token = unescaped(rest.substr(0, end));
        rest.remove_prefix(end);
        std::size_t index = at->is_array() ? 0 : std::string::npos;
        for (const char c : token) {
            index = c >= '0' && c <= '9' && index < 100'000
                        ? index * 10 + static_cast<std::size_t>(c - '0')
                        : std::string::npos;
        }
        if (at->is_object() && at->contains(token)) {
            at = &(*at)[token];
        } else if (at->is_array() && !token.empty() && index < at->size()) {
            at = &(*at)[index];
        } else {
            return fail(Fault::invalid, "the reference '{}' leads nowhere",
                        utf8_clipped(reference, 100));
        }
    }
    return at;
}

Result<Value> flattened(const Value& root, const Value& schema, const std::string& place) {
    return flattened_at(root, schema, place, 0);
}

Result<Value> merged(const Value& a, const Value& b, const std::string& place) {
    if (a.is_boolean() || b.is_boolean()) {
        const bool never = a == Value(false) || b == Value(false);
        return never ? Value(false) : (a.is_boolean() ? b : a);
    }
    if (!a.is_object() || !b.is_object()) {
        return fail(Fault::invalid, "the schema at {} is neither an object nor true or false",
                    place);
    }
    const bool tuples = a.contains("prefixItems") || b.contains("prefixItems");
    const auto bounds_items = [](const Value& schema) {
        return schema.contains("items") || schema.contains("prefixItems");
    };
    if (tuples && bounds_items(a) && bounds_items(b)) {
        return fail(Fault::invalid,
                    "the schema at {} combines 'prefixItems' with other items; say it in one "
                    "schema",
                    place);
    }
    Value out = a;
    const auto left = values_of(a);
    const auto right = values_of(b);
    if (left.has_value() || right.has_value()) {
        Value both = left.has_value() ? *left : *right;
        if (left.has_value() && right.has_value()) {
            both = Value::array();
            for (const Value& value : *left) {
                if (std::find(right->begin(), right->end(), value) != right->end()) {
                    both.push_back(value);
                }
            }
        }
        out.erase("const");
        out["enum"] = both;
    }
    // Null is let in beside a type by one side only: the other one speaks of its own type.
    if (a.contains("nullable") != b.contains("nullable")) {
        out.erase("nullable");
    }
    for (const auto& [keyword, value] : b.items()) {
        if (is_annotation(keyword) || keyword == "enum" || keyword == "const" ||
            keyword == "properties" || keyword == "nullable") {
            continue;
        }
        if (keyword == "additionalProperties" && a.contains(keyword)) {
            out[keyword] = merged_extras(a[keyword], value);
        } else if (a.contains(keyword)) {
            TRILANE_TRY(out[keyword], merged_keyword(keyword, a[keyword], value, place));
        } else {
            out[keyword] = value;
        }
    }
    if (a.contains("properties") || b.contains("properties")) {
        out["properties"] = merged_properties(a, b);
    }
    return out;
}

bool never_both(const Value& root, const Value& a, const Value& b) {
    return never_both_at(root, a, b, 0);
}

}  // namespace trilane::grammar
