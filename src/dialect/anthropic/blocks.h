// The content of messages: blocks → text, pictures and what else they hold. Private to this
// dialect.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/anthropic/tools.h"
#include "dialect/fields.h"
#include "job/job.h"

namespace trilane::dialect::anthropic {

/// What marks a signature that holds the thinking itself.
inline constexpr std::string_view kSealMark = "trilane-";
/// The signature of thinking that is not shown, and back; "" for any other signature.
std::string sealed(std::string_view thinking);
std::string unsealed(std::string_view signature);

/// What stands in one turn, sorted.
struct Content {
    std::string text;               ///< texts, a line break between them; none for blank ones
    std::vector<job::Media> media;  ///< `at` counts in `text`
    std::string reasoning;
    std::vector<job::ToolCall> calls;
    std::vector<job::Message> results;  ///< of tools, with role tool
};

/// `value` is the content: a string or an array of blocks. Changes of the tools go into `tools`.
/// **Errors:** invalid, naming the block below `path`.
Result<Content> read_content(const json::Value& value, const std::string& path, job::Role role,
                             ToolChanges& tools);

/// Adds a text behind another, with a line break between them.
void append_text(std::string& text, std::string_view more);

}  // namespace trilane::dialect::anthropic
