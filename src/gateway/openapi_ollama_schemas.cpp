// What Ollama's endpoints take and answer here, as component schemas of the API document. Fields
// that are not named are ignored, as Ollama does.
#include "gateway/openapi.h"

namespace trilane::gateway {

const std::string_view kOllamaSchemas =
    R"json({
"OllamaError": {"type": "object", "required": ["error"], "properties": {
  "error": {"type": "string", "description": "What is wrong and what to do next"}}},

"OllamaName": {"type": "object", "properties": {
  "model": {"type": "string", "description": "A model; of a pull also owner/name:variant"},
  "name": {"type": "string", "description": "The same, from older clients"},
  "stream": {"type": "boolean", "default": true},
  "verbose": {"type": "boolean", "default": false}}},

"OllamaOptions": {"type": "object", "properties": {
  "temperature": {"type": "number", "minimum": 0, "maximum": 2, "default": 0.8},
  "top_k": {"type": "integer", "minimum": -1, "default": 40},
  "top_p": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.9},
  "min_p": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
  "seed": {"type": "integer"},
  "num_predict": {"type": "integer", "minimum": -2},
  "num_ctx": {"type": "integer", "minimum": 0, "description": "Counts when it loads the model"},
  "stop": {"type": ["string", "array"], "items": {"type": "string"}, "maxItems": 16},
  "repeat_penalty": {"type": "number", "minimum": 0.1, "maximum": 10, "default": 1},
  "repeat_last_n": {"type": "integer"},
  "typical_p": {"type": "number"},
  "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2, "default": 0},
  "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2, "default": 0}}},
"OllamaAnswering": {"type": "object", "required": ["model"], "properties": {
  "model": {"type": "string"},
  "stream": {"type": "boolean", "default": true},
  "format": {"description": "\"json\", or a JSON schema"},
  "options": {"$ref": "#/components/schemas/OllamaOptions"},
  "keep_alive": {"type": ["string", "number"], "description": "Seconds, or \"5m\"; negative = until its room is needed"},
  "think": {"enum": [true, false, "low", "medium", "high", "max", null]},
  "logprobs": {"type": "boolean", "default": false},
  "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20}}},
"OllamaToolCall": {"type": "object", "required": ["function"], "properties": {
  "id": {"type": "string"},
  "function": {"type": "object", "required": ["name"], "properties": {
    "index": {"type": "integer"}, "name": {"type": "string"}, "arguments": {"type": "object"}}}}},
"OllamaMessage": {"type": "object", "required": ["role"], "properties": {
  "role": {"enum": ["system", "user", "assistant", "tool"]},
  "content": {"type": "string"},
  "thinking": {"type": "string"},
  "images": {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}},
  "tool_calls": {"type": "array", "items": {"$ref": "#/components/schemas/OllamaToolCall"}},
  "tool_name": {"type": "string"},
  "tool_call_id": {"type": "string"}}},
"OllamaChatRequest": {"allOf": [{"$ref": "#/components/schemas/OllamaAnswering"}, {"type": "object", "properties": {
  "messages": {"type": "array", "items": {"$ref": "#/components/schemas/OllamaMessage"}, "description": "None: the model is loaded, or with a keep_alive of 0 unloaded"},
  "tools": {"type": "array", "items": {"type": "object"}}}}]},
"OllamaGenerateRequest": {"allOf": [{"$ref": "#/components/schemas/OllamaAnswering"}, {"type": "object", "properties": {
  "prompt": {"type": "string"},
  "suffix": {"type": "string"},
  "system": {"type": "string"},
  "images": {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}},
  "raw": {"type": "boolean", "default": false},
  "context": {"type": "array", "items": {"type": "integer"}, "description": "Of an earlier answer"}}}]},

"OllamaFigures": {"type": "object", "required": ["model", "created_at", "done"], "properties": {
  "model": {"type": "string"},
  "created_at": {"type": "string", "format": "date-time"},
  "done": {"type": "boolean"},
  "done_reason": {"enum": ["stop", "length", "load", "unload"]},
  "total_duration": {"type": "integer", "description": "Nanoseconds, as all durations"},
  "load_duration": {"type": "integer"},
  "prompt_eval_count": {"type": "integer"},
  "prompt_eval_duration": {"type": "integer"},
  "eval_count": {"type": "integer"},
  "eval_duration": {"type": "integer"},
  "logprobs": {"type": "array", "items": {"type": "object"}}}},
"OllamaChatResponse": {"allOf": [{"$ref": "#/components/schemas/OllamaFigures"}, {"type": "object", "required": ["message"],
  "properties": {"message": {"$ref": "#/components/schemas/OllamaMessage"}}}]},
"OllamaGenerateResponse": {"allOf": [{"$ref": "#/components/schemas/OllamaFigures"}, {"type": "object", "required": ["response"],
  "properties": {"response": {"type": "string"}, "thinking": {"type": "string"},
    "context": {"type": "array", "items": {"type": "integer"}}}}]},

"OllamaEmbedRequest": {"type": "object", "required": ["model"], "properties": {
  "model": {"type": "string"},
  "input": {"type": ["string", "array"], "items": {"type": "string"}, "maxItems": 2048},
  "truncate": {"type": "boolean", "default": true},
  "dimensions": {"type": "integer", "minimum": 0},
  "keep_alive": {"type": ["string", "number"]},
  "options": {"$ref": "#/components/schemas/OllamaOptions"}}},
"OllamaEmbedResponse": {"type": "object", "required": ["model", "embeddings"], "properties": {
  "model": {"type": "string"},
  "embeddings": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
  "total_duration": {"type": "integer"},
  "load_duration": {"type": "integer"},
  "prompt_eval_count": {"type": "integer"}}},

"OllamaDetails": {"type": "object", "properties": {
  "parent_model": {"type": "string"},
  "format": {"const": "gguf"},
  "family": {"type": "string"},
  "families": {"type": ["array", "null"], "items": {"type": "string"}},
  "parameter_size": {"type": "string"},
  "quantization_level": {"type": "string"}}},
"OllamaListed": {"type": "object", "required": ["name", "model", "size", "digest", "details"], "properties": {
  "name": {"type": "string"},
  "model": {"type": "string"},
  "modified_at": {"type": "string", "format": "date-time"},
  "size": {"type": "integer"},
  "digest": {"type": "string"},
  "details": {"$ref": "#/components/schemas/OllamaDetails"},
  "expires_at": {"type": "string", "format": "date-time"},
  "size_vram": {"type": "integer"},
  "context_length": {"type": "integer"}}},
"OllamaTags": {"type": "object", "required": ["models"], "properties": {
  "models": {"type": "array", "items": {"$ref": "#/components/schemas/OllamaListed"}}}},
"OllamaRunning": {"$ref": "#/components/schemas/OllamaTags"},
"OllamaShow": {"type": "object", "required": ["details", "model_info", "capabilities"], "properties": {
  "license": {"type": "string"},
  "modelfile": {"type": "string"},
  "parameters": {"type": "string"},
  "template": {"type": "string"},
  "system": {"type": "string"},
  "details": {"$ref": "#/components/schemas/OllamaDetails"},
  "model_info": {"type": "object"},
  "capabilities": {"type": "array", "items": {"enum": ["completion", "vision", "audio", "tools", "insert", "thinking", "embedding"]}},
  "modified_at": {"type": "string", "format": "date-time"}}}
})json";

}  // namespace trilane::gateway
