// Pull: models from repositories that speak the Hugging Face API: listing, choice of a variant,
// resumable downloads with checksums, atomic placement.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "catalog/catalog.h"

namespace trilane::catalog {

struct Hub {
    std::string endpoint = "https://huggingface.co";  ///< HF_ENDPOINT
    std::string token;                                ///< HF_TOKEN; redacted in every message
    std::chrono::milliseconds connect_timeout{15'000};
    std::chrono::milliseconds silence_timeout{60'000};
    unsigned connections = 4;  ///< parallel pieces of one download
    unsigned attempts = 5;     ///< per piece, with growing pauses, before a pull gives up
    std::chrono::milliseconds first_pause{500};  ///< before the second try; then twice as long
    std::uint64_t piece_bytes = std::uint64_t{64} << 20U;  ///< that one request asks for
};

/// "owner/name", "owner/name:Q4_K_M", "owner/name@revision", "owner/name:file.gguf", or a
/// huggingface.co URL of a repository or file.
struct Reference {
    std::string repository;
    std::string revision = "main";
    std::string variant;  ///< "" = choose
};
Result<Reference> parse_reference(std::string_view text);

/// A file of a repository.
struct RemoteFile {
    std::string path;
    std::uint64_t bytes = 0;
    std::string sha256;  ///< of LFS files; "" = the hub does not say
};

/// One choice: a GGUF of some quantization (all its shards), with the projector that goes with it.
struct Variant {
    std::string name;  ///< "Q4_K_M"
    std::vector<RemoteFile> files;
    std::vector<RemoteFile> companions;  ///< mmproj
    [[nodiscard]] std::uint64_t bytes() const;
};

/// The variants of a repository, best quality first. **Errors:** not_found, invalid (no GGUF in
/// it: says what there is), unavailable (network; gated: says which token is needed).
Result<std::vector<Variant>> list_variants(const Hub& hub, const Reference& reference);

/// The variant the reference names, or else the best one that `fits` accepts; when none fits, the
/// smallest, and the caller is told by `fits` having refused it.
using Fits = std::function<bool(const Variant&)>;
Result<Variant> choose_variant(const std::vector<Variant>& variants, const Reference& reference,
                               const Fits& fits);

struct Progress {
    std::uint64_t done_bytes = 0;
    std::uint64_t total_bytes = 0;
    double bytes_per_s = 0;  ///< over the last seconds
    std::string file;        ///< the one under way
    std::string phase;       ///< "downloading", "checking"
};

struct PullOptions {
    std::string directory;  ///< models folder; the model becomes <directory>/<id>/
    std::string id;         ///< "" = by repository and variant
    std::uint64_t spare_bytes = std::uint64_t{1} << 30U;  ///< of disk to leave free
    bool force = false;                                   ///< download again what is there
    std::function<void(const Progress&)> on_progress;     ///< a few times a second
    CancelToken cancel;
};

/// Downloads the variant into a staging folder beside its place, resuming what an earlier try left,
/// checks sizes, checksums and that each is a readable GGUF, then moves it into place at once, with
/// a manifest. Nothing is seen under the final name before it is whole.
/// **Errors:** exhausted (disk space, with the figures), unavailable (network: says that pulling
/// again resumes), corrupt (checksum; the bad piece is dropped), cancelled.
Result<Entry> pull(const Hub& hub, const Reference& reference, const Variant& variant,
                   const PullOptions& options);

/// Copies or links a local GGUF into the models folder. **Errors:** corrupt, exhausted, invalid.
Result<Entry> import_file(const std::string& path, const PullOptions& options, bool link);

/// Deletes a model's files. **Errors:** invalid: it is not in one of `directories` (we delete only
/// what we keep), not_found.
Status remove(const Entry& entry, const std::vector<std::string>& directories);

}  // namespace trilane::catalog
