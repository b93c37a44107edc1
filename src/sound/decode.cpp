#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "sound/memory_file.h"
#include "sound/resampler.h"
#include "sound/sound.h"

namespace trilane::sound {
namespace {

/// Frames that are read at once; between two blocks a cancelled job ends.
constexpr std::size_t kBlockFrames = 16'384;
constexpr std::size_t kHeadBytes = 64;

bool has_at(std::string_view bytes, std::size_t at, std::string_view mark) {
    return bytes.size() >= at + mark.size() && bytes.substr(at, mark.size()) == mark;
}

std::string_view sniffed(std::string_view bytes) {
    return bytes.substr(0, kHeadBytes);
}

tl::unexpected<Error> no_sound(std::string_view why) {
    return fail(Fault::invalid,
                "file: it is no recording that can be read ({}); send wav, flac, mp3 or ogg", why);
}

struct OpenedFile {
    std::unique_ptr<SNDFILE, SoundFileCloser> file;
    std::uint32_t rate = 0;
    std::size_t channels = 0;
};

Result<OpenedFile> open(MemoryFile& memory) {
    SF_VIRTUAL_IO functions = MemoryFile::functions();
    SF_INFO format{};
    std::unique_ptr<SNDFILE, SoundFileCloser> file(
        sf_open_virtual(&functions, SFM_READ, &format, &memory));
    if (file == nullptr) {
        const Container container = container_of(memory.from);
        if (container != Container::readable && container != Container::unknown) {
            return fail(Fault::invalid,
                        "file: {} cannot be read here without ffmpeg; install ffmpeg, or send wav, "
                        "flac, mp3 or ogg",
                        container_name(container));
        }
        return no_sound(sf_strerror(nullptr));
    }
    if (format.channels < 1 || format.channels > kChannelsMax ||
        format.samplerate < static_cast<int>(kRateMin) ||
        format.samplerate > static_cast<int>(kRateMax)) {
        return fail(Fault::invalid,
                    "file: a recording of {} channels at {} Hz is not read; send 1 to {} channels "
                    "at {} to {} Hz",
                    format.channels, format.samplerate, kChannelsMax, kRateMin, kRateMax);
    }
    return OpenedFile{std::move(file), static_cast<std::uint32_t>(format.samplerate),
                      static_cast<std::size_t>(format.channels)};
}

/// All channels of a block in one.
void mix(const std::vector<float>& block, std::size_t frames, std::size_t channels,
         std::vector<float>& mono) {
    mono.resize(frames);
    const float share = 1.0F / static_cast<float>(channels);
    for (std::size_t i = 0; i < frames; ++i) {
        float sum = 0;
        for (std::size_t c = 0; c < channels; ++c) {
            sum += block[i * channels + c];
        }
        mono[i] = std::isfinite(sum) ? sum * share : 0.0F;
    }
}

}  // namespace

Container container_of(std::string_view bytes) {
    const std::string_view head = sniffed(bytes);
    if (has_at(head, 4, "ftyp") || has_at(head, 4, "moov") || has_at(head, 4, "mdat")) {
        return Container::mp4;
    }
    if (has_at(head, 0, "\x1A\x45\xDF\xA3")) {
        return Container::matroska;
    }
    const auto byte = [&](std::size_t i) {
        return i < head.size() ? static_cast<unsigned char>(head[i]) : 0U;
    };
    if (byte(0) == 0xFF && (byte(1) & 0xF6U) == 0xF0) {
        return Container::adts;
    }
    const bool mp3 = has_at(head, 0, "ID3") || (byte(0) == 0xFF && (byte(1) & 0xE0U) == 0xE0);
    for (const std::string_view mark : {"RIFF", "RIFX", "RF64", "fLaC", "OggS", "FORM", ".snd"}) {
        if (has_at(head, 0, mark)) {
            return Container::readable;
        }
    }
    return mp3 ? Container::readable : Container::unknown;
}

std::string_view container_name(Container container) {
    switch (container) {
        case Container::mp4:
            return "MP4 or M4A";
        case Container::matroska:
            return "WebM";
        case Container::adts:
            return "AAC";
        case Container::readable:
        case Container::unknown:
            break;
    }
    return "that format";
}

Result<Clip> decode(std::string_view bytes, std::uint32_t rate, const CancelToken& cancel) {
    if (bytes.empty()) {
        return no_sound("it is empty");
    }
    MemoryFile memory;
    memory.from = bytes;
    TRILANE_TRY(OpenedFile opened, open(memory));
    Clip clip;
    clip.rate = rate == 0 ? opened.rate : rate;
    TRILANE_TRY(Resampler resampler, Resampler::open(opened.rate, clip.rate));
    const auto frames_max = static_cast<std::size_t>(kSecondsMax * opened.rate);
    std::vector<float> block(kBlockFrames * opened.channels);
    std::vector<float> mono;
    std::size_t frames = 0;
    for (;;) {
        if (cancel.cancelled()) {
            return fail(Fault::cancelled, "the request was cancelled");
        }
        const sf_count_t got = sf_readf_float(opened.file.get(), block.data(), kBlockFrames);
        if (got <= 0) {
            break;
        }
        frames += static_cast<std::size_t>(got);
        if (frames > frames_max) {
            return fail(Fault::invalid,
                        "file: the recording is longer than {:.0f} minutes; send it in parts",
                        kSecondsMax / 60);
        }
        mix(block, static_cast<std::size_t>(got), opened.channels, mono);
        TRILANE_TRY_STATUS(resampler.push(mono, clip.samples));
    }
    TRILANE_TRY_STATUS(resampler.finish(clip.samples));
    if (clip.samples.empty()) {
        return no_sound("it holds no samples");
    }
    return clip;
}

}  // namespace trilane::sound
