// What OpenAI's endpoints take and answer here, as component schemas of the API document. They tell
// what is read; fields beside them are handed on to lanes that may know them.
#include "gateway/openapi.h"

namespace trilane::gateway {

const std::string_view kOpenaiSchemas =
    R"json({
"ErrorResponse": {"type": "object", "required": ["error"], "properties": {"error": {
  "type": "object", "required": ["message", "type", "param", "code"], "properties": {
    "message": {"type": "string", "description": "What is wrong and what to do next"},
    "type": {"type": "string"},
    "param": {"type": ["string", "null"], "description": "The field of the request that is wrong"},
    "code": {"type": ["string", "null"]}}}}},

"Model": {"type": "object", "required": ["id", "object", "created", "owned_by"], "properties": {
  "id": {"type": "string"},
  "object": {"const": "model"},
  "created": {"type": "integer"},
  "owned_by": {"type": "string"},
  "meta": {"type": "object", "properties": {
    "name": {"type": "string"},
    "architecture": {"type": "string"},
    "quantization": {"type": "string"},
    "n_params": {"type": "integer"},
    "size": {"type": "integer", "description": "Bytes of the weights"},
    "n_ctx": {"type": "integer"},
    "n_vocab": {"type": "integer"},
    "licence": {"type": "string"},
    "capabilities": {"type": "array", "items": {"type": "string"}}}}}},
"ListModelsResponse": {"type": "object", "required": ["object", "data"], "properties": {
  "object": {"const": "list"},
  "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}}},

"Sampling": {"type": "object", "properties": {
  "temperature": {"type": "number", "minimum": 0, "maximum": 2, "default": 1},
  "top_p": {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
  "top_k": {"type": "integer", "minimum": -1, "default": 0},
  "min_p": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
  "repeat_penalty": {"type": "number", "minimum": 0.1, "maximum": 10, "default": 1},
  "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2, "default": 0},
  "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2, "default": 0},
  "logit_bias": {"type": "object", "additionalProperties": {
    "type": "number", "minimum": -100, "maximum": 100}},
  "seed": {"type": "integer"},
  "stop": {"oneOf": [{"type": "string"},
    {"type": "array", "maxItems": 4, "items": {"type": "string"}}]},
  "grammar": {"type": "string", "description": "The answer's shape as GBNF"},
  "json_schema": {"type": "object", "description": "The answer's shape as a JSON schema"},
  "guided_regex": {"type": "string"},
  "guided_choice": {"type": "array", "items": {"type": "string"}},
  "guided_json": {"oneOf": [{"type": "object"}, {"type": "string"}]},
  "structured_outputs": {"type": "object"},
  "user": {"type": "string", "description": "Who asks, for fair queues"}}},
"Usage": {"type": "object", "properties": {
  "prompt_tokens": {"type": "integer"},
  "completion_tokens": {"type": "integer"},
  "total_tokens": {"type": "integer"},
  "prompt_tokens_details": {"type": "object", "properties": {
    "cached_tokens": {"type": "integer"}}}}},
"Timings": {"type": "object", "description": "Milliseconds, and tokens per second",
  "additionalProperties": {"type": "number"}},

"ContentPart": {"oneOf": [
  {"type": "object", "required": ["type", "text"], "properties": {
    "type": {"const": "text"}, "text": {"type": "string"}}},
  {"type": "object", "required": ["type", "image_url"], "properties": {
    "type": {"const": "image_url"},
    "image_url": {"type": "object", "required": ["url"], "properties": {
      "url": {"type": "string", "description": "A data URL of base64, or an http URL"},
      "detail": {"type": "string"}}}}},
  {"type": "object", "required": ["type", "input_audio"], "properties": {
    "type": {"const": "input_audio"},
    "input_audio": {"type": "object", "required": ["data"], "properties": {
      "data": {"type": "string", "contentEncoding": "base64"},
      "format": {"enum": ["wav", "mp3", "flac", "ogg", "opus", "m4a", "webm"]}}}}}]},
"ToolCall": {"type": "object", "required": ["id", "type", "function"], "properties": {
  "id": {"type": "string"},
  "type": {"const": "function"},
  "function": {"type": "object", "required": ["name", "arguments"], "properties": {
    "name": {"type": "string"},
    "arguments": {"type": "string", "description": "JSON"}}}}},
"Message": {"type": "object", "required": ["role"], "properties": {
  "role": {"enum": ["system", "developer", "user", "assistant", "tool", "function"]},
  "content": {"oneOf": [{"type": "string"}, {"type": "null"},
    {"type": "array", "items": {"$ref": "#/components/schemas/ContentPart"}}]},
  "reasoning_content": {"type": ["string", "null"]},
  "tool_calls": {"type": "array", "items": {"$ref": "#/components/schemas/ToolCall"}},
  "tool_call_id": {"type": "string"}}},
"Tool": {"type": "object", "required": ["type", "function"], "properties": {
  "type": {"const": "function"},
  "function": {"type": "object", "required": ["name"], "properties": {
    "name": {"type": "string"},
    "description": {"type": "string"},
    "parameters": {"type": "object", "description": "A JSON schema"},
    "strict": {"type": ["boolean", "null"]}}}}},
"ResponseFormat": {"type": "object", "required": ["type"], "properties": {
  "type": {"enum": ["text", "json_object", "json_schema"]},
  "json_schema": {"type": "object", "properties": {
    "name": {"type": "string"},
    "schema": {"type": "object"},
    "strict": {"type": ["boolean", "null"]}}}}},
"CreateChatCompletionRequest": {"allOf": [{"$ref": "#/components/schemas/Sampling"},
  {"type": "object", "required": ["model", "messages"], "properties": {
    "model": {"type": "string"},
    "messages": {"type": "array", "minItems": 1, "maxItems": 4096,
      "items": {"$ref": "#/components/schemas/Message"}},
    "max_completion_tokens": {"type": "integer", "minimum": 1},
    "max_tokens": {"type": "integer", "minimum": 1},
    "n": {"type": "integer", "minimum": 1, "maximum": 128, "default": 1},
    "stream": {"type": "boolean", "default": false},
    "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
    "tools": {"type": "array", "maxItems": 128, "items": {"$ref": "#/components/schemas/Tool"}},
    "tool_choice": {"oneOf": [{"enum": ["auto", "none", "required"]}, {"type": "object"}]},
    "parallel_tool_calls": {"type": "boolean", "default": true},
    "response_format": {"$ref": "#/components/schemas/ResponseFormat"},
    "logprobs": {"type": "boolean", "default": false},
    "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
    "reasoning_effort": {"enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max"]},
    "chat_template_kwargs": {"type": "object"},
    "continue_final_message": {"type": "boolean", "default": false}}}]},
"CreateChatCompletionResponse": {"type": "object",
  "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {
    "id": {"type": "string"},
    "object": {"const": "chat.completion"},
    "created": {"type": "integer"},
    "model": {"type": "string"},
    "system_fingerprint": {"type": "string"},
    "choices": {"type": "array", "items": {"type": "object",
      "required": ["index", "message", "finish_reason"], "properties": {
        "index": {"type": "integer"},
        "message": {"$ref": "#/components/schemas/Message"},
        "logprobs": {"type": ["object", "null"]},
        "finish_reason": {"enum": ["stop", "length", "tool_calls", "function_call"]},
        "stop_reason": {"type": "string", "description": "The stop text that ended it"}}}},
    "usage": {"$ref": "#/components/schemas/Usage"},
    "timings": {"$ref": "#/components/schemas/Timings"}}},
"Prompt": {"oneOf": [{"type": "string"},
  {"type": "array", "minItems": 1, "items": {"type": "string"}},
  {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
  {"type": "array", "minItems": 1, "items": {
    "type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}}]},
"CreateCompletionRequest": {"allOf": [{"$ref": "#/components/schemas/Sampling"},
  {"type": "object", "required": ["model", "prompt"], "properties": {
    "model": {"type": "string"},
    "prompt": {"$ref": "#/components/schemas/Prompt"},
    "suffix": {"type": "string", "description": "What follows the answer"},
    "max_tokens": {"type": "integer", "minimum": 0},
    "n": {"type": "integer", "minimum": 1, "maximum": 128, "default": 1},
    "echo": {"type": "boolean", "default": false},
    "logprobs": {"type": "integer", "minimum": 0, "maximum": 5},
    "stream": {"type": "boolean", "default": false},
    "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}}}}]},
"CreateCompletionResponse": {"type": "object",
  "required": ["id", "object", "created", "model", "choices"], "properties": {
    "id": {"type": "string"},
    "object": {"const": "text_completion"},
    "created": {"type": "integer"},
    "model": {"type": "string"},
    "choices": {"type": "array", "items": {"type": "object", "properties": {
      "index": {"type": "integer"},
      "text": {"type": "string"},
      "logprobs": {"type": ["object", "null"]},
      "finish_reason": {"enum": ["stop", "length"]}}}},
    "usage": {"$ref": "#/components/schemas/Usage"},
    "timings": {"$ref": "#/components/schemas/Timings"}}},

"CreateResponse": {"allOf": [{"$ref": "#/components/schemas/Sampling"},
  {"type": "object", "required": ["model"], "properties": {
    "model": {"type": "string"},
    "input": {"oneOf": [{"type": "string"},
      {"type": "array", "maxItems": 4096, "items": {"$ref": "#/components/schemas/ResponseItem"}}]},
    "instructions": {"type": ["string", "null"]},
    "previous_response_id": {"type": ["string", "null"]},
    "store": {"type": "boolean", "default": true},
    "stream": {"type": "boolean", "default": false},
    "max_output_tokens": {"type": ["integer", "null"], "minimum": 1},
    "tools": {"type": "array", "items": {"type": "object", "required": ["type", "name"],
      "properties": {
        "type": {"const": "function"},
        "name": {"type": "string"},
        "description": {"type": ["string", "null"]},
        "parameters": {"type": ["object", "null"]},
        "strict": {"type": ["boolean", "null"]}}}},
    "tool_choice": {"oneOf": [{"enum": ["auto", "none", "required"]}, {"type": "object"}]},
    "parallel_tool_calls": {"type": "boolean", "default": true},
    "reasoning": {"type": "object", "properties": {
      "effort": {"enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max", null]},
      "summary": {"enum": ["auto", "concise", "detailed", null]}}},
    "text": {"type": "object", "properties": {
      "format": {"$ref": "#/components/schemas/ResponseFormat"},
      "verbosity": {"type": ["string", "null"]}}},
    "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
    "include": {"type": "array", "items": {"type": "string"}},
    "truncation": {"enum": ["auto", "disabled"]},
    "metadata": {"type": "object", "maxProperties": 16,
      "additionalProperties": {"type": "string"}}}}]},
"ResponseItem": {"type": "object", "properties": {
  "type": {"enum": ["message", "function_call", "function_call_output", "reasoning",
    "item_reference"]},
  "id": {"type": ["string", "null"]},
  "role": {"enum": ["user", "assistant", "system", "developer"]},
  "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
  "call_id": {"type": "string"},
  "name": {"type": "string"},
  "arguments": {"type": "string"},
  "output": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
  "summary": {"type": "array", "items": {"type": "object"}},
  "status": {"enum": ["in_progress", "completed", "incomplete", null]}}},
"Response": {"type": "object",
  "required": ["id", "object", "created_at", "status", "model", "output"], "properties": {
    "id": {"type": "string"},
    "object": {"const": "response"},
    "created_at": {"type": "integer"},
    "status": {"enum": ["in_progress", "completed", "incomplete", "failed"]},
    "error": {"type": ["object", "null"]},
    "incomplete_details": {"type": ["object", "null"]},
    "model": {"type": "string"},
    "output": {"type": "array", "items": {"$ref": "#/components/schemas/ResponseItem"}},
    "previous_response_id": {"type": ["string", "null"]},
    "usage": {"type": ["object", "null"], "properties": {
      "input_tokens": {"type": "integer"},
      "output_tokens": {"type": "integer"},
      "total_tokens": {"type": "integer"}}}}},
"ResponseInputTokens": {"type": "object", "required": ["object", "input_tokens"], "properties": {
  "object": {"const": "response.input_tokens"},
  "input_tokens": {"type": "integer"}}},
"ResponseItemList": {"type": "object", "required": ["object", "data", "has_more"], "properties": {
  "object": {"const": "list"},
  "data": {"type": "array", "items": {"$ref": "#/components/schemas/ResponseItem"}},
  "first_id": {"type": ["string", "null"]},
  "last_id": {"type": ["string", "null"]},
  "has_more": {"type": "boolean"}}},
"DeletedResponse": {"type": "object", "required": ["id", "object", "deleted"], "properties": {
  "id": {"type": "string"}, "object": {"const": "response"}, "deleted": {"const": true}}},

"CreateEmbeddingRequest": {"type": "object", "required": ["model", "input"], "properties": {
  "model": {"type": "string"},
  "input": {"$ref": "#/components/schemas/Prompt"},
  "dimensions": {"type": "integer", "minimum": 1, "maximum": 65536},
  "encoding_format": {"enum": ["float", "base64"], "default": "float"},
  "user": {"type": "string"}}},
"CreateEmbeddingResponse": {"type": "object", "required": ["object", "data", "model", "usage"],
  "properties": {
    "object": {"const": "list"},
    "data": {"type": "array", "items": {"type": "object",
      "required": ["object", "index", "embedding"], "properties": {
        "object": {"const": "embedding"},
        "index": {"type": "integer"},
        "embedding": {"oneOf": [{"type": "array", "items": {"type": ["number", "null"]}},
          {"type": "string", "contentEncoding": "base64",
           "description": "Little-endian 32-bit floats"}]}}}},
    "model": {"type": "string"},
    "usage": {"$ref": "#/components/schemas/Usage"}}},

"RerankRequest": {"type": "object", "required": ["query"], "properties": {
  "model": {"type": "string"},
  "query": {"type": "string"},
  "documents": {"type": "array", "minItems": 1, "maxItems": 4096, "items": {
    "oneOf": [{"type": "string"}, {"type": "object", "required": ["text"], "properties": {
      "text": {"type": "string"}}}]}},
  "top_n": {"type": "integer", "minimum": 1},
  "return_documents": {"type": "boolean", "default": false}}},
"RerankResponse": {"type": "object", "required": ["results"], "properties": {
  "id": {"type": "string"},
  "object": {"const": "list"},
  "model": {"type": "string"},
  "results": {"type": "array", "items": {"type": "object",
    "required": ["index", "relevance_score"], "properties": {
      "index": {"type": "integer"},
      "relevance_score": {"type": "number"},
      "document": {"type": "object", "properties": {"text": {"type": "string"}}}}}},
  "usage": {"$ref": "#/components/schemas/Usage"}}},

"TokenizeRequest": {"type": "object", "properties": {
  "model": {"type": "string"},
  "content": {"type": "string"},
  "add_special": {"type": "boolean", "default": false},
  "parse_special": {"type": "boolean", "default": true},
  "with_pieces": {"type": "boolean", "default": false},
  "prompt": {"type": "string", "description": "Instead of content, for vLLM's shape"},
  "add_special_tokens": {"type": "boolean", "default": true},
  "return_token_strs": {"type": "boolean", "default": false}}},
"TokenizeResponse": {"type": "object", "required": ["tokens"], "properties": {
  "tokens": {"type": "array", "items": {"oneOf": [{"type": "integer"}, {"type": "object"}]}},
  "count": {"type": "integer"},
  "token_strs": {"type": ["array", "null"], "items": {"type": "string"}}}},
"DetokenizeRequest": {"type": "object", "required": ["tokens"], "properties": {
  "model": {"type": "string"},
  "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0}}}},
"DetokenizeResponse": {"type": "object", "required": ["content", "prompt"], "properties": {
  "content": {"type": "string"}, "prompt": {"type": "string"}}},

"CreateTranscriptionRequest": {"x-media-types": ["multipart/form-data"], "type": "object",
  "required": ["file", "model"], "properties": {
    "file": {"type": "string", "format": "binary"},
    "model": {"type": "string"},
    "language": {"type": "string"},
    "prompt": {"type": "string"},
    "response_format": {"enum": ["json", "text", "verbose_json", "srt", "vtt"], "default": "json"},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "timestamp_granularities[]": {"type": "array", "items": {"enum": ["segment", "word"]}},
    "stream": {"type": "boolean", "default": false}}},
"CreateTranscriptionResponse": {"x-media-types": ["application/json", "text/plain", "text/vtt"],
  "type": ["object", "string"], "properties": {
    "text": {"type": "string"},
    "language": {"type": "string"},
    "duration": {"type": "number"},
    "segments": {"type": "array", "items": {"type": "object"}},
    "words": {"type": "array", "items": {"type": "object"}}}},
"CreateSpeechRequest": {"type": "object", "required": ["model", "input"], "properties": {
  "model": {"type": "string"},
  "input": {"type": "string"},
  "voice": {"oneOf": [{"type": "string"}, {"type": "object"}]},
  "response_format": {"enum": ["mp3", "opus", "aac", "flac", "wav", "pcm"], "default": "mp3"},
  "speed": {"type": "number", "minimum": 0.25, "maximum": 4, "default": 1},
  "instructions": {"type": "string"},
  "stream_format": {"enum": ["audio", "sse"]}}},
"Sound": {"x-media-types": ["audio/mpeg", "audio/ogg", "audio/aac", "audio/flac", "audio/wav",
  "audio/pcm"], "type": "string", "format": "binary"},

"Drawing": {"type": "object", "required": ["model"], "properties": {
  "model": {"type": "string"},
  "n": {"type": "integer", "minimum": 1, "maximum": 16, "default": 1},
  "size": {"type": "string", "pattern": "^(auto|[0-9]+x[0-9]+)$"},
  "negative_prompt": {"type": "string"},
  "steps": {"type": "integer", "minimum": 1, "maximum": 1000},
  "cfg_scale": {"type": "number", "minimum": 0, "maximum": 100},
  "seed": {"type": "integer"},
  "stream": {"type": "boolean", "default": false}}},
"CreateImageRequest": {"allOf": [{"$ref": "#/components/schemas/Drawing"},
  {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}}]},
"CreateImageEditRequest": {"x-media-types": ["multipart/form-data"],
  "allOf": [{"$ref": "#/components/schemas/Drawing"},
    {"type": "object", "required": ["prompt", "image"], "properties": {
      "prompt": {"type": "string"},
      "image": {"type": "string", "format": "binary"},
      "mask": {"type": "string", "format": "binary"}}}]},
"CreateImageVariationRequest": {"x-media-types": ["multipart/form-data"],
  "allOf": [{"$ref": "#/components/schemas/Drawing"},
    {"type": "object", "required": ["image"], "properties": {
      "image": {"type": "string", "format": "binary"}}}]},
"ImagesResponse": {"type": "object", "required": ["created", "data"], "properties": {
  "created": {"type": "integer"},
  "data": {"type": "array", "items": {"type": "object", "required": ["b64_json"], "properties": {
    "b64_json": {"type": "string", "contentEncoding": "base64"},
    "revised_prompt": {"type": "string"}}}},
  "output_format": {"type": "string"}}}
})json";

}  // namespace trilane::gateway
