// PartFile: a file that is being downloaded, written in any order, with a journal beside it of what
// has safely arrived, so that a later process can go on. Knows nothing of networks.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/cancel.h"
#include "base/result.h"
#include "catalog/byte_ranges.h"
#include "os/unique_fd.h"

namespace trilane::catalog {

/// "No space left on device" and its like as an error that says what to do.
Error disk_error(int error_number, const std::string& path, std::string_view doing);

/// `<path>.part` (sparse, of the final length) and `<path>.journal` (text, only ever appended to;
/// a torn last line is left out when it is read).
class PartFile {
public:
    /// Opens what an earlier try left when it was for the same bytes (`identity`: whatever changes
    /// when they do), else begins anew. **Errors:** unavailable, exhausted.
    static Result<PartFile> open(std::string path, std::uint64_t bytes, std::string_view identity);

    [[nodiscard]] const std::string& part_path() const { return part_path_; }
    [[nodiscard]] const std::string& etag() const { return etag_; }
    [[nodiscard]] const ByteRanges& done() const { return done_; }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    [[nodiscard]] bool complete() const { return done_.bytes() == bytes_; }

    /// **Errors:** exhausted (no space, or a limit on files), unavailable.
    Status write(std::uint64_t offset, std::span<const std::byte> data);

    /// Makes a range that was written durable, then notes it as done.
    Status note_done(ByteRange range);
    Status note_etag(std::string etag);

    /// Forgets what is there.
    Status start_anew();

    /// Closes and deletes both files.
    static void discard(const std::string& path);

    /// Closes, and gives the part its final name.
    static Status finish(PartFile part, const std::string& path);

private:
    PartFile() = default;
    Status create(std::string_view identity);
    /// False when the journal is of other bytes or unreadable.
    bool read_journal(std::string_view identity);
    Status append(std::string_view line);

    std::string part_path_;
    std::string journal_path_;
    std::string identity_;
    std::uint64_t bytes_ = 0;
    os::UniqueFd part_;
    os::UniqueFd journal_;
    std::string etag_;
    ByteRanges done_;
};

/// SHA-256 of a file in lower-case hexadecimal. `on_bytes` hears how many were read since its last
/// call. **Errors:** unavailable, cancelled.
Result<std::string> sha256_of(const std::string& path, const CancelToken& cancel,
                              const std::function<void(std::uint64_t)>& on_bytes);
std::string sha256_of_text(std::string_view text);

}  // namespace trilane::catalog
