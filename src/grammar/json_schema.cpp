// JSON schema → parts. Every text that the parts match is one the schema holds for; not every such
// text is matched: properties come in the schema's order, numbers have few digits, and what the
// schema leaves open beside named properties stays away. What cannot be guaranteed is refused.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/utf8.h"
#include "grammar/grammar.h"
#include "grammar/number_range.h"
#include "grammar/schema_merge.h"
#include "grammar/schema_reader.h"
#include "grammar/string_schema.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::grammar {

using json::Value;

namespace {

/// Schemas read, copies by references and combinations included.
constexpr std::uint32_t kSchemasMax = 20'000;
/// Schemas within each other, references that are written out included.
constexpr unsigned kSchemaDepthMax = 150;

constexpr std::array<std::string_view, 17> kRefused = {"not",
                                                       "if",
                                                       "then",
                                                       "else",
                                                       "dependencies",
                                                       "contains",
                                                       "dependentSchemas",
                                                       "dependentRequired",
                                                       "extends",
                                                       "minContains",
                                                       "unevaluatedProperties",
                                                       "unevaluatedItems",
                                                       "maxContains",
                                                       "$dynamicRef",
                                                       "$recursiveRef",
                                                       "contentEncoding",
                                                       "contentSchema"};

constexpr std::array<std::string_view, 7> kTypes = {"object",  "array",   "string", "number",
                                                    "integer", "boolean", "null"};

/// Keywords that speak of values of one type only, with the type.
constexpr std::array<std::pair<std::string_view, std::string_view>, 23> kTypeOfKeyword = {{
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"patternProperties", "object"},
    {"propertyNames", "object"},
    {"minProperties", "object"},
    {"maxProperties", "object"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"additionalItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"uniqueItems", "array"},
    {"pattern", "string"},
    {"format", "string"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
    {"multipleOf", "number"},
    {"contentMediaType", "string"},
}};

std::string_view type_of_keyword(std::string_view keyword) {
    for (const auto& [known, type] : kTypeOfKeyword) {
        if (known == keyword) {
            return type;
        }
    }
    return {};
}

bool of_type(const Value& value, std::string_view type) {
    if (type == "integer" && value.is_number_float()) {
        return std::nearbyint(value.get<double>()) == value.get<double>();
    }
    return (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
           (type == "string" && value.is_string()) || (type == "boolean" && value.is_boolean()) ||
           (type == "null" && value.is_null()) || (type == "number" && value.is_number()) ||
           (type == "integer" && value.is_number_integer());
}

}  // namespace

SchemaReader::SchemaReader(Builder& builder, const Value& root)
    : b_(builder), text_(builder), root_(root) {}

tl::unexpected<Error> SchemaReader::refuse(const std::string& place, std::string_view why) {
    return fail(Fault::invalid, "the schema at {} {}", utf8_clipped(place, 200), why);
}

Result<Part> SchemaReader::read(const Value& schema, const std::string& place) {
    if (++schemas_ > kSchemasMax) {
        return fail(Fault::invalid, "the schema has more than {} parts, references written out",
                    kSchemasMax);
    }
    if (depth_ > kSchemaDepthMax) {
        return refuse(place, "nests too deep, or refers to itself beside other keywords");
    }
    ++depth_;
    auto part = read_any(schema, place);
    --depth_;
    return part;
}

Result<Part> SchemaReader::read_any(const Value& schema, const std::string& place) {
    if (schema.is_boolean()) {
        return schema.get<bool>() ? text_.value() : b_.either({});
    }
    if (!schema.is_object()) {
        return refuse(place, "is neither an object nor true or false");
    }
    for (const auto& [keyword, value] : schema.items()) {
        if (std::find(kRefused.begin(), kRefused.end(), keyword) != kRefused.end()) {
            return refuse(place, fmt::format("uses '{}', which answers cannot be held to; write "
                                             "the schema without it",
                                             keyword));
        }
    }
    if (schema.contains("$ref") || schema.contains("allOf")) {
        return read_combined(schema, place);
    }
    for (const char* keyword : {"anyOf", "oneOf"}) {
        if (schema.contains(keyword)) {
            return read_branches(schema, keyword, place);
        }
    }
    if (schema.contains("const") || schema.contains("enum")) {
        return read_values(schema, place);
    }
    return read_types(schema, place);
}

/// A reference alone becomes a rule, so that it may lead back to itself; together with other
/// keywords it is worked into them.
Result<Part> SchemaReader::read_combined(const Value& schema, const std::string& place) {
    const bool alone = std::all_of(schema.items().begin(), schema.items().end(), [](const auto& i) {
        return i.key() == "$ref" || is_annotation(i.key());
    });
    if (!alone || !schema["$ref"].is_string()) {
        TRILANE_TRY(const Value flat, flattened(root_, schema, place));
        return read(flat, place);
    }
    const auto reference = schema["$ref"].get<std::string>();
    const auto known = references_.find(reference);
    if (known != references_.end()) {
        return b_.call(known->second);
    }
    TRILANE_TRY(const Value* target, resolve(root_, reference));
    const Rule rule = b_.declare(utf8_clipped(reference, 100));
    references_.emplace(reference, rule);
    TRILANE_TRY(const Part body, read(*target, reference));
    b_.define(rule, body);
    return b_.call(rule);
}

Result<Part> SchemaReader::read_branches(const Value& schema, const std::string& keyword,
                                         const std::string& place) {
    const Value& branches = schema[keyword];
    if (!branches.is_array() || branches.empty()) {
        return refuse(place, fmt::format("has an '{}' that is not a list of schemas", keyword));
    }
    Value beside = schema;
    beside.erase(keyword);
    const bool binds = std::any_of(beside.items().begin(), beside.items().end(),
                                   [](const auto& item) { return !is_annotation(item.key()); });
    std::vector<Value> cases;
    for (const Value& branch : branches) {
        Value both = Value::object();
        both["allOf"] = Value::array({beside, branch});
        cases.push_back(binds ? both : branch);
    }
    if (keyword == "oneOf") {
        for (std::size_t i = 0; i < cases.size(); ++i) {
            for (std::size_t j = 0; j < i; ++j) {
                if (!never_both(root_, cases[j], cases[i])) {
                    return refuse(place,
                                  fmt::format("has a 'oneOf' of which cases {} and {} might hold "
                                              "together; use 'anyOf', or give them a required "
                                              "property with a 'const' of its own",
                                              j, i));
                }
            }
        }
    }
    std::vector<Part> ways;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        TRILANE_TRY(const Part way, read(cases[i], fmt::format("{}/{}/{}", place, keyword, i)));
        ways.push_back(way);
    }
    return ways.size() == 1 ? ways[0] : b_.either(std::move(ways));
}

Result<std::vector<std::string>> SchemaReader::types(const Value& schema,
                                                     const std::string& place) {
    std::vector<std::string> out;
    if (!schema.contains("type")) {
        for (const auto& [keyword, value] : schema.items()) {
            const std::string type(type_of_keyword(keyword));
            if (!type.empty() && std::find(out.begin(), out.end(), type) == out.end()) {
                out.push_back(type);
            }
        }
        return out;
    }
    const Value names = schema["type"].is_array() ? schema["type"] : Value::array({schema["type"]});
    for (const Value& name : names) {
        if (!name.is_string() ||
            std::find(kTypes.begin(), kTypes.end(), name.get<std::string>()) == kTypes.end()) {
            return refuse(place, fmt::format("has the type {}, which is none of JSON's",
                                             utf8_clipped(json::dump(name), 60)));
        }
        out.push_back(name.get<std::string>());
    }
    if (out.empty()) {
        return refuse(place, "allows no type");
    }
    if (schema.contains("nullable") && schema["nullable"] == Value(true)) {
        out.emplace_back("null");
    }
    return out;
}

/// Values that are listed; those of another type than the schema names are left out.
Result<Part> SchemaReader::read_values(const Value& schema, const std::string& place) {
    TRILANE_TRY(const auto named, types(schema, place));
    Value values = schema.contains("const") ? Value::array({schema["const"]}) : schema["enum"];
    if (!values.is_array()) {
        return refuse(place, "has an 'enum' that is not a list");
    }
    if (schema.contains("const") && schema.contains("enum")) {
        const Value& others = schema["enum"];
        if (std::find(others.begin(), others.end(), schema["const"]) == others.end()) {
            return refuse(place, "has a 'const' that is not among its 'enum'");
        }
    }
    std::vector<Part> ways;
    for (const Value& value : values) {
        if (schema.contains("type") &&
            std::none_of(named.begin(), named.end(),
                         [&](const std::string& type) { return of_type(value, type); })) {
            continue;
        }
        for (const auto& [keyword, bound] : schema.items()) {
            const std::string_view type = type_of_keyword(keyword);
            if (!type.empty() && of_type(value, type)) {
                return refuse(place, fmt::format("lists values and bounds them by '{}' as well; "
                                                 "list only what is meant",
                                                 keyword));
            }
        }
        ways.push_back(text_.exactly(value));
    }
    if (ways.empty()) {
        return refuse(place, "lists values of which none can be");
    }
    return ways.size() == 1 ? ways[0] : b_.either(std::move(ways));
}

Result<Part> SchemaReader::read_types(const Value& schema, const std::string& place) {
    TRILANE_TRY(const auto named, types(schema, place));
    if (named.empty()) {
        return text_.value();
    }
    std::vector<Part> ways;
    for (const std::string& type : named) {
        TRILANE_TRY(const Part way, read_type(schema, type, place));
        ways.push_back(way);
    }
    return ways.size() == 1 ? ways[0] : b_.either(std::move(ways));
}

Result<Part> SchemaReader::read_type(const Value& schema, const std::string& type,
                                     const std::string& place) {
    if (type == "object" || type == "array") {
        // A rule of its own: an object within objects is then written once.
        const Rule rule = b_.declare(utf8_clipped(place, 100));
        TRILANE_TRY(const Part body,
                    type == "object" ? read_object(schema, place) : read_array(schema, place));
        b_.define(rule, body);
        return b_.call(rule);
    }
    if (type == "string") {
        return read_string(b_, text_, schema, place);
    }
    if (type == "number" || type == "integer") {
        return read_number(schema, type == "integer", place);
    }
    return type == "boolean" ? text_.boolean() : text_.null();
}

Result<std::optional<std::uint32_t>> SchemaReader::count(const Value& schema, const char* keyword,
                                                         const std::string& place) {
    if (!schema.contains(keyword)) {
        return std::nullopt;
    }
    const Value& value = schema[keyword];
    const bool whole = value.is_number() && value.get<double>() >= 0 &&
                       std::floor(value.get<double>()) == value.get<double>();
    if (!whole) {
        return refuse(place, fmt::format("has a '{}' that is not a natural number", keyword));
    }
    return static_cast<std::uint32_t>(std::min<double>(value.get<double>(), kUnbounded));
}

Result<std::pair<std::uint32_t, std::uint32_t>> SchemaReader::counts(const Value& schema,
                                                                     const char* min,
                                                                     const char* max,
                                                                     const std::string& place) {
    TRILANE_TRY(const auto least, count(schema, min, place));
    TRILANE_TRY(const auto most, count(schema, max, place));
    const std::pair bounds{least.value_or(0), most.value_or(kUnbounded)};
    if (bounds.first > bounds.second || bounds.first >= kUnbounded) {
        return refuse(place, fmt::format("has a '{}' that cannot be reached", min));
    }
    return bounds;
}

Result<Part> SchemaReader::read_number(const Value& schema, bool integer,
                                       const std::string& place) {
    std::array<std::optional<NumberBound>, 2> bounds;
    constexpr std::array<std::pair<const char*, const char*>, 2> kNames = {
        {{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}}};
    for (std::size_t i = 0; i < 2; ++i) {
        for (const bool exclusive : {false, true}) {
            const char* const name = exclusive ? kNames[i].second : kNames[i].first;
            if (!schema.contains(name)) {
                continue;
            }
            if (!schema[name].is_number()) {
                return refuse(place, fmt::format("has a '{}' that is not a number", name));
            }
            const auto value = schema[name].get<double>();
            auto& bound = bounds[i];
            const bool tighter =
                !bound.has_value() || (i == 0 ? value >= bound->value : value <= bound->value);
            if (tighter) {
                bound = {value, exclusive};
            }
        }
    }
    if (schema.contains("multipleOf")) {
        const Value& factor = schema["multipleOf"];
        if (!factor.is_number() || factor.get<double>() != 1) {
            return refuse(place,
                          "asks for multiples of something other than 1, which answers "
                          "cannot be held to");
        }
        integer = true;
    }
    if (!bounds[0].has_value() && !bounds[1].has_value()) {
        return integer ? text_.integer() : text_.number();
    }
    auto part = integer ? integer_between(b_, bounds[0], bounds[1])
                        : decimal_between(b_, bounds[0], bounds[1]);
    if (!part) {
        return tl::unexpected(
            std::move(part).error().because(fmt::format("the schema at {}", place)));
    }
    return part;
}

/// The first items by 'prefixItems', then by 'items'.
Result<Part> SchemaReader::read_array(const Value& schema, const std::string& place) {
    TRILANE_TRY(const auto bounds, counts(schema, "minItems", "maxItems", place));
    const auto [min, max] = bounds;
    if (schema.contains("uniqueItems") && schema["uniqueItems"] != Value(false) && max > 1) {
        return refuse(place, "asks for 'uniqueItems', which answers cannot be held to");
    }
    if (schema.contains("additionalItems")) {
        return refuse(place, "uses 'additionalItems'; write 'prefixItems' and 'items'");
    }
    std::vector<Part> first;
    if (schema.contains("prefixItems")) {
        const Value& prefix = schema["prefixItems"];
        if (!prefix.is_array()) {
            return refuse(place, "has 'prefixItems' that are not a list of schemas");
        }
        for (std::size_t i = 0; i < prefix.size() && i < max; ++i) {
            TRILANE_TRY(const Part item,
                        read(prefix[i], fmt::format("{}/prefixItems/{}", place, i)));
            first.push_back(item);
        }
    }
    const auto given = static_cast<std::uint32_t>(first.size());
    Part rest = b_.either({});
    std::uint32_t most = max;
    if (schema.contains("items")) {
        if (schema["items"].is_array()) {
            return refuse(place, "has a list as 'items'; write 'prefixItems'");
        }
        TRILANE_TRY(rest, read(schema["items"], place + "/items"));
        if (schema["items"] == Value(false)) {
            most = std::min(most, given);
        }
    } else if (given == 0 || min > given) {
        rest = text_.value();
    } else {
        most = std::min(most, given);  // more may follow, but need not
    }
    if (min > most) {
        return refuse(place, "asks for more items than it allows");
    }
    if (given == 0) {
        return text_.repeated("[", rest, "]", min, most);
    }
    return tuple(first, rest, min, most);
}

Part SchemaReader::tuple(const std::vector<Part>& first, Part rest, std::uint32_t min,
                         std::uint32_t max) {
    const auto given = static_cast<std::uint32_t>(first.size());
    const auto over = [given](std::uint32_t n) { return n > given ? n - given : 0; };
    Part tail = b_.repeat(b_.sequence({text_.comma(), rest}), over(min),
                          max >= kUnbounded ? kUnbounded : over(max));
    for (std::uint32_t i = given; i-- > 0;) {
        tail =
            i == 0 ? b_.sequence({first[i], tail}) : b_.sequence({text_.comma(), first[i], tail});
        if (i >= min) {
            tail = b_.optional(tail);
        }
    }
    return b_.sequence({b_.literal("["), tail, b_.literal("]")});
}

Result<Part> add_json_schema(Builder& builder, std::string_view schema) {
    if (schema.size() > kSourceBytesMax) {
        return fail(Fault::invalid, "the schema has {} bytes; at most {} are taken", schema.size(),
                    kSourceBytesMax);
    }
    auto root = json::parse(schema);
    if (!root) {
        return tl::unexpected(std::move(root).error().because("the schema"));
    }
    return SchemaReader(builder, *root).read(*root, "#");
}

}  // namespace trilane::grammar
