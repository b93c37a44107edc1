// What the pages of servers say that are asked beside jobs: health, and how much they work on.
#pragma once

#include <cstddef>
#include <optional>

#include "base/result.h"
#include "lane/upstream/rules.h"
#include "net/client.h"

namespace trilane::lane {

/// What a health request's answer says. **Errors:** exhausted: it is still loading; or the answer's
/// own.
Status judge_health(const Result<net::WholeAnswer>& answer, const upstream::Upstream& server);

/// How many requests a server says it works on: llama-server's /slots, FLM's /api/npu/status.
std::optional<std::size_t> requests_at_work(const net::WholeAnswer& answer);

}  // namespace trilane::lane
