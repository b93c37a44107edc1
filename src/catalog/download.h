// Download: one file of a repository into a PartFile, in several pieces at once, with retries. What
// the bytes are, and where the file goes then, is pull's business.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "catalog/hub.h"
#include "catalog/part_file.h"
#include "catalog/web.h"

namespace trilane::catalog {

/// How often the bytes of a file may turn out to be others than before, before a download gives up.
inline constexpr unsigned kRestartsMax = 2;
/// What is noted as done at least so often, within one piece.
inline constexpr std::uint64_t kNoteBytes = 8U << 20U;

struct DownloadHooks {
    /// Called several times a second with the bytes of this file that are there; an error stops the
    /// download. `waiting`: nothing moves until a pause is over.
    std::function<Status(std::uint64_t done_bytes, bool waiting)> on_tick;
    /// The commit that the hub says it serves.
    std::function<void(const std::string& commit)> on_commit;
};

/// Fetches what the part lacks. What has arrived stays noted in it, however this ends.
/// **Errors:** those of the hooks and of the disk; unavailable (network, refusals), corrupt (the
/// server sends other bytes than were asked for), not_found.
Status download_file(Web& web, const Hub& hub, const Reference& reference, const RemoteFile& file,
                     PartFile& part, const DownloadHooks& hooks);

}  // namespace trilane::catalog
