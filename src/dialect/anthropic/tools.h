// The tools of a request, which of them the model sees, and whether it must call one. Private to
// this dialect.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "dialect/fields.h"
#include "job/job.h"

namespace trilane::dialect::anthropic {

/// What messages change about the tools.
struct ToolChanges {
    std::map<std::string, bool, std::less<>> shown;  ///< name → is there from now on
    std::vector<job::Tool> added;
};

/// One tool's definition. Absent: it needs nothing here (the vendor's search for tools).
/// **Errors:** invalid, also for tools that run at the vendor.
Result<std::optional<job::Tool>> read_tool(const json::Value& value, const std::string& path);

/// The body's tools and tool_choice, after what the messages changed.
Status read_tools(const Fields& body, const ToolChanges& changes, job::Chat& chat);

}  // namespace trilane::dialect::anthropic
