// What a server says went wrong → an Error of ours: which fault, and a sentence that says what to
// do next. The server's own words are quoted, clipped and without the key.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "lane/upstream/chunk.h"
#include "lane/upstream/rules.h"

namespace trilane::lane::upstream {

/// How much of a server's words is quoted.
inline constexpr std::size_t kQuoteBytesMax = 500;

/// Foreign text fit for a message: valid UTF-8, one line, clipped, the key replaced.
std::string quoted(std::string_view text, const Upstream& upstream);

/// The error that an answer with that HTTP status and body stands for.
Error error_of_status(unsigned status, std::string_view body, const Upstream& upstream);

/// The error that a server reports inside an answer that began well.
Error error_of_report(const ServerError& report, const Upstream& upstream);

}  // namespace trilane::lane::upstream
