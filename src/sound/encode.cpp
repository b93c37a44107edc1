#include <sndfile.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include "sound/memory_file.h"
#include "sound/sound.h"

namespace trilane::sound {
namespace {

static_assert(std::endian::native == std::endian::little, "samples are written as they lie");

constexpr std::size_t kWrittenAtOnce = 16'384;

struct Format {
    std::string_view name;
    std::string_view type;
    int format;  ///< libsndfile's; 0 = bare samples
};

constexpr std::array kFormats = std::to_array<Format>({
    {"wav", "audio/wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},
    {"flac", "audio/flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
    {"mp3", "audio/mpeg", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III},
    {"opus", "audio/ogg", SF_FORMAT_OGG | SF_FORMAT_OPUS},
    {"pcm", "audio/pcm", 0},
});

const Format* format_of(std::string_view name) {
    const auto found = std::find_if(kFormats.begin(), kFormats.end(),
                                    [&](const Format& each) { return each.name == name; });
    return found == kFormats.end() ? nullptr : &*found;
}

/// The nearest rate from above that the format has; its highest for what is above all.
std::uint32_t rate_for(std::string_view format, std::uint32_t rate) {
    constexpr std::array<std::uint32_t, 5> kOpus{8'000, 12'000, 16'000, 24'000, 48'000};
    constexpr std::array<std::uint32_t, 9> kMp3{8'000,  11'025, 12'000, 16'000, 22'050,
                                                24'000, 32'000, 44'100, 48'000};
    const auto nearest = [rate](const auto& rates) {
        const auto at = std::lower_bound(rates.begin(), rates.end(), rate);
        return at == rates.end() ? rates.back() : *at;
    };
    if (format == "opus") {
        return nearest(kOpus);
    }
    if (format == "mp3") {
        return nearest(kMp3);
    }
    return format == "pcm" ? kPcmRate : rate;
}

std::string bare(const Clip& clip) {
    std::string bytes(clip.samples.size() * sizeof(std::int16_t), '\0');
    if (!bytes.empty()) {
        std::memcpy(bytes.data(), clip.samples.data(), bytes.size());
    }
    return bytes;
}

void append_number(std::string& out, std::uint32_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) {
        out += static_cast<char>((value >> (8U * i)) & 0xFFU);
    }
}

Result<std::string> written(const Clip& clip, const Format& format, const CancelToken& cancel) {
    MemoryFile memory;
    memory.writes = true;
    SF_VIRTUAL_IO functions = MemoryFile::functions();
    SF_INFO info{};
    info.samplerate = static_cast<int>(clip.rate);
    info.channels = 1;
    info.format = format.format;
    std::unique_ptr<SNDFILE, SoundFileCloser> file(
        sf_open_virtual(&functions, SFM_WRITE, &info, &memory));
    if (file == nullptr) {
        return fail(Fault::unavailable,
                    "response_format: libsndfile on this machine cannot write {} ({}); ask for wav "
                    "or flac, or install libsndfile 1.2 or newer",
                    format.name, sf_strerror(nullptr));
    }
    for (std::size_t at = 0; at < clip.samples.size(); at += kWrittenAtOnce) {
        if (cancel.cancelled()) {
            return fail(Fault::cancelled, "the request was cancelled");
        }
        const std::size_t count = std::min(kWrittenAtOnce, clip.samples.size() - at);
        if (sf_write_short(file.get(), clip.samples.data() + at, static_cast<sf_count_t>(count)) !=
            static_cast<sf_count_t>(count)) {
            return fail(Fault::internal, "a sound could not be written as {} ({})", format.name,
                        sf_strerror(file.get()));
        }
    }
    file.reset();
    return std::move(memory.written);
}

}  // namespace

std::string wav_of(const Clip& clip) {
    const auto bytes = static_cast<std::uint32_t>(clip.samples.size() * sizeof(std::int16_t));
    std::string wav = "RIFF";
    append_number(wav, bytes + 36, 4);
    wav += "WAVEfmt ";
    append_number(wav, 16, 4);             // of this chunk
    append_number(wav, 1, 2);              // integers
    append_number(wav, 1, 2);              // channel
    append_number(wav, clip.rate, 4);      // per second: samples
    append_number(wav, clip.rate * 2, 4);  // … and bytes
    append_number(wav, 2, 2);              // bytes of a sample
    append_number(wav, 16, 2);             // its bits
    wav += "data";
    append_number(wav, bytes, 4);
    return wav + bare(clip);
}

bool can_encode(std::string_view format) {
    return format_of(format) != nullptr;
}

std::string_view media_type(std::string_view format) {
    const Format* known = format_of(format);
    if (known != nullptr) {
        return known->type;
    }
    return format == "aac" ? "audio/aac" : "";
}

Result<std::string> encode(const Clip& clip, std::string_view format, const CancelToken& cancel) {
    const Format* known = format_of(format);
    if (known == nullptr) {
        return fail(Fault::invalid,
                    "response_format: '{}' cannot be made here; use mp3, opus, flac, wav or pcm",
                    format);
    }
    TRILANE_TRY(const Clip fit, resampled(clip, rate_for(format, clip.rate), cancel));
    if (known->format == 0) {
        return bare(fit);
    }
    return format == "wav" ? wav_of(fit) : written(fit, *known, cancel);
}

}  // namespace trilane::sound
