// The hub's addresses, and what its refusals mean for a person. How its bytes come is web's and
// download's business.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "catalog/pull.h"
#include "catalog/web.h"

namespace trilane::catalog {

inline constexpr std::size_t kListingBytesMax = 16U << 20U;  // of one page
inline constexpr unsigned kListingPagesMax = 64;
inline constexpr std::chrono::seconds kRetryAfterMax{300};  // longer waits are the user's to decide
inline constexpr std::chrono::milliseconds kPauseMax{30'000};

/// Ok when the endpoint is an http address and the token can stand in a header.
Status check_hub(const Hub& hub);

std::string tree_url(const Hub& hub, const Reference& reference);
std::string file_url(const Hub& hub, const Reference& reference, std::string_view path);

/// Whether the same request may succeed a little later.
bool worth_retrying(const WebHead& head);

/// How long to wait before try number `tries` + 1.
std::chrono::milliseconds pause_before_retry(const Hub& hub, unsigned tries, const WebHead& head);

/// What a status that is no success means, and what to do.
Error refusal(const Hub& hub, const Reference& reference, const WebHead& head);

/// All files of a repository at a revision. **Errors:** as list_variants.
Result<std::vector<RemoteFile>> list_files(const Hub& hub, const Reference& reference);

}  // namespace trilane::catalog
