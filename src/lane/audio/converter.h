// Converter: sounds from the format they have into the one that is wanted. Mostly by libraries
// (src/sound); MP4, WebM and AAC by ffmpeg as a supervised child, where it is installed.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "lane/descriptor.h"

namespace trilane::lane {

/// How long ffmpeg may take, and how much it may write.
inline constexpr std::chrono::milliseconds kConvertPatience{120'000};
inline constexpr std::size_t kConvertedBytesMax = std::size_t{256} << 20U;

/// A folder for files of one job, gone with it. Only this user can look inside.
class JobFolder {
public:
    /// Below `state_dir`, else where temporary files go. **Errors:** unavailable.
    static Result<JobFolder> make(const std::string& state_dir);
    ~JobFolder();
    JobFolder(JobFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    JobFolder& operator=(JobFolder&&) = delete;

    [[nodiscard]] std::string file(std::string_view name) const;

private:
    explicit JobFolder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

/// **Errors:** unavailable.
Status write_job_file(const std::string& path, std::string_view bytes);
/// **Errors:** unavailable; exhausted beyond `bytes_max`.
Result<std::string> read_job_file(const std::string& path, std::size_t bytes_max);

/// **Threads:** any; each call works on the thread that makes it.
class Converter {
public:
    /// Looks for ffmpeg on the parts' path.
    explicit Converter(const Parts& parts);

    /// A recording as what recognisers take: WAV, 16 kHz, one channel.
    /// **Errors:** invalid (and what to send instead), cancelled, timeout, unavailable.
    [[nodiscard]] Result<std::string> for_hearing(std::string_view recording,
                                                  const CancelToken& cancel) const;
    /// Whether into() makes that format. **Errors:** invalid, naming those it makes.
    [[nodiscard]] Status check_format(std::string_view format) const;
    /// A recording as a file of that format ("mp3", "aac" …). **Errors:** as check_format; corrupt:
    /// it is no recording; cancelled, timeout, unavailable.
    [[nodiscard]] Result<std::string> into(std::string_view recording, std::string_view format,
                                           const CancelToken& cancel) const;

private:
    Result<std::string> by_ffmpeg(std::string_view bytes, std::string_view input_format,
                                  std::vector<std::string> output_arguments,
                                  const CancelToken& cancel) const;

    os::ChildWatch* const children_;
    const std::vector<std::string> environment_;
    const std::string state_dir_;
    std::string ffmpeg_;  // "" = not installed
};

}  // namespace trilane::lane
