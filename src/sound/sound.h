// Sound: recordings of any common format → samples, samples → files. One façade over libsndfile and
// soxr; no other file includes them. Knows nothing of models: what a rate is for is the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"

namespace trilane::sound {

/// The longest recording that is read. One of silence may be small as a file.
inline constexpr double kSecondsMax = 2 * 3600;
/// What speech recognisers listen to, and what "pcm" answers have.
inline constexpr std::uint32_t kHearingRate = 16'000;
inline constexpr std::uint32_t kPcmRate = 24'000;
inline constexpr std::uint32_t kRateMin = 1'000;
inline constexpr std::uint32_t kRateMax = 384'000;
inline constexpr int kChannelsMax = 32;

/// One channel of samples.
struct Clip {
    std::uint32_t rate = kHearingRate;  ///< per second
    std::vector<std::int16_t> samples;

    [[nodiscard]] double seconds() const {
        return static_cast<double>(samples.size()) / static_cast<double>(rate);
    }
};

/// What kind of file that is, by its first bytes.
enum class Container : std::uint8_t {
    readable,  ///< wav, flac, ogg (Vorbis, Opus), mp3, aiff …: decode() is to be asked
    mp4,       ///< m4a, mp4, mov
    matroska,  ///< webm, mkv
    adts,      ///< aac
    unknown,
};
Container container_of(std::string_view bytes);
/// "MP4 or M4A" …, as a sentence names it.
std::string_view container_name(Container container);

/// Reads a recording: all channels mixed to one, resampled to `rate` (0 = as it is).
/// **Errors:** invalid (no sound that is known, and what to send instead; longer than kSecondsMax;
/// broken), cancelled.
Result<Clip> decode(std::string_view bytes, std::uint32_t rate, const CancelToken& cancel = {});

/// **Errors:** internal (the resampler).
Result<Clip> resampled(const Clip& clip, std::uint32_t rate, const CancelToken& cancel = {});

/// The clip as a WAV file of 16 bits.
std::string wav_of(const Clip& clip);

/// The clip as a file: "wav", "flac", "mp3", "opus" (in Ogg), "pcm" (bare samples of 16 bits,
/// little end first, at kPcmRate). **Errors:** invalid: another format, and which there are;
/// unavailable: this machine's libsndfile cannot write it; cancelled.
Result<std::string> encode(const Clip& clip, std::string_view format,
                           const CancelToken& cancel = {});
/// Whether encode() knows the format.
bool can_encode(std::string_view format);
/// "audio/mpeg" of "mp3" …; "" for what is no format.
std::string_view media_type(std::string_view format);

}  // namespace trilane::sound
