// What Lemonade's own endpoints take and answer here, as component schemas of the API document.
// Fields that are not named are ignored, as Lemonade does.
#include "gateway/openapi.h"

namespace trilane::gateway {

const std::string_view kLemonadeSchemas =
    R"json({
"LemonadeError": {"type": "object", "required": ["status", "message", "error"], "properties": {
  "status": {"const": "error"},
  "message": {"type": "string", "description": "What is wrong and what to do next"},
  "error": {"type": "object", "required": ["message", "type", "code"], "properties": {
    "message": {"type": "string"}, "type": {"type": "string"}, "code": {"type": "string"}}}}},

"LemonadeName": {"type": "object", "properties": {
  "model_name": {"type": "string", "description": "A model; absent in an unload = all"},
  "model": {"type": "string", "description": "The same"}}},

"LemonadeDone": {"type": "object", "required": ["status", "message"], "properties": {
  "status": {"const": "success"},
  "message": {"type": "string"},
  "model_name": {"type": "string"},
  "ignored": {"type": "array", "items": {"type": "string"}, "description": "Options that changed nothing, each with why"}}},

"LemonadeLoad": {"type": "object", "required": ["model_name"], "properties": {
  "model_name": {"type": "string"},
  "ctx_size": {"type": "integer", "minimum": -1, "description": "At most what the model was made for is used; -1 and 0 = as the lane decides"},
  "llamacpp_backend": {"type": "string", "description": "cpu, or vulkan, rocm, cuda, system: a lane on a GPU"},
  "pinned": {"type": "boolean", "description": "It stays in memory; for administrators"},
  "llamacpp_args": {"type": "string", "description": "Ignored: arguments are the lane's"},
  "save_options": {"type": "boolean", "description": "Ignored: what is kept stands in the configuration"}}},

"LemonadePull": {"type": "object", "required": ["model_name"], "properties": {
  "model_name": {"type": "string", "description": "What it will be asked for by; or a repository"},
  "checkpoint": {"type": "string", "description": "owner/name:variant of the hub"},
  "checkpoints": {"type": "object", "properties": {"main": {"type": "string"}}},
  "stream": {"type": "boolean", "default": false},
  "subscribe": {"type": "boolean", "default": true, "description": "false with stream: it goes on by itself, see /v1/downloads"}}},

"LemonadeBackend": {"type": "object", "properties": {
  "recipe": {"type": "string"},
  "backend": {"type": "string"},
  "spec": {"type": "string", "description": "recipe:backend"},
  "stream": {"type": "boolean", "default": false}}},

"LemonadeHealth": {"type": "object", "required": ["status", "version", "model_loaded", "all_models_loaded"], "properties": {
  "status": {"const": "ok"},
  "version": {"type": "string", "description": "Of the API that is spoken"},
  "server_version": {"type": "string"},
  "model_loaded": {"type": ["string", "null"]},
  "checkpoint_loaded": {"type": ["string", "null"]},
  "all_models_loaded": {"type": "array", "items": {"$ref": "#/components/schemas/LemonadeLoaded"}},
  "pinned_models": {"type": "object", "additionalProperties": {"type": "integer"}},
  "max_models": {"type": "object", "additionalProperties": {"type": "integer", "description": "-1 = as many as memory holds"}},
  "websocket_port": {"type": "integer"},
  "update_check_done": {"type": "boolean"}}},

"LemonadeLoaded": {"type": "object", "required": ["model_name", "type", "device", "recipe", "recipe_options"], "properties": {
  "model_name": {"type": "string"},
  "checkpoint": {"type": "string"},
  "last_use": {"type": "number", "description": "Unix time"},
  "type": {"enum": ["llm", "embedding", "reranking", "transcription", "image", "tts"]},
  "device": {"enum": ["cpu", "gpu", "npu", "cloud"]},
  "pinned": {"type": "boolean"},
  "is_busy": {"type": "boolean"},
  "recipe": {"type": "string"},
  "recipe_options": {"type": "object", "properties": {"ctx_size": {"type": "integer"}}},
  "backend_url": {"type": "string", "description": "Of this daemon: engines are not asked directly"},
  "lane": {"type": "string"},
  "max_context_window": {"type": "integer"}}},

"LemonadeStats": {"type": "object", "properties": {
  "time_to_first_token": {"type": ["number", "null"], "description": "Seconds from the request"},
  "tokens_per_second": {"type": ["number", "null"]},
  "input_tokens": {"type": ["integer", "null"]},
  "output_tokens": {"type": ["integer", "null"]},
  "prompt_tokens": {"type": ["integer", "null"]},
  "cache_tokens": {"type": ["integer", "null"]},
  "request_count_total": {"type": "integer"},
  "input_tokens_total": {"type": "integer"},
  "output_tokens_total": {"type": "integer"},
  "prompt_tokens_total": {"type": "integer"},
  "cache_tokens_total": {"type": "integer"}}},

"LemonadeSystemInfo": {"type": "object", "required": ["devices", "recipes"], "properties": {
  "OS Version": {"type": "string"},
  "Processor": {"type": "string"},
  "Physical Memory": {"type": "string"},
  "OEM System": {"type": "string"},
  "server_version": {"type": "string"},
  "model_storage": {"type": "object"},
  "devices": {"type": "object"},
  "recipes": {"type": "object", "additionalProperties": {"type": "object", "properties": {
    "default_backend": {"type": "string"},
    "backends": {"type": "object", "additionalProperties": {"type": "object", "properties": {
      "devices": {"type": "array", "items": {"type": "string"}},
      "state": {"enum": ["installed", "installable", "unsupported"]},
      "message": {"type": "string"},
      "action": {"type": "string"},
      "version": {"type": "string"}}}}}}}}},

"LemonadeSystemStats": {"type": "object", "properties": {
  "cpu_percent": {"type": ["number", "null"]},
  "memory_gb": {"type": ["number", "null"]},
  "gpu_percent": {"type": ["number", "null"]},
  "vram_gb": {"type": ["number", "null"]},
  "npu_percent": {"type": ["number", "null"]}}},

"LemonadeFiles": {"type": "object", "required": ["model_id", "files"], "properties": {
  "model_id": {"type": "string"},
  "files": {"type": "array", "items": {"type": "object", "properties": {
    "name": {"type": "string"}, "path": {"type": "string"}, "role": {"type": "string"},
    "size_bytes": {"type": "integer"}, "exists": {"type": "boolean"}}}}}}
})json";

}  // namespace trilane::gateway
