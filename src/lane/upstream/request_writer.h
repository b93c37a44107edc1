// A generation's request → the JSON body that an OpenAI server reads. Written by hand, for it is on
// the way of every request. Sends nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "job/job.h"
#include "lane/upstream/rules.h"

namespace trilane::lane::upstream {

struct WrittenRequest {
    std::string_view path;  ///< below "/v1": "/chat/completions" or "/completions"
    bool at_root = false;   ///< "/infill", which is not below it
    std::string body;
    std::uint32_t choices = 1;                ///< that the one answer will have
    std::optional<std::uint32_t> max_tokens;  ///< as asked of the server
};

/// The request for all choices; where the rules say `single_choice`, for number `choice` alone.
/// Always streamed, with usage. Fields of `extra` that this writes itself are left out.
/// **Errors:** invalid: the server could not be held to what is asked (a format, a tool, a
/// picture's address …), and what to do instead.
Result<WrittenRequest> write_request(const job::Request& request, const Upstream& upstream,
                                     std::uint32_t choice = 0);

/// The messages, tools and template variables of a chat as further members of an object (each with
/// its comma before it), without pictures and sounds: for servers that count or render only.
std::string written_turns(const job::Chat& chat, const Upstream& upstream);

}  // namespace trilane::lane::upstream
