// Manifest: what a pulled or imported model's folder says of itself, `manifest.json`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trilane::catalog {

inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::size_t kManifestBytesMax = 1U << 20U;

struct ManifestFile {
    std::string name;    ///< in the folder
    std::string remote;  ///< path in the repository; imported: the path it came from
    std::uint64_t bytes = 0;
    std::string sha256;  ///< "" = not known
    bool projector = false;
    bool operator==(const ManifestFile&) const = default;
};

struct Manifest {
    std::string repository;  ///< "owner/name"; "" = imported
    std::string revision;
    std::string commit;  ///< "" = the hub did not say
    std::string variant;
    std::int64_t added_unix_s = 0;
    std::vector<ManifestFile> files;  ///< the model's, in order of shards, then projectors
};

std::string manifest_text(const Manifest& manifest);
/// **Errors:** corrupt: not such a text, or a name that leaves the folder.
Result<Manifest> parse_manifest(std::string_view text);

/// Nullopt when the folder has none that can be read.
std::optional<Manifest> read_manifest(const std::string& folder);
/// Written beside, made durable and renamed. **Errors:** unavailable, exhausted.
Status write_manifest(const std::string& folder, const Manifest& manifest);

}  // namespace trilane::catalog
