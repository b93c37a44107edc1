// A job's request → the JSON body that an OpenAI server reads. Written by hand, for it is on the
// way of every request. Sends nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "job/job.h"
#include "lane/upstream/rules.h"

namespace trilane::lane::upstream {

struct WrittenRequest {
    std::string_view path;  ///< below "/v1": "/chat/completions" or "/completions"
    std::string body;
    std::uint32_t choices = 1;                ///< that the one answer will have
    std::optional<std::uint32_t> max_tokens;  ///< as asked of the server
};

/// The request for all choices; where the rules say `single_choice`, for number `choice` alone.
/// Always streamed, with usage. Fields of `extra` that this writes itself are left out.
WrittenRequest write_request(const job::Request& request, const Upstream& upstream,
                             std::uint32_t choice = 0);

}  // namespace trilane::lane::upstream
