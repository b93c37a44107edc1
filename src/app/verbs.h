// The verbs of the command line, one overload each, one file each. Every one returns the exit code
// of a good run, or the Error that main prints.
#pragma once

#include "app/options.h"
#include "base/result.h"

namespace trilane::app {

Result<int> perform(const ServeOptions& options);       // serve.cpp
Result<int> perform(const RunOptions& options);         // run.cpp
Result<int> perform(const ModelsOptions& options);      // list.cpp
Result<int> perform(const GgufShowOptions& options);    // gguf_show.cpp
Result<int> perform(const TokenOptions& options);       // token.cpp
Result<int> perform(const PerplexityOptions& options);  // ppl.cpp
Result<int> perform(const VersionOptions& options);     // version.cpp
Result<int> perform(const ProbeOptions& options);       // probe.cpp
Result<int> perform(const DoctorOptions& options);      // doctor.cpp
Result<int> perform(const PlanOptions& options);        // plan.cpp
Result<int> perform(const PullVerbOptions& options);    // pull.cpp
Result<int> perform(const RemoveOptions& options);      // remove.cpp
Result<int> perform(const ImportOptions& options);      // import.cpp
Result<int> perform(const LoadoutsOptions& options);    // loadouts.cpp
Result<int> perform(const ConfigOptions& options);      // config.cpp
Result<int> perform(const PsOptions& options);          // ps.cpp
Result<int> perform(const LoadOptions& options);        // load.cpp
Result<int> perform(const UnloadOptions& options);      // load.cpp
Result<int> perform(const LogsOptions& options);        // logs.cpp
Result<int> perform(const KeyOptions& options);         // key.cpp
Result<int> perform(const UsageOptions& options);       // usage.cpp

}  // namespace trilane::app
