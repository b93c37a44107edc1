// OpenAPI: the document that describes the endpoint table to programs (OpenAPI 3.1). Rows say what
// there is; component schemas stand in openapi_*_schemas.cpp, one file for each API.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gateway/endpoint.h"
#include "json/fwd.h"

namespace trilane::gateway {

/// The document, JSON. A row of a schema that has no component says that anything goes.
std::string openapi_document(std::span<const Endpoint> rows, std::string_view version);

/// All components by name. One that is not JSON says so in "x-media-types".
const json::Value& openapi_components();

/// The components of each API: a JSON object of schemas by name.
extern const std::string_view kOpenaiSchemas;
extern const std::string_view kAnthropicSchemas;
extern const std::string_view kOllamaSchemas;
extern const std::string_view kLemonadeSchemas;

}  // namespace trilane::gateway
