#include "lane/audio/converter.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "lane/child/load_watch.h"
#include "lane/child/program.h"
#include "os/unique_fd.h"
#include "sound/sound.h"

namespace trilane::lane {
namespace {

/// What ffmpeg calls a container. It is told, for its own guess may be a format that opens files.
std::string_view demuxer_of(sound::Container container) {
    switch (container) {
        case sound::Container::mp4:
            return "mov";
        case sound::Container::matroska:
            return "matroska";
        case sound::Container::adts:
            return "aac";
        case sound::Container::readable:
        case sound::Container::unknown:
            break;
    }
    return "";
}

tl::unexpected<Error> no_file(std::string_view what, const std::string& path) {
    return fail(Fault::unavailable, "{} {} failed ({}); look at the space and rights there", what,
                path, std::generic_category().message(errno));
}

}  // namespace

Result<JobFolder> JobFolder::make(const std::string& state_dir) {
    std::error_code error;
    std::string base = state_dir;
    if (base.empty() || !std::filesystem::is_directory(base, error)) {
        base = std::filesystem::temp_directory_path(error).string();
    }
    std::string path = base + "/trilane-job-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        return no_file("making a folder like", path);
    }
    return JobFolder(std::move(path));
}

JobFolder::~JobFolder() {
    if (!path_.empty()) {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
}

std::string JobFolder::file(std::string_view name) const {
    return path_ + '/' + std::string(name);
}

Status write_job_file(const std::string& path, std::string_view bytes) {
    const os::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    while (file.open() && !bytes.empty()) {
        const ssize_t wrote = ::write(file.get(), bytes.data(), bytes.size());
        if (wrote < 0 && errno != EINTR) {
            return no_file("writing", path);
        }
        bytes.remove_prefix(wrote < 0 ? 0 : static_cast<std::size_t>(wrote));
    }
    if (!file.open()) {
        return no_file("writing", path);
    }
    return {};
}

Result<std::string> read_job_file(const std::string& path, std::size_t bytes_max) {
    const os::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat status {};
    if (!file.open() || ::fstat(file.get(), &status) != 0) {
        return no_file("reading", path);
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size > bytes_max) {
        return fail(Fault::exhausted, "the sound is larger than {} bytes; ask for a shorter one",
                    bytes_max);
    }
    std::string bytes(size, '\0');
    std::size_t at = 0;
    while (at < size) {
        const ssize_t got = ::read(file.get(), bytes.data() + at, size - at);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return no_file("reading", path);
        }
        at += got < 0 ? 0 : static_cast<std::size_t>(got);
    }
    return bytes;
}

Converter::Converter(const Parts& parts)
    : children_(parts.children), environment_(parts.environment), state_dir_(parts.state_dir) {
    const std::array<std::string, 1> names{"ffmpeg"};
    if (children_ != nullptr) {
        ffmpeg_ = find_program(names, parts.path, "").value_or("");
    }
}

Result<std::string> Converter::by_ffmpeg(std::string_view bytes, std::string_view input_format,
                                         std::vector<std::string> output_arguments,
                                         const CancelToken& cancel) const {
    TRILANE_TRY(const JobFolder folder, JobFolder::make(state_dir_));
    TRILANE_TRY_STATUS(write_job_file(folder.file("in"), bytes));
    std::vector<std::string> argv{ffmpeg_,
                                  "-nostdin",
                                  "-v",
                                  "error",
                                  "-protocol_whitelist",
                                  "file",
                                  "-f",
                                  std::string(input_format),
                                  "-i",
                                  folder.file("in"),
                                  "-map",
                                  "0:a:0",
                                  "-fs",
                                  std::to_string(kConvertedBytesMax)};
    argv.insert(argv.end(), output_arguments.begin(), output_arguments.end());
    argv.push_back(folder.file("out"));
    TRILANE_TRY(const Printed printed,
                ask_program(*children_, std::move(argv), environment_, cancel, kConvertPatience));
    if (printed.exit.code != 0) {
        return fail(Fault::invalid, "file: ffmpeg could not read it (it {} and said \"{}\")",
                    printed.exit.text(), excerpt(printed.text));
    }
    return read_job_file(folder.file("out"), kConvertedBytesMax);
}

Result<std::string> Converter::for_hearing(std::string_view recording,
                                           const CancelToken& cancel) const {
    const std::string_view demuxer = demuxer_of(sound::container_of(recording));
    if (demuxer.empty() || ffmpeg_.empty()) {
        TRILANE_TRY(const sound::Clip clip, sound::decode(recording, sound::kHearingRate, cancel));
        return sound::wav_of(clip);
    }
    // One second more than is read, so that decode() sees what is too long.
    const auto seconds = static_cast<int>(sound::kSecondsMax) + 1;
    TRILANE_TRY(const std::string wav,
                by_ffmpeg(recording, demuxer,
                          {"-vn", "-t", std::to_string(seconds), "-ac", "1", "-ar",
                           std::to_string(sound::kHearingRate), "-c:a", "pcm_s16le", "-f", "wav"},
                          cancel));
    TRILANE_TRY(const sound::Clip clip, sound::decode(wav, sound::kHearingRate, cancel));
    return sound::wav_of(clip);
}

Status Converter::check_format(std::string_view format) const {
    if (sound::can_encode(format) || (format == "aac" && !ffmpeg_.empty())) {
        return {};
    }
    if (format == "aac") {
        return fail(Fault::invalid,
                    "response_format: aac cannot be made here without ffmpeg; install ffmpeg, or "
                    "ask for mp3, opus, flac, wav or pcm");
    }
    return fail(Fault::invalid,
                "response_format: '{}' cannot be made here; use mp3, opus, flac, wav or pcm",
                format);
}

Result<std::string> Converter::into(std::string_view recording, std::string_view format,
                                    const CancelToken& cancel) const {
    TRILANE_TRY_STATUS(check_format(format));
    auto clip = sound::decode(recording, 0, cancel);
    if (!clip) {
        return fail(clip.error().fault == Fault::invalid ? Fault::corrupt : clip.error().fault,
                    "the speech that was made cannot be read ({})", clip.error().message);
    }
    if (format == "aac") {
        return by_ffmpeg(sound::wav_of(*clip), "wav", {"-c:a", "aac", "-f", "adts"}, cancel);
    }
    return sound::encode(*clip, format, cancel);
}

}  // namespace trilane::lane
