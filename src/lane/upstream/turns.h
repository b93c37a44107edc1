// Turns: the messages and tools of a chat as OpenAI's JSON. Part of the request writer.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "job/job.h"
#include "lane/upstream/rules.h"

namespace trilane::lane::upstream {

/// Appends `,"name":`.
void append_field(std::string& out, std::string_view name);
/// Appends a JSON string of valid UTF-8.
void append_text(std::string& out, std::string_view text);

enum class MediaParts : std::uint8_t {
    written,   ///< as parts of their messages
    left_out,  ///< texts alone
};

/// Appends `,"messages":[…]`.
void append_messages(std::string& out, const job::Chat& chat, MediaParts media);
/// Appends `,"tools":[…]`, of all of them or of the one called `only`; nothing when there are none.
void append_tools(std::string& out, const job::Chat& chat, std::string_view only = {});
/// Appends `,"chat_template_kwargs":{…}` and what else of it a server wants to see.
void append_variables(std::string& out, const job::Chat& chat, const UpstreamRules& rules);

/// Whether the server can be given the chat's pictures and sounds. **Errors:** invalid.
Status check_media(const job::Chat& chat, const UpstreamRules& rules);

}  // namespace trilane::lane::upstream
