// What `trilane gguf show` says of a file, as text and as JSON.
#pragma once

#include <string>

#include "base/result.h"
#include "gguf/gguf.h"
#include "json/fwd.h"

namespace trilane::app {

/// Ok when the engine can load the file: a known architecture, every tensor readable.
/// **Errors:** the first thing that it could not.
Status runs_here(const gguf::File& file);

std::string show_text(const gguf::File& file, const std::string& path, bool tensors);
json::Value show_json(const gguf::File& file, const std::string& path, bool tensors);

}  // namespace trilane::app
