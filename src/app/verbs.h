// The verbs of the command line, one overload each, one file each. Every one returns the exit code
// of a good run, or the Error that main prints.
#pragma once

#include "app/options.h"
#include "base/result.h"

namespace trilane::app {

Result<int> perform(const ServeOptions& options);       // serve.cpp
Result<int> perform(const RunOptions& options);         // run.cpp
Result<int> perform(const ModelsOptions& options);      // models.cpp
Result<int> perform(const GgufShowOptions& options);    // gguf_show.cpp
Result<int> perform(const TokenOptions& options);       // token.cpp
Result<int> perform(const PerplexityOptions& options);  // ppl.cpp
Result<int> perform(const VersionOptions& options);     // version.cpp

}  // namespace trilane::app
