// The data files of tests/wire and what they are compared with: jobs as JSON facts, events from
// JSON. For tests only.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "job/job.h"
#include "json/json.h"

namespace trilane::dialect::openai {

using json::Value;

struct Case {
    std::string id;  // file and name, as GoogleTest wants it
    Value data;
};

void PrintTo(const Case& one, std::ostream* out);

/// All cases of the files in tests/wire/`folder`, which are arrays of them.
std::vector<Case> load_cases(const std::string& folder);

/// What is not as usual in a chat or a completion.
Value job_facts(const job::Request& request);

/// Events as the data files write them: {"started": 3}, {"text": "a", "choice": 1, "reasoning":
/// true, "logprobs": [...]}, {"tool_call": [index, "id", "name", "arguments"]}, {"end": "stop",
/// "choice": 1}, {"done": {...}}, {"failed": ["timeout", "…"]}; each may have a "job".
job::Event event_of(const Value& event);

}  // namespace trilane::dialect::openai
