#include "gateway/openapi.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/check.h"
#include "dialect/anthropic/anthropic.h"
#include "dialect/lemonade/lemonade.h"
#include "dialect/ollama/ollama.h"
#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::gateway {
namespace {

using json::Value;

Value reference(std::string_view name) {
    return {{"$ref", fmt::format("#/components/schemas/{}", name)}};
}

/// {"application/json": {"schema": …}}, or under the types that the component names.
Value content_of(std::string_view schema) {
    const Value& components = openapi_components();
    const auto component = components.find(std::string(schema));
    if (component == components.end()) {
        return {{dialect::kJsonType, {{"schema", Value::object()}}}};
    }
    Value content = Value::object();
    const auto types = component->find("x-media-types");
    for (const Value& type : types == component->end() ? Value({dialect::kJsonType}) : *types) {
        content[type.get<std::string>()] = {{"schema", reference(schema)}};
    }
    return content;
}

/// "POST /v1/images/edits" → "post_v1_images_edits".
std::string operation_id(const Endpoint& row) {
    std::string id;
    for (const char c : fmt::format("{}{}", row.method, row.path)) {
        const auto byte = static_cast<unsigned char>(c);
        id += std::isalnum(byte) != 0 ? static_cast<char>(std::tolower(byte)) : '_';
    }
    return id;
}

Value responses_of(const Endpoint& row) {
    Value content = content_of(row.doc.response_schema);
    if (!row.doc.stream_type.empty()) {
        content[std::string(row.doc.stream_type)] = {
            {"schema", {{"type", "string"}, {"description", "The same, piece by piece"}}}};
    }
    Value responses = {{"200", {{"description", "The answer"}, {"content", std::move(content)}}}};
    if (row.web_socket) {
        responses = {{"101", {{"description", "The connection is a WebSocket now"}}}};
    }
    if (row.errors == &dialect::openai::kErrorShape) {
        responses["default"] = {{"description", "What was wrong"},
                                {"content", content_of("ErrorResponse")}};
    } else if (row.errors == &dialect::anthropic::kErrorShape) {
        responses["default"] = {{"description", "What was wrong"},
                                {"content", content_of("AnthropicErrorResponse")}};
    } else if (row.errors == &dialect::ollama::kErrorShape) {
        responses["default"] = {{"description", "What was wrong"},
                                {"content", content_of("OllamaError")}};
    } else if (row.errors == &dialect::lemonade::kErrorShape) {
        responses["default"] = {{"description", "What was wrong"},
                                {"content", content_of("LemonadeError")}};
    }
    return responses;
}

Value operation_of(const Endpoint& row, bool with_id) {
    Value operation = {{"operationId", operation_id(row)},
                       {"tags", Value::array({row.doc.tag})},
                       {"summary", row.doc.summary}};
    if (row.guard == Guard::open) {
        operation["security"] = Value::array();
    }
    if (with_id) {
        operation["parameters"] = Value::array({{{"name", "id"},
                                                 {"in", "path"},
                                                 {"required", true},
                                                 {"schema", {{"type", "string"}}}}});
    }
    if (row.method == "POST" && !row.doc.request_schema.empty()) {
        operation["requestBody"] = {{"required", true},
                                    {"content", content_of(row.doc.request_schema)}};
    }
    operation["responses"] = responses_of(row);
    return operation;
}

Value paths_of(std::span<const Endpoint> rows) {
    Value paths = Value::object();
    for (const Endpoint& row : rows) {
        std::string path(row.path);
        if (path.size() > 1 && path.ends_with('/')) {
            path += "{id}";
        }
        std::string method(row.method);
        for (char& c : method) {
            c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        }
        paths[path][method] = operation_of(row, path.find("{id}") != std::string::npos);
    }
    return paths;
}

Value tags_of(std::span<const Endpoint> rows) {
    Value tags = Value::array();
    for (const Endpoint& row : rows) {
        Value tag = {{"name", row.doc.tag}};
        if (std::find(tags.begin(), tags.end(), tag) == tags.end()) {
            tags.push_back(std::move(tag));
        }
    }
    return tags;
}

}  // namespace

const Value& openapi_components() {
    static const Value components = [] {
        Value all = Value::object();
        for (const std::string_view text :
             {kOpenaiSchemas, kAnthropicSchemas, kOllamaSchemas, kLemonadeSchemas}) {
            const auto schemas = json::parse(text);
            TRILANE_CHECK(schemas.has_value());
            all.update(*schemas);
        }
        return all;
    }();
    return components;
}

std::string openapi_document(std::span<const Endpoint> rows, std::string_view version) {
    const Value document = {
        {"openapi", "3.1.0"},
        {"info",
         {{"title", "Trilane"},
          {"version", version},
          {"description",
           "Local inference behind one port. What is below /v1 is also below /api/v1, /api/v0 and "
           "/v0. Whatever asks a model may carry the header x-trilane-deadline-ms: where the "
           "answer "
           "has not begun within so many milliseconds, it is an error (504)."},
          {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
        {"servers", Value::array({{{"url", "/"}}})},
        {"tags", tags_of(rows)},
        // A key is asked for only when the daemon was started with one.
        {"security", Value::array({{{"key", Value::array()}}, Value::object()})},
        {"paths", paths_of(rows)},
        {"components",
         {{"schemas", openapi_components()},
          {"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
    };
    return json::dump(document);
}

}  // namespace trilane::gateway
