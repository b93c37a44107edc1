// Staging: the hidden folder beside a model's place in which it is put together, locked against a
// second process, kept when that ends early, and moved into place at once when it is whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "catalog/manifest.h"
#include "os/unique_fd.h"

namespace trilane::catalog {

/// Folders with this beginning hold no models yet, or none any more.
inline constexpr std::string_view kStagingPrefix = ".pull-";
inline constexpr std::string_view kRemovingPrefix = ".removing-";

/// Bytes that are free for us on the file system of `folder`. **Errors:** unavailable.
Result<std::uint64_t> free_bytes(const std::string& folder);

/// Ok when `need_bytes` more leave `spare_bytes` free. **Errors:** exhausted, with the figures.
Status check_room(const std::string& folder, std::uint64_t need_bytes, std::uint64_t spare_bytes);

/// Deletes a folder with all that is in it, by way of a hidden name, so that nobody ever sees half
/// of it. **Errors:** unavailable.
Status remove_folder(const std::string& folder);

class Staging {
public:
    /// Makes `<directory>/.pull-<id>` and locks it. **Errors:** unavailable: another process pulls
    /// the same model, or the folder cannot be made.
    static Result<Staging> open(const std::string& directory, const std::string& id);

    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] const std::string& place() const { return place_; }

    /// Deletes what an earlier try left and `manifest` does not name with the same size and hash,
    /// and writes the manifest down as the one that is worked for.
    Status keep_only(const Manifest& manifest);

    /// Moves the folder to its place; what is there goes when `replace`.
    /// **Errors:** invalid (something is there), unavailable.
    Status move_into_place(bool replace);

    /// Deletes the staging folder with all that is in it.
    void discard();

private:
    Staging() = default;
    std::string folder_;
    std::string place_;
    os::UniqueFd lock_;
};

}  // namespace trilane::catalog
