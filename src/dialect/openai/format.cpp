#include "dialect/openai/format.h"

#include <utility>

#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

using FormatKind = job::Format::Kind;

Result<job::Format> of_schema(const json::Value& schema, const std::string& path) {
    job::Format format;
    format.kind = FormatKind::json_schema;
    if (schema.is_object()) {
        format.source = json::dump(schema);
        return format;
    }
    // vLLM takes the schema's text, too.
    if (schema.is_string()) {
        const auto parsed = json::parse(schema.get_ref<const std::string&>());
        if (parsed && parsed->is_object()) {
            format.source = json::dump(*parsed);
            return format;
        }
    }
    return refuse(path, schema, "a JSON schema: an object");
}

/// A grammar or an expression.
Result<job::Format> of_text(FormatKind kind, const json::Value& text, const std::string& path) {
    if (!text.is_string()) {
        return refuse(path, text, "a string");
    }
    job::Format format;
    format.source = text.get_ref<const std::string&>();
    format.kind = format.source.empty() ? FormatKind::text : kind;
    return format;
}

Result<job::Format> of_choices(const json::Value& choices, const std::string& path) {
    constexpr std::string_view kWanted = "an array of at least one text";
    if (!choices.is_array() || choices.empty()) {
        return refuse(path, choices, kWanted);
    }
    if (choices.size() > kFormatChoicesMax) {
        return fail(Fault::invalid, "{}: got {} choices; send at most {}", path, choices.size(),
                    kFormatChoicesMax);
    }
    job::Format format;
    format.kind = FormatKind::choice;
    for (const json::Value& choice : choices) {
        if (!choice.is_string() || choice.get_ref<const std::string&>().empty()) {
            return refuse(path, choice, "texts of at least one character");
        }
        format.choices.push_back(choice.get_ref<const std::string&>());
    }
    return format;
}

Result<job::Format> of_value(FormatKind kind, const json::Value& value, const std::string& path) {
    switch (kind) {
        case FormatKind::json_schema:
            return of_schema(value, path);
        case FormatKind::choice:
            return of_choices(value, path);
        case FormatKind::text:
        case FormatKind::json_object:
        case FormatKind::gbnf:
        case FormatKind::regex:
            break;
    }
    return of_text(kind, value, path);
}

struct Field {
    std::string_view name;
    FormatKind kind;
};

constexpr Field kFlatFields[] = {{"grammar", FormatKind::gbnf},
                                 {"json_schema", FormatKind::json_schema},
                                 {"guided_json", FormatKind::json_schema},
                                 {"guided_regex", FormatKind::regex},
                                 {"guided_choice", FormatKind::choice},
                                 {"guided_grammar", FormatKind::gbnf}};

constexpr Field kStructuredFields[] = {{"json", FormatKind::json_schema},
                                       {"regex", FormatKind::regex},
                                       {"choice", FormatKind::choice},
                                       {"grammar", FormatKind::gbnf}};

/// Takes over what a field asks for; a second wish is one too many.
Status take(job::Format& format, job::Format wish, const std::string& path) {
    if (wish.kind == FormatKind::text) {
        return {};
    }
    if (format.kind != FormatKind::text) {
        return fail(Fault::invalid,
                    "{}: the answer has a shape already from another field; send only one", path);
    }
    format = std::move(wish);
    return {};
}

template <std::size_t size>
Status take_fields(job::Format& format, const Fields& object, const Field (&fields)[size]) {
    for (const Field& field : fields) {
        const json::Value* value = object.find(field.name);
        if (value == nullptr) {
            continue;
        }
        const std::string path = object.path_of(field.name);
        TRILANE_TRY(job::Format wish, of_value(field.kind, *value, path));
        TRILANE_TRY_STATUS(take(format, std::move(wish), path));
    }
    return {};
}

/// vLLM's newer object.
Status take_structured(job::Format& format, const Fields& body) {
    TRILANE_TRY(const json::Value* given, body.object("structured_outputs"));
    if (given == nullptr) {
        return {};
    }
    const Fields fields(*given, "structured_outputs");
    TRILANE_TRY_STATUS(take_fields(format, fields, kStructuredFields));
    TRILANE_TRY(const auto any_object, fields.boolean("json_object"));
    if (any_object.value_or(false)) {
        job::Format wish;
        wish.kind = FormatKind::json_object;
        TRILANE_TRY_STATUS(take(format, std::move(wish), fields.path_of("json_object")));
    }
    if (const json::Value* tag = fields.find("structural_tag")) {
        return refuse(fields.path_of("structural_tag"), *tag,
                      "json, regex, choice or grammar instead");
    }
    return {};
}

}  // namespace

Result<job::Format> read_response_format(const json::Value& format, const std::string& path) {
    constexpr std::string_view kWanted = "\"text\", \"json_object\" or \"json_schema\"";
    if (!format.is_object()) {
        return refuse(path, format, "an object");
    }
    const Fields fields(format, path);
    TRILANE_TRY(const std::string type, fields.required_text("type", kWanted));
    if (type == "text") {
        return job::Format{};
    }
    if (type != "json_object" && type != "json_schema") {
        return refuse(fields.path_of("type"), json::Value(type), kWanted);
    }
    TRILANE_TRY(const json::Value* inner, fields.object("json_schema"));
    const Fields named(inner == nullptr ? format : *inner,
                       inner == nullptr ? path : fields.path_of("json_schema"));
    const json::Value* schema = named.find("schema");
    if (schema == nullptr) {
        if (type == "json_schema") {
            return fail(Fault::invalid, "{}: missing; send the JSON schema of the answer",
                        named.path_of("schema"));
        }
        job::Format any;
        any.kind = FormatKind::json_object;
        return any;
    }
    TRILANE_TRY(job::Format wish, of_schema(*schema, named.path_of("schema")));
    TRILANE_TRY(std::optional<std::string> name, named.text("name"));
    wish.name = std::move(name).value_or("");
    TRILANE_TRY(const auto strict, named.boolean("strict"));
    wish.strict = strict.value_or(false);
    return wish;
}

Result<job::Format> read_format(const Fields& body) {
    job::Format format;
    if (const json::Value* given = body.find("response_format")) {
        TRILANE_TRY(format, read_response_format(*given, "response_format"));
    }
    TRILANE_TRY_STATUS(take_fields(format, body, kFlatFields));
    TRILANE_TRY_STATUS(take_structured(format, body));
    return format;
}

}  // namespace trilane::dialect::openai
