// What Anthropic's endpoints take and answer here, as component schemas of the API document. Names
// begin with "Anthropic" where another API has the same. Fields beside these are dropped or handed
// on to lanes that may know them.
#include "gateway/openapi.h"

namespace trilane::gateway {

const std::string_view kAnthropicSchemas =
    R"json({
"AnthropicErrorResponse": {"type": "object", "required": ["type", "error"], "properties": {
  "type": {"const": "error"},
  "error": {"type": "object", "required": ["type", "message"], "properties": {
    "type": {"enum": ["invalid_request_error", "authentication_error", "permission_error",
      "not_found_error", "request_too_large", "rate_limit_error", "timeout_error", "api_error",
      "overloaded_error"]},
    "message": {"type": "string", "description": "What is wrong and what to do next"},
    "details": {"type": "object", "properties": {"error_code": {"type": "string"}}}}},
  "request_id": {"type": "string"}}},

"AnthropicContent": {"description": "A text or blocks", "oneOf": [{"type": "string"},
  {"type": "array", "maxItems": 4096, "items": {"$ref": "#/components/schemas/AnthropicBlock"}}]},
"AnthropicBlock": {"type": "object", "required": ["type"], "properties": {
  "type": {"enum": ["text", "image", "document", "search_result", "tool_use", "tool_result",
    "thinking", "redacted_thinking", "tool_reference", "tool_addition", "tool_removal",
    "compaction"]},
  "text": {"type": "string"},
  "source": {"type": "object",
    "description": "Of an image: base64 or url. Of a document: text or content"},
  "id": {"type": "string"},
  "name": {"type": "string"},
  "input": {"type": "object"},
  "tool_use_id": {"type": "string"},
  "content": {"$ref": "#/components/schemas/AnthropicContent"},
  "is_error": {"type": "boolean"},
  "thinking": {"type": "string"},
  "signature": {"type": "string"}}},
"AnthropicTool": {"type": "object", "required": ["name"], "properties": {
  "type": {"type": "string", "default": "custom"},
  "name": {"type": "string"},
  "description": {"type": "string"},
  "input_schema": {"type": "object"},
  "defer_loading": {"type": "boolean", "default": false}}},

"CountMessageTokensParams": {"type": "object", "required": ["model", "messages"], "properties": {
  "model": {"type": "string"},
  "messages": {"type": "array", "minItems": 1, "maxItems": 16384, "items": {
    "type": "object", "required": ["role"], "properties": {
      "role": {"enum": ["user", "assistant", "system"]},
      "content": {"$ref": "#/components/schemas/AnthropicContent"}}}},
  "system": {"$ref": "#/components/schemas/AnthropicContent"},
  "tools": {"type": "array", "maxItems": 1024, "items": {
    "$ref": "#/components/schemas/AnthropicTool"}},
  "tool_choice": {"type": "object", "required": ["type"], "properties": {
    "type": {"enum": ["auto", "any", "tool", "none"]},
    "name": {"type": "string"},
    "disable_parallel_tool_use": {"type": "boolean", "default": false}}},
  "thinking": {"type": "object", "required": ["type"], "properties": {
    "type": {"enum": ["enabled", "adaptive", "between_tools", "disabled"]},
    "budget_tokens": {"type": "integer", "minimum": 0},
    "display": {"enum": ["summarized", "omitted", null]}}},
  "output_config": {"type": "object", "properties": {
    "effort": {"type": "string"},
    "format": {"type": "object", "required": ["type", "schema"], "properties": {
      "type": {"const": "json_schema"},
      "schema": {"type": "object"}}}}}}},
"CountMessageTokensResponse": {"type": "object", "required": ["input_tokens"], "properties": {
  "input_tokens": {"type": "integer"}}},

"CreateMessageParams": {"allOf": [{"$ref": "#/components/schemas/CountMessageTokensParams"},
  {"type": "object", "required": ["max_tokens"], "properties": {
    "max_tokens": {"type": "integer", "minimum": 1},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "default": 1},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
    "top_k": {"type": "integer", "minimum": 0, "default": 0},
    "stop_sequences": {"type": "array", "maxItems": 64, "items": {"type": "string"}},
    "stream": {"type": "boolean", "default": false},
    "metadata": {"type": "object", "properties": {
      "user_id": {"type": "string", "description": "Who asks, for fair queues"}}}}}]},
"AnthropicMessage": {"type": "object",
  "required": ["id", "type", "role", "model", "content", "stop_reason", "usage"], "properties": {
    "id": {"type": "string"},
    "type": {"const": "message"},
    "role": {"const": "assistant"},
    "model": {"type": "string"},
    "content": {"type": "array", "items": {"$ref": "#/components/schemas/AnthropicBlock"}},
    "stop_reason": {"enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use"]},
    "stop_sequence": {"type": ["string", "null"]},
    "usage": {"type": "object", "properties": {
      "input_tokens": {"type": "integer", "description": "Those that the cache did not have"},
      "cache_creation_input_tokens": {"const": 0},
      "cache_read_input_tokens": {"type": "integer"},
      "output_tokens": {"type": "integer"}}}}}
})json";

}  // namespace trilane::gateway
